"""Checks of notebook 10: the residual, the oracle, the acceptance of several drafts."""
from fractions import Fraction
from math import isclose

import numpy

from ..decode.accept import with_replacement, without_replacement
from ..decode.laws import distinct, output_law, resample_from_p
from . import exercise


def _law(*weights):
    return [Fraction(w, sum(weights)) for w in weights]


def _shown(law):
    return "(" + ", ".join(map(str, law)) + ")"


def _equal(got, want):
    return len(got) == len(want) and all(isclose(a, b, abs_tol=1e-9) for a, b in zip(got, want))


PAIRS = [(_law(5, 3, 2, 0), _law(2, 2, 4, 2)), (_law(1, 1), _law(1, 0)), (_law(1, 2, 3, 4), _law(4, 3, 2, 1)),
         (_law(0, 6, 3, 1), _law(5, 0, 4, 1))]


@exercise("10.residual")
def _(answer):
    for p, q in PAIRS:
        got, case = answer(list(p), list(q)), f"p={_shown(p)}, q={_shown(q)}"
        try:
            got = list(got)
        except TypeError:
            return f"for {case} you return {got!r}; return a list with one probability for each token."
        excess = [max(a - b, 0) for a, b in zip(p, q)]
        total = sum(excess)
        if _equal(got, [e / total for e in excess]):
            continue
        if _equal(got, p):
            return f"for {case} you return p itself, the mutant: tokens that the drafter proposes too often would get a second chance."
        if _equal(got, excess):
            return f"for {case} your list sums to {total}; divide by that sum to make it a distribution."
        if any(value < 0 for value in got):
            return f"for {case} an entry is negative; cut p - q at zero before you normalise."
        if _equal(got, [abs(a - b) / (2 * total) for a, b in zip(p, q)]) or _equal(got, [abs(a - b) for a, b in zip(p, q)]):
            return f"for {case} you use |p - q|; what q has too much of must become 0, not positive."
        if _equal(got, [max(b - a, 0) / total for a, b in zip(p, q)]):
            return f"for {case} you subtract the wrong way round; the residual is where p is larger than q."
        return f"for {case} the residual is {_shown(e / total for e in excess)}, and you return {got}."
    same = _law(3, 2, 1)
    try:
        got = answer(list(same), list(same))
    except ZeroDivisionError:
        return "for p = q you divide by zero; nothing is left of p - q, so return p."
    if not _equal(list(got), same):
        return f"for p = q nothing is left of p - q, so return p; you return {list(got)}."
    return None


def _unscaled(p, q, candidates):
    """A mutant: q loses the rejected token and is not scaled up."""
    accept, residuals, q = [], [], q * 1
    for x in candidates:
        (a,), (p,) = with_replacement(p, q, [x])
        q[x] = 0
        accept.append(a)
        residuals.append(p)
    return accept, residuals


def _halved(p, q, candidates):
    """Exact, and slow: each candidate is rejected half of the time for no reason, and p is mixed accordingly."""
    accept, residuals = [], []
    for x in candidates:
        (a,), (after,) = without_replacement(p, q, [x])
        accept.append(a / 2)
        rejected = 1 - sum(min(one, other) for one, other in zip(p, q)) / 2
        p = (p - numpy.array([min(one, other) / 2 for one, other in zip(p, q)], dtype=object)) / rejected
        residuals.append(p)
        q = q * 1
        q[x] = 0
        q = q / q.sum() if q.sum() > 0 else q
    return accept, residuals


RULES = {"the rule without replacement": without_replacement, "a mutant that goes on from p": resample_from_p,
         "a rule that is slow and right": _halved, "the rule for independent draws": with_replacement,
         "a mutant that does not renormalise q": _unscaled}


@exercise("10.is_exact")
def _(answer):
    for p, q in [(_law(5, 3, 2, 0), _law(2, 2, 4, 2)), (_law(1, 2, 3, 4, 5), _law(4, 3, 2, 1, 1)), (_law(1, 2, 3), _law(1, 2, 3))]:
        p, q = numpy.array(p, dtype=object), numpy.array(q, dtype=object)
        for name, rule in RULES.items():
            for k in (1, 2, 3):
                accepted, drawn = output_law(rule, p, q, distinct(q, k))
                want = bool(all(accepted + drawn == p))
                got = answer(rule, p * 1, q * 1, k)
                case = f"{name}, p={_shown(p)}, q={_shown(q)}, k={k}"
                if not isinstance(got, (bool, numpy.bool_)):
                    return f"for {case} you return {got!r}; return True or False."
                if got == want:
                    continue
                if want and bool(all(accepted == p)) == got:
                    return f"for {case} you say False; add what is drawn after the rejections to what is accepted, then compare."
                if want:
                    return f"for {case} the rule writes exactly p, and you say False."
                return (f"for {case} the rule writes {_shown(accepted + drawn)}, which is not p, and you say True; "
                        "compare every entry, with k draws without replacement.")
    return None


@exercise("10.some_accepted")
def _(answer):
    for p, q in PAIRS:
        beta = sum(min(a, b) for a, b in zip(p, q))
        rejected, current = 1, p
        for k in (1, 2, 3):
            overlap = sum(min(a, b) for a, b in zip(current, q))
            rejected *= 1 - overlap
            current = [max(a - b, 0) / (1 - overlap) for a, b in zip(current, q)]
            got, case = answer(list(p), list(q), k), f"p={_shown(p)}, q={_shown(q)}, k={k}"
            if not isinstance(got, (int, float, Fraction)):
                return f"for {case} you return {got!r}; return one number."
            if isclose(got, 1 - rejected, abs_tol=1e-9):
                continue
            if isclose(got, rejected, abs_tol=1e-9):
                return f"for {case} you return the probability that all are rejected; the answer is 1 minus that."
            if isclose(got, 1 - (1 - beta) ** k, abs_tol=1e-9):
                return f"for {case} you take every draft to be worth as much as the first; after a rejection p is its residual."
            if isclose(got, k * beta, abs_tol=1e-9):
                return f"for {case} you add the acceptances up; a second draft counts only where the first was rejected."
            return f"for {case} the probability is {1 - rejected}, and you return {got}."
    same = _law(3, 2, 1)
    try:
        got = answer(list(same), list(same), 2)
    except ZeroDivisionError:
        return "for p = q you divide by zero; the first draft is always accepted then, so the answer is 1."
    if not isclose(got, 1, abs_tol=1e-9):
        return f"for p = q the first draft is always accepted; the answer is 1, and you return {got}."
    return None
