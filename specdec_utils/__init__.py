"""Helpers of the speculative decoding course: propose, verify, accept, advance."""
from .acceptance import accept_until_mismatch, score_branch
from .benchmark import Comparison, compare, time_it
from .config import Cfg
from .decoding import (
                       METHODS,
                       BranchRecord,
                       Generation,
                       Step,
                       count_calls,
                       generate,
                       greedy_generate,
                       medusa_generate,
                       medusa_step,
)
from .device import pick_device, seed_everything
from .drafting import (
                       Branch,
                       drafter_propose,
                       drafter_rollout_greedy,
                       drafter_sample_first_tokens,
                       drafter_sample_first_tokens_basic,
)
from .models import PAIRS, ModelPair, check_same_vocabulary, ensure_special_tokens, load_pair
from .sampling import last_token_logits, penalize, safe_top_p_filter, sample_without_replacement, softmax_with_temperature
from .tokens import append_token, decode_token, encode_prompt, next_human_token, pretty_token
from .verification import verifier_choices, verifier_next_token

__version__ = "0.1.0"
__all__ = [name for name in dir() if not name.startswith("_")]
