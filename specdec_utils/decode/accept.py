"""Accept: which guesses are kept."""
import math
from collections.abc import Callable

import torch

from ..text.tokens import append_token
from .tree import ROOT, TokenTree
from .verify import verifier_next_token


@torch.inference_mode()
def accept_until_mismatch(verifier, ids: torch.Tensor, branch: list[int],
                          choose: Callable = verifier_next_token) -> tuple[torch.Tensor, list[int], bool]:
    """Keep the tokens of `branch` that the verifier would have written itself; at the first it would not, write its own.

    `ids` is [1, T]. Returns (ids with what was kept and the correction appended, the accepted tokens, mismatched?).
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
    """Accepted tokens, minus one if the branch broke at a mismatch."""
    return len(accepted) - (1 if mismatched else 0)


# The rules for a sampling verifier. Each is a pure function (p, q, candidates) -> (accept, residuals):
# p is the verifier's distribution [V] at a node, q the one that the candidates were drawn from, both arrays (torch, or numpy
# with floats or fractions); accept[i] is the probability of accepting candidate i given that the earlier ones were rejected,
# residuals[i] the distribution from which to go on after rejecting it; the last one is drawn from when all were rejected.

def _scalar(x):
    return x.item() if hasattr(x, "item") else x


def _normalised(weights, fallback):
    total = weights.sum()
    return weights / total if total > 0 else fallback  # nothing left: the candidate was accepted for certain


def _without(distribution, x):
    rest = distribution * 1
    rest[x] = 0
    return rest


def _acceptance(p, q, x):
    if not q[x] > 0:
        raise ValueError(f"Candidate {x} has probability 0 under q, so it cannot have been drawn from it.")
    return min(1, _scalar(p[x] / q[x]))


def with_replacement(p, q, candidates):
    """Independent draws from q. Miao et al. 2023 (SpecInfer, arXiv 2305.09781), algorithm 2."""
    accept, residuals = [], []
    for x in candidates:
        accept.append(_acceptance(p, q, x))
        excess = p - q
        p = _normalised((excess + abs(excess)) / 2, p)
        residuals.append(p)
    return accept, residuals


def single_draft(p, q, candidates):
    """One draw from q. Leviathan et al. 2023 (arXiv 2211.17192), section 2.3; Chen et al. 2023 (arXiv 2302.01318)."""
    if len(candidates) != 1:
        raise ValueError(f"The rule for a single draft got {len(candidates)} candidates; use with_replacement for several.")
    return with_replacement(p, q, candidates)


def without_replacement(p, q, candidates):
    """Draws from q without replacement, in the order drawn. Jeon et al. 2024 (RSD, arXiv 2402.14160); Chen et al. 2024
    (Sequoia, arXiv 2402.12374). Tried in any other order the result is biased."""
    accept, residuals = [], []
    for x in candidates:
        accept.append(_acceptance(p, q, x))
        excess = p - q
        p = _normalised((excess + abs(excess)) / 2, p)
        rest = _without(q, x)
        q = _normalised(rest, rest)
        residuals.append(p)
    return accept, residuals


def deterministic(p, q, candidates):
    """Candidates that were chosen, not drawn: q is one-hot at each in turn and the argument is ignored. Together they are
    accepted with probability p(candidates)."""
    accept, residuals = [], []
    for x in candidates:
        accept.append(_scalar(p[x]))
        p = _normalised(_without(p, x), p)
        residuals.append(p)
    return accept, residuals


def typical_lossy(p, q, candidates, epsilon: float = 0.09):
    """Accept what is typical enough: p(x) > min(epsilon, sqrt(epsilon) exp(-H(p))). Cai et al. 2024 (Medusa, arXiv
    2401.10774), section 2.3.1. NOT lossless: what is written no longer has the verifier's distribution."""
    weights = p if isinstance(p, torch.Tensor) else torch.tensor([float(x) for x in p], dtype=torch.float64)
    entropy = float(torch.special.entr(weights).sum())
    threshold = min(epsilon, math.sqrt(epsilon) * math.exp(-entropy))
    accept = [int(p[x] > threshold) for x in candidates]
    return accept, [p] * len(accept)


RULES: dict[str, Callable] = {
    "single_draft": single_draft,
    "with_replacement": with_replacement,
    "without_replacement": without_replacement,
    "deterministic": deterministic,
    "typical_lossy": typical_lossy,
}


def accept_greedy(tree: TokenTree, choices: list[int]) -> tuple[list[int], int]:
    """The path of `tree` that the verifier would have written itself, and the token that it writes next.

    `choices` [1 + n]: its greedy token after the context and after each node. Returns (accepted nodes, next token).
    """
    path, node = [], ROOT
    while True:
        choice = choices[node + 1]
        node = next((n for n in tree.children.get(node, ()) if tree.tokens[n] == choice), None)
        if node is None:
            return path, choice
        path.append(node)


def accept_sampled(tree: TokenTree, targets: torch.Tensor, lossy: bool = False,
                   generator: torch.Generator | None = None) -> tuple[list[int], int]:
    """Walk down `tree` by the rule that fits how each node's children were drawn: (accepted nodes, next token).

    `targets` [1 + n, V]: the verifier's distributions after the context and after each node. Every decision takes a fresh
    random number, from `generator` or, without one, from torch's global generator. With `lossy` typical acceptance replaces the
    rules.
    """
    path, node = [], ROOT
    while True:
        p, children = targets[node + 1], tree.children.get(node, [])
        name, q = tree.drawn_from.get(node, ("deterministic", None))
        rule = RULES["typical_lossy" if lossy else name]
        accept, residuals = rule(p, q, [tree.tokens[n] for n in children])
        for child, chance in zip(children, accept):
            if torch.rand((), dtype=torch.float64, generator=generator).item() < chance:  # "<": the number can be exactly 0
                path.append(child)
                node = child
                break
        else:
            left = residuals[-1] if residuals else p
            return path, int(torch.multinomial(left, 1, generator=generator))
