"""What a rule writes, enumerated: every draft that a law of drafting can give, every decision that the rule can take."""
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from fractions import Fraction
from numbers import Real

import numpy

from .accept import with_replacement

# The three laws of drafting: every candidate list that k drafts from q can give, each with its probability.

def independent(q, k: int) -> Iterator[tuple[list[int], Real]]:
    """Every list of `k` independent draws from `q` [V] with its probability."""
    for candidates in itertools.product(range(len(q)), repeat=k):
        chance = math.prod(q[x] for x in candidates)
        if chance > 0:
            yield list(candidates), chance


def distinct(q, k: int) -> Iterator[tuple[list[int], Real]]:
    """Every list of `k` draws without replacement from `q` [V], in the order drawn, with its probability; where `q` has fewer
    tokens, all of them."""
    support = [x for x in range(len(q)) if q[x] > 0]
    for candidates in itertools.permutations(support, min(k, len(support))):
        chance, left = 1, 1
        for x in candidates:
            chance, left = chance * q[x] / left, left - q[x]
        yield list(candidates), chance


def chosen(q, k: int) -> Iterator[tuple[list[int], Real]]:
    """The `k` most probable tokens of `q` [V], best first: one list, certain, nothing drawn."""
    yield sorted(range(len(q)), key=lambda x: -q[x])[:k], 1


def output_law(rule: Callable, p, q, draws: Iterable[tuple[list[int], Real]]):
    """What `rule` writes when candidates come as `draws` says, enumerated: (accepted, drawn), both [V] like `p`.

    accepted[x] is the probability that x is written because a draft of it was accepted, drawn[x] that it is drawn after all
    drafts were rejected. The law of the token is their sum, the acceptance is accepted.sum(). `rule` is one of
    `accept.RULES` or any function like them; p and q are arrays (torch or numpy); with `fractions.Fraction` in numpy
    object arrays the result is exact.
    """
    accepted, drawn = 0 * p, 0 * p
    for candidates, chance in draws:
        accept, residuals = rule(p, q, candidates)
        for x, a in zip(candidates, accept):
            accepted[x] += chance * a
            chance = chance * (1 - a)
        drawn += chance * (residuals[-1] if candidates else p)
    return accepted, drawn


def exact_law(weights: Sequence[Real], name: str = "p") -> numpy.ndarray:
    """`weights` as probabilities: an object array [V] of fractions with sum 1. A float counts as the decimal it prints as.

    Raises ValueError, one sentence, for a negative or infinite weight, or if all are 0.
    """
    for weight in weights:
        if not (isinstance(weight, Real) and math.isfinite(weight) and weight >= 0):
            raise ValueError(f"A weight of {name} is {weight!r}: each must be a number of at least 0.")
    exact = numpy.array([Fraction(str(weight)) for weight in weights], dtype=object)
    if not exact.sum() > 0:
        raise ValueError(f"All weights of {name} are 0: give at least one token a weight above 0.")
    return exact / exact.sum()


def resample_from_p(p, q, candidates):
    """A mutant, NOT lossless: the rule of independent draws that goes on from p after a rejection, not from (p - q)+."""
    return [with_replacement(p, q, [x])[0][0] for x in candidates], [p for _ in candidates]
