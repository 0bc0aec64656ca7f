"""The suspects of exercise 16.find_mutants: rules for independent draws, some of them wrong in a way that not every case shows."""
from ..decode.accept import with_replacement
from ..decode.laws import resample_from_p


def _norm(weights, fallback):
    return weights / weights.sum() if weights.sum() > 0 else fallback


def _excess(p, q):
    return (p - q + abs(p - q)) / 2


def rule_a(p, q, candidates):
    accept, residuals = [], []
    for x in candidates:
        accept.append(min(1, p[x] / q[x]))
        p = _norm(_excess(p, q), p)
        residuals.append(p)
    return accept, residuals


def rule_b(p, q, candidates):
    accept, residuals, left = [], [], p
    for x in candidates:
        accept.append(min(1, p[x] / q[x]))
        left = _norm(_excess(left, q), left)
        residuals.append(left)
    return accept, residuals


def rule_c(p, q, candidates):
    accept, residuals = [], []
    for x in candidates:
        accept.append(min(p[x], q[x]) / (2 * q[x]))
        kept = (p + q - abs(p - q)) / 4
        p = _norm(p - kept, p)
        residuals.append(p)
    return accept, residuals


def rule_d(p, q, candidates):
    accept, residuals = [], []
    for x in candidates:
        accept.append(min(1, p[x] / q[x]))
        p = _norm(_excess(p, q), p)
        if accept[-1] < 1:
            p[x] = 0
            p = _norm(p, p)
        residuals.append(p)
    return accept, residuals


def rule_e(p, q, candidates):
    accept, residuals = [], []
    for x in candidates:
        accept.append(min(1, p[x] / q[x]))
        left = _excess(p, q) * (q > 0)
        p = _norm(left, p)
        residuals.append(p)
    return accept, residuals


SUSPECTS = {"A": rule_a, "B": rule_b, "C": rule_c, "D": rule_d, "E": rule_e}


def _never_gives_up(p, q, candidates):
    accept, residuals = rule_a(p, q, candidates)
    return [max(a, q[x] / 10) for a, x in zip(accept, candidates)], residuals


def _forgets_after_two(p, q, candidates):
    accept, residuals = rule_a(p, q, candidates)
    return accept, [*residuals[:2], *(p for _ in residuals[2:])]


# What tells each mutant; a rule that is not named here is exact.
TELLTALE = {
    rule_b: "it judges the second draft by the p of the first, so it takes two drafts to show",
    rule_e: "it draws only what q could have drafted, so it takes a q that is 0 where p is not",
    resample_from_p: "it goes on from p after a rejection, which a single draft shows, unless p and q are alike",
    _never_gives_up: "it sometimes keeps what p rules out, so it takes a p that is 0, or nearly, where q is not",
    _forgets_after_two: "it draws from p after a third rejection, so it takes three drafts to show",
}
LINE_UPS = (SUSPECTS, {"one": rule_a, "two": with_replacement, "three": rule_d}, {"four": rule_c, "five": resample_from_p},
            {"six": _never_gives_up, "seven": rule_d, "eight": _forgets_after_two})
