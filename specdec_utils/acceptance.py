"""Accept: which guesses are kept."""
from collections.abc import Callable

import torch

from .tokens import append_token
from .verification import verifier_next_token


@torch.inference_mode()
def accept_until_mismatch(verifier, ids: torch.Tensor, branch: list[int],
                          choose: Callable = verifier_next_token) -> tuple[torch.Tensor, list[int], bool]:
    """Keep the tokens of `branch` that the verifier would have written itself; at the first it would not, write its own.

    `ids` is [1, T]. Returns (ids with what was kept and the correction behind it, the accepted tokens, mismatched?).
    `choose(verifier, ids) -> int` gives the verifier's token; it is asked once for each token compared. A fully accepted
    branch adds len(branch) tokens, any other adds one more than it accepted.
    Greedy case of Leviathan et al. 2023 (arXiv 2211.17192), Algorithm 1.
    """
    accepted, mismatched = [], False
    for tok in branch:
        choice = choose(verifier, ids)
        ids = append_token(ids, choice)
        if choice != tok:
            mismatched = True
            break
        accepted.append(tok)
    return ids, accepted, mismatched


def score_branch(accepted: list[int], mismatched: bool) -> int:
    """Accepted tokens, less one if the branch broke off at a mismatch."""
    return len(accepted) - (1 if mismatched else 0)
