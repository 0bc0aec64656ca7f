"""Predict: what speculative decoding should gain, from an acceptance rate, and from records and the time of single passes."""
from collections.abc import Callable, Sequence

from ..decode.passes import PassTimes
from ..decode.records import Generation
from ..decode.tree import ROOT, TokenTree
from .benchmark import Comparison
from .ratios import median_ratio


def expected_tokens(alpha: float, gamma: int) -> float:
    """Tokens a step of a chain of `gamma` drafts, each accepted with probability `alpha` in [0, 1] once the one before was:
    (1 - alpha^(gamma + 1)) / (1 - alpha). Leviathan et al. 2023 (arXiv 2211.17192), equation 1."""
    if not 0 <= alpha <= 1 or gamma < 0:
        raise ValueError(f"alpha={alpha!r}, gamma={gamma!r} are not usable: alpha lies in [0, 1] and gamma is at least 0.")
    return float(sum(alpha**i for i in range(gamma + 1)))


def predicted_speedup(alpha: float, gamma: int, c: float, v: Callable[[int], float] = lambda n: 1.0) -> float:
    """E / (gamma c + v(gamma + 1)): the speed of a chain of `gamma` drafts over that of the verifier alone.

    `c`: a draft step's time over a verifier step's. `v(n)`: the time of verifying n tokens over that of one; the default,
    1, is the case of Leviathan et al. 2023 (arXiv 2211.17192), theorem 3.8: a gain only if alpha > c.
    """
    return expected_tokens(alpha, gamma) / (gamma * c + v(gamma + 1))


def best_gamma(alpha: float, c: float, v: Callable[[int], float] = lambda n: 1.0, most: int = 16) -> int:
    """The draft length from 0 (do not draft) to `most` with the highest `predicted_speedup`; the shortest of equals."""
    return max(range(most + 1), key=lambda gamma: predicted_speedup(alpha, gamma, c, v))


def tree_tokens(tree: TokenTree, acceptances: Sequence[float]) -> float:
    """Tokens a step of `tree`: 1 + the sum over nodes of the product of the acceptances on its path.

    acceptances[i] = P(node i accepted | its parent accepted), earlier siblings included. Chen et al. 2024 (Sequoia, arXiv
    2402.12374), section 3.
    """
    reach = []
    for node, parent in enumerate(tree.parents):
        reach.append(acceptances[node] * (1.0 if parent == ROOT else reach[parent]))
    return 1.0 + sum(reach)


def acceptance_rate(runs: Sequence[Generation]) -> float:
    """Alpha: drafted levels of which a token was kept, over levels that were judged (those after a rejected one were not).

    In a chain every level is one token. In a tree it is all tokens at one depth, so that alpha answers: given that the path
    is right so far, how often does it go on inside the tree? Raises ValueError if no run has drafted anything.
    """
    kept = rejected = 0
    for run in runs:
        for step in run.steps:
            drafted = max((len(branch.tokens) for branch in step.branches), default=0)
            accepted = max((branch.accepted for branch in step.branches), default=0)
            kept += accepted
            rejected += accepted < drafted and step.extra is not None  # else the text ended here, at an EOS
    if kept + rejected == 0:
        raise ValueError("No draft was judged in these runs: give runs of a method that drafts.")
    return kept / (kept + rejected)


def acceptance_by_position(runs: Sequence[Generation], span: int) -> list[float]:
    """For each place in a draft of `span` tokens, the share of drafts of which the token there was kept, as vLLM counts it.

    A chain is meant, one branch a step. Drafts that were shorter, at the end of a text, are left out. Raises ValueError if none is
    left.
    """
    kept = [step.branches[0].accepted for run in runs for step in run.steps if [len(b.tokens) for b in step.branches] == [span]]
    if not kept:
        raise ValueError(f"No step of these runs drafted one branch of {span} tokens: give runs of a chain with that span.")
    return [sum(accepted > place for accepted in kept) / len(kept) for place in range(span)]


def predicted_rates(runs: Sequence[Generation], times: PassTimes) -> list[float]:
    """Tokens per second of each of `runs`, its prompt included, as its records and `times` foretell it."""
    return [len(run.new_ids) / times.seconds(run) for run in runs]


def predict(table: Comparison, times: PassTimes, method: str, to: str = "greedy") -> tuple[float, float, float]:
    """(low, median, high): the speed of `method` over that of `to` as `table.ratio(method, to)` measures it, but with the seconds
    that `times` foretells in place of the measured ones.

    The tokens, passes and tree sizes come from the records in `table`; its clock is not used. Raises KeyError for a method
    that was not compared or not timed: one without cached passes has no prediction.
    """
    rates = [predicted_rates(table.generations[label], times) for label in (method, to)]
    return median_ratio(*rates)
