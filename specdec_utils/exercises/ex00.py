"""Checks of notebook 00."""
from . import exercise


@exercise("00.tokens_added")
def _(answer):
    cases = [([7, 8, 9], [7, 8, 9, 4], [7, 8, 9, 4]), ([7, 8, 9], [7, 5, 9, 4], [7, 5]), ([7, 8], [1, 8, 2], [1]), ([], [3], [3])]
    for draft, choices, truth in cases:
        got = answer(list(draft), list(choices))
        if not isinstance(got, (list, tuple)):
            return f"return a list of tokens, not {type(got).__name__}."
        got = list(got)
        if got == truth:
            continue
        if got == truth[:-1]:
            which = "the bonus token after a draft that is right throughout" if len(truth) > len(draft) else \
                "the verifier's own token in place of the first wrong guess"
            return f"for draft {draft} and choices {choices} you left out {which}."
        if draft and got == [d for d, c in zip(draft, choices) if d == c] + choices[-1:] or len(got) > len(truth):
            return (f"for draft {draft} and choices {choices} you went on after the first disagreement; what was drafted there "
                    "follows a token that was rejected.")
        if got and got[-1] in draft and got[:-1] == truth[:-1]:
            return f"for draft {draft} and choices {choices} you kept the rejected guess instead of the verifier's token."
        return f"for draft {draft} and choices {choices} the step adds {truth}, not {got}."
    return None


@exercise("00.tokens_per_step")
def _(answer):
    for alpha, gamma in [(0.5, 2), (0.8, 4), (0.0, 3), (1.0, 3), (0.3, 1)]:
        truth = sum(alpha**i for i in range(gamma + 1))
        try:
            got = float(answer(alpha, gamma))
        except ZeroDivisionError:
            return f"alpha = {alpha:g} divides by zero in the closed form; for this alpha the sum is gamma + 1."
        if abs(got - truth) < 1e-6:
            continue
        where = f"for alpha = {alpha:g}, gamma = {gamma}"
        if abs(got - (truth - 1)) < 1e-6:
            return f"{where} you counted only the accepted guesses; the verifier adds one token of its own in every step."
        if abs(got - (truth - alpha**gamma)) < 1e-6:
            return f"{where} one term is missing: a sum up to alpha ** gamma has gamma + 1 terms."
        if abs(got - (1 + alpha * gamma)) < 1e-6 or abs(got - alpha * gamma) < 1e-6:
            return f"{where} you count each guess by itself; guess i counts only if all before it were kept: alpha ** i."
        return f"{where} the answer is {truth:.3f}, not {got:.3f}."
    return None
