"""Helpers of the speculative decoding course: propose, verify, accept, advance."""
from types import ModuleType as _ModuleType

from .decode.accept import RULES, accept_greedy, accept_sampled, accept_until_mismatch, score_branch
from .decode.advance import generate, greedy_generate, medusa_generate
from .decode.batch import Batch, generate_batch
from .decode.calibrate import calibrate
from .decode.methods import METHODS, methods_of
from .decode.original import count_calls, medusa_step
from .decode.passes import PassTimes
from .decode.propose.eagle import eagle_tree
from .decode.propose.heads import heads_tree
from .decode.propose.lookup import find_match, lookup_tree
from .decode.propose.rollouts import (
    Branch,
    drafter_propose,
    drafter_rollout_greedy,
    drafter_sample_first_tokens,
    drafter_sample_first_tokens_basic,
)
from .decode.propose.small_model import draft_tree
from .decode.records import BranchRecord, Generation, Step
from .decode.tree import ROOT, TokenTree
from .decode.verify import verifier_choices, verifier_next_token, verify_tree
from .measure.benchmark import Comparison, compare, time_it
from .measure.cost import acceptance_by_position, acceptance_rate, best_gamma, expected_tokens, predicted_speedup
from .measure.diagnose import Diagnosis, diagnose
from .models.eagle import EagleDrafter
from .models.export import Export, export
from .models.load import PAIRS, check_same_vocabulary, ensure_special_tokens, load_pair
from .models.medusa_heads import MedusaHeads
from .models.pair import ModelPair
from .run.cached import CachedModel
from .run.calling import cached_model
from .run.eagle import CachedEagle, LeanEagle, cached_eagle
from .run.lean_gpt2 import LeanGPT2
from .run.lean_llama import LeanLlama
from .run.packed import PackedLinear, Packing, pack, unpack
from .text.config import Cfg
from .text.device import pick_device, seed_everything
from .text.sampling import (
    last_token_logits,
    next_distribution,
    penalize,
    safe_top_p_filter,
    sample_without_replacement,
    softmax_with_temperature,
)
from .text.tokens import append_token, decode_token, encode_prompt, next_human_token, pretty_token

__version__ = "0.1.0"
__all__ = [name for name, value in list(vars().items()) if not name.startswith("_") and not isinstance(value, _ModuleType)]
