"""Checks of notebook 13: what goes into the drafter, which nodes are worth drafting, acceptance by depth."""
import itertools
import math
import operator

from . import exercise


@exercise("13.features_and_tokens")
def _(answer):
    for ids in ([5, 6, 7, 8, 9], [3, 3, 4, 1], [5, 6, 7], [5, 6], [4]):
        got, want, case = answer(list(ids)), [(t, ids[t + 1], ids[t + 2]) for t in range(len(ids) - 2)], f"ids={ids}"
        if not isinstance(got, (list, tuple)) or not all(isinstance(one, (list, tuple)) and len(one) == 3 for one in got):
            return f"for {case} you return {got!r}; return a list of triples (place of the feature, token beside it, token to guess)."
        got = [tuple(one) for one in got]
        if got == want:
            continue
        if got == [(t, ids[t], ids[t + 1]) for t in range(len(ids) - 1)]:
            return f"for {case} you put x_t beside f_t, but f_t has read x_t already; the token beside it is the *next* one."
        if got == [(t, ids[t + 1], ids[t + 1]) for t in range(len(ids) - 1)]:
            return f"for {case} the drafter is to guess the token that it is given; x_t+1 is known, the guess is for the token after it."
        if got == [(t, ids[t], ids[t + 2]) for t in range(len(ids) - 2)]:
            return f"for {case} the guesses are right, but beside f_t stands x_t, which f_t has read already; it should be x_t+1."
        if got == [(t + 1, ids[t + 1], ids[t + 2]) for t in range(len(ids) - 2)]:
            return f"for {case} you pair each token with its own feature, which the verifier has not computed yet when drafting begins."
        if got == [(t + 2, *rest) for t, *rest in want]:
            return f"for {case} you name the place of the token to guess; the first entry is the place of the feature."
        if len(got) > len(want):
            return (f"for {case} there are {len(want)} places with a token to guess, but you return {len(got)} triples; the last ones "
                    "look past the end.")
        return f"for {case} the triples are {want}, but you return {got}."
    return None


def _first_below(values, least: float) -> int:
    return next((i for i, value in enumerate(values) if value < least), len(values))


@exercise("13.worth_drafting")
def _(answer):
    cases = (([0.9, 0.8, 0.5, 0.6, 0.5, 0.1], 0.001, 250.0), ([0.5, 0.5, 0.5], 0.25, 1.0), ([0.6, 0.9, 0.9, 0.4], 0.001, 450.0),
             ([0.9, 0.3, 0.99, 0.99], 0.0005, 700.0), ([0.2, 0.9], 0.001, 300.0), ([1.0, 1.0], 0.001, 500.0), ([], 0.001, 500.0))
    for chances, seconds, rate in cases:
        reach, price = list(itertools.accumulate(chances, operator.mul)), seconds * rate
        case = f"chances={chances}, seconds={seconds}, rate={rate}"
        want, got = _first_below(reach, price), answer(list(chances), seconds, rate)
        if isinstance(got, bool) or not isinstance(got, int):
            return f"for {case} you return {got!r}; return how many tokens to draft, a whole number."
        if got == want:
            continue
        if got == _first_below(chances, price):
            return f"for {case} you return {got}: compare the *reach*, the product of all chances so far, with the price."
        if got == sum(chance >= price for chance in chances):
            return f"for {case} you return {got}: you count single chances; a token is kept only if all before it were."
        if got == next((i for i, value in enumerate(reach) if value <= price), len(reach)):
            return f"for {case} you return {got}: a token that brings exactly its price is worth drafting (>=)."
        if got == _first_below(reach, seconds):
            return f"for {case} you return {got}: seconds are no tokens; seconds * rate is what this time brings otherwise."
        if got == _first_below(reach, rate) or got == _first_below(reach, rate / max(seconds, 1e-9)):
            return f"for {case} you return {got}: the price is seconds times rate, in tokens."
        if got == want + 1:
            return f"for {case} you return {got}: the first token that is not worth its price is not drafted either."
        return f"for {case} {want} tokens are worth drafting, but you return {got}."
    return None


def _shares(drafts, judged) -> list[float]:
    """For each depth that a draft was judged at, the share that was accepted there; judged(drafted, accepted, depth) says where."""
    shares = []
    for depth in range(1, 1 + max((drafted for drafted, _ in drafts), default=0)):
        asked = [accepted >= depth for drafted, accepted in drafts if judged(drafted, accepted, depth)]
        if not asked:
            break
        shares.append(sum(asked) / len(asked))
    return shares


@exercise("13.acceptance_by_depth")
def _(answer):
    cases = ([(3, 0), (2, 2), (3, 3), (3, 1)], [(4, 4), (2, 2), (1, 1), (1, 0)], [(2, 0), (2, 0)], [(1, 1)], [], [(5, 1), (3, 3), (0, 0)])
    for drafts in cases:
        got, want, case = answer(list(drafts)), _shares(drafts, lambda n, kept, depth: n >= depth and kept >= depth - 1), f"drafts={drafts}"
        if not isinstance(got, (list, tuple)):
            return f"for {case} you return {got!r}; return a list, one share for each depth."

        def same(other) -> bool:
            return len(got) == len(other) and all(isinstance(a, (int, float)) and math.isclose(a, b) for a, b in zip(got, other))
        if same(want):
            continue
        if len(got) == max((n for n, _ in drafts), default=0) > len(want):
            return f"for {case} no token was judged deeper than {len(want)}; leave the deeper places out."
        if same(_shares(drafts, lambda n, kept, depth: True)):
            return f"for {case} you divide by all drafts; at depth d only drafts of d tokens were judged whose first d - 1 were accepted."
        if same(_shares(drafts, lambda n, kept, depth: n >= depth)):
            return f"for {case} you divide by all drafts that are long enough; a token below a rejected one was never judged."
        if same(_shares(drafts, lambda n, kept, depth: kept >= depth - 1)):
            return f"for {case} you also count drafts that end before that depth; a token that was not drafted was not judged."
        return f"for {case} the shares are {want}, but you return {got}."
    return None
