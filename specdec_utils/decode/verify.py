"""Verify: what the verifier says to a guess."""
import torch

from ..run.asking import Ask
from ..run.cached import CachedModel
from ..run.lean import LeanPass
from ..text.sampling import last_token_logits, penalize
from .tree import TokenTree


@torch.inference_mode()
def verifier_next_token(verifier, ids: torch.Tensor, repetition_penalty: float = 1.0,
                        no_repeat_ngram_size: int = 0) -> int:
    """The verifier's greedy choice after `ids` [1, T], penalties applied, from one uncached forward pass."""
    logits = last_token_logits(verifier, ids)
    return int(penalize(logits, ids, repetition_penalty, no_repeat_ngram_size).argmax())


@torch.inference_mode()
def verifier_choices(verifier, ids: torch.Tensor, branch: list[int]) -> list[int]:
    """The verifier's greedy choice before each token of `branch` and after the last, from one forward pass.

    `ids` is [1, T]; the list has len(branch) + 1 entries: entry i is what the verifier writes after ids + branch[:i].
    Leviathan et al. 2023 (arXiv 2211.17192), section 2.3: all positions are checked in parallel.
    """
    tail = torch.tensor([branch], dtype=ids.dtype, device=ids.device).view(1, -1)
    logits = verifier(torch.cat([ids, tail], dim=1)).logits[0]
    return logits[ids.shape[1] - 1:].argmax(dim=-1).tolist()


def ask_verifier(verifier: CachedModel | LeanPass, ids: list[int], tree: TokenTree, hidden: tuple[int, ...] = ()) -> Ask:
    """The one pass that `verify_tree` makes."""
    unseen = ids[verifier.length:]
    if tree.is_chain():
        return Ask(verifier, "feed", (unseen + tree.tokens, 1 + len(tree), None, None, hidden))
    m = len(unseen)
    mask = torch.ones(m + len(tree), m + len(tree), dtype=torch.bool).tril_()
    mask[m:, m:] = tree.mask()
    positions = [*range(verifier.length, len(ids)), *tree.positions(len(ids))]
    return Ask(verifier, "feed", (unseen + tree.tokens, 1 + len(tree), positions, mask, hidden))


def verify_tree(verifier: CachedModel | LeanPass, ids: list[int], tree: TokenTree, hidden: tuple[int, ...] = ()) -> torch.Tensor:
    """The verifier's logits [1 + n, V] after `ids` (first row) and after each of the tree's n nodes, from one cached pass.

    Tokens of `ids` that the cache lacks are read in the same pass, at least the last one. Node i is then in the cache at
    position len(ids) + i, until `verifier.keep` drops it or moves it up. `hidden`: see `CachedModel.feed`.
    """
    return ask_verifier(verifier, ids, tree, hidden).made()
