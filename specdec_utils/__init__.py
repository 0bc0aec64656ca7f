"""Helpers of the speculative decoding course: propose, verify, accept, advance."""
from .acceptance import RULES, accept_greedy, accept_sampled, accept_until_mismatch, score_branch
from .benchmark import Comparison, compare, time_it
from .cached import CachedModel, cached_model
from .config import Cfg
from .cost import acceptance_rate, best_gamma, expected_tokens, predicted_speedup
from .decoding import METHODS, generate, greedy_generate, medusa_generate
from .device import pick_device, seed_everything
from .diagnose import Diagnosis, diagnose
from .drafting import (
    Branch,
    draft_tree,
    drafter_propose,
    drafter_rollout_greedy,
    drafter_sample_first_tokens,
    drafter_sample_first_tokens_basic,
    heads_tree,
    lookup_tree,
)
from .heads import MedusaHeads
from .lean import LeanGPT2
from .models import PAIRS, ModelPair, check_same_vocabulary, ensure_special_tokens, load_pair
from .original import count_calls, medusa_step
from .records import BranchRecord, Generation, Step
from .sampling import (
    last_token_logits,
    next_distribution,
    penalize,
    safe_top_p_filter,
    sample_without_replacement,
    softmax_with_temperature,
)
from .tokens import append_token, decode_token, encode_prompt, next_human_token, pretty_token
from .tree import ROOT, TokenTree
from .verification import verifier_choices, verifier_next_token, verify_tree

__version__ = "0.1.0"
__all__ = [name for name in dir() if not name.startswith("_")]
