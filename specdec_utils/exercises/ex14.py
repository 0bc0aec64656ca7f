"""Checks of notebook 14: what a pass waits for, how many tokens it carries for nothing, which method wins."""
import math

from . import exercise


def _is(got, wanted: float) -> bool:
    return isinstance(got, (int, float)) and math.isclose(got, wanted, rel_tol=1e-6, abs_tol=1e-12)


@exercise("14.pass_seconds")
def _(answer):
    cases = ((100e6, 4, 1, 10e9, 50e9), (100e6, 2, 3, 100e9, 10e9), (100e6, 2, 16, 10e9, 50e9), (100e6, 4, 10, 10e9, 50e9),
             (7e9, 2, 1, 800e9, 100e12))
    for weights, size, tokens, bandwidth, arithmetic in cases:
        reading, computing = weights * size / bandwidth, 2 * weights * tokens / arithmetic
        wanted, got = max(reading, computing), answer(weights, size, tokens, bandwidth, arithmetic)
        case = f"weights={weights:.0e}, bytes_each={size}, tokens={tokens}, bandwidth={bandwidth:.0e}, arithmetic={arithmetic:.0e}"
        if _is(got, wanted):
            continue
        if _is(got, reading + computing):
            return f"for {case} you add the two times, but a processor computes while it reads: the longer one counts."
        if _is(got, max(reading * tokens, computing)):
            return f"for {case} you read the weights once for each token; one reading serves all tokens of a pass."
        if _is(got, max(reading, computing / 2)):
            return f"for {case} you count one operation for a weight; each is multiplied *and* added."
        if _is(got, max(weights / bandwidth, computing)):
            return f"for {case} you read one byte for a weight; here each has {size}."
        if _is(got, max(reading, computing / tokens)):
            return f"for {case} you compute for one token only; the arithmetic has to be done for each token."
        if _is(got, reading):
            return f"for {case} you return the time of reading, but the arithmetic takes longer here."
        if _is(got, computing):
            return f"for {case} you return the time of the arithmetic, but reading the weights takes longer here."
        if _is(got, 1000 * wanted):
            return f"for {case} you return milliseconds; return seconds."
        return f"for {case} the pass takes {wanted:.6g} seconds, but you return {got!r}."
    return None


@exercise("14.tokens_for_nothing")
def _(answer):
    for size, bandwidth, arithmetic in ((4, 10e9, 50e9), (2, 10e9, 50e9), (4, 8e9, 45e9), (2, 800e9, 100e12), (2, 30e9, 25e9)):
        exact, got = size * arithmetic / (2 * bandwidth), answer(size, bandwidth, arithmetic)
        case = f"bytes_each={size}, bandwidth={bandwidth:.0e}, arithmetic={arithmetic:.0e}"
        wanted = math.floor(exact)
        if _is(got, wanted):
            continue
        if _is(got, exact):
            return f"for {case} you return {got!r}; a pass carries whole tokens, so round down."
        if _is(got, math.ceil(exact)):
            return f"for {case} you return {got!r}, and with so many tokens the arithmetic takes longer than the reading: round down."
        if _is(got, math.floor(2 * exact)):
            return f"for {case} you count one operation for a weight and token; it is a multiplication and an addition."
        if _is(got, math.floor(exact / size)):
            return f"for {case} you read one byte for a weight; here each has {size}."
        if _is(got, math.floor(4 * bandwidth / (size * 2 * arithmetic))) or _is(got, math.floor(2 * bandwidth / (size * arithmetic))):
            return f"for {case} the fraction is upside down: fast arithmetic lets a pass carry *more* tokens."
        if _is(got, max(1, wanted)):
            return f"for {case} even one token takes longer to compute than its weights take to read: return 0."
        return f"for {case} a pass carries {wanted} tokens before the arithmetic takes longer, but you return {got!r}."
    return None


def _seconds(step, verify, draft) -> float:
    drafted, passes, _ = step
    return verify(1 + drafted) + passes * draft


def _rate(steps, verify, draft) -> float:
    return sum(step[2] for step in steps) / sum(_seconds(step, verify, draft) for step in steps)


@exercise("14.winner")
def _(answer):
    def flat(n):
        return 0.030 + 0.001 * n

    def steep(n):
        return 0.010 + 0.020 * n

    summary = {"greedy": [(0, 0, 1)] * 6, "lookup": [(5, 0, 6), (0, 0, 1), (5, 0, 4)], "eagle": [(4, 4, 5), (4, 4, 3), (4, 4, 4)]}
    story = {"greedy": [(0, 0, 1)] * 6, "lookup": [(0, 0, 1)] * 4 + [(5, 0, 1)], "eagle": [(4, 4, 3), (4, 4, 2), (4, 4, 4)]}
    uneven = {"lookup": [(0, 0, 1), (0, 0, 1), (20, 0, 1)], "eagle": [(3, 3, 2), (3, 3, 2)]}
    short = {"greedy": [(0, 0, 1)] * 2, "lookup": summary["lookup"]}
    for runs, verify, draft in ((story, steep, 0.05), (summary, flat, 0.02), (story, steep, 0.004), (uneven, steep, 0.004),
                                (story, flat, 0.004), (summary, flat, 0.002), (short, flat, 0.004)):
        def best(rate, runs=runs):
            return max(runs, key=lambda name: rate(runs[name]))

        wanted, got = best(lambda steps: _rate(steps, verify, draft)), answer({k: list(v) for k, v in runs.items()}, verify, draft)
        case = f"runs={runs}, verify(1)={verify(1):.3f}, verify(5)={verify(5):.3f}, draft={draft}"
        if not isinstance(got, str) or got not in runs:
            return f"for {case} you return {got!r}; return the name of one of the methods."
        if got == wanted:
            continue
        if got == best(lambda steps: sum(step[2] / _seconds(step, verify, draft) for step in steps) / len(steps)):
            return f"for {case} you average the speeds of single steps; divide all tokens by all seconds, since long steps weigh more."
        if got == best(lambda steps: _rate(steps, lambda n: verify(1), draft)):
            return f"for {case} you return {got!r}: a pass that verifies a draft of n tokens takes verify(1 + n), not verify(1)."
        if got == best(lambda steps: _rate(steps, verify, 0.0)):
            return f"for {case} you return {got!r}: the passes of the drafter are not on the bill."
        if got == best(lambda steps: sum(step[2] for step in steps) / len(steps)):
            return f"for {case} {got!r} brings most tokens a step, but its steps take longer; {wanted!r} brings most a second."
        if got == best(lambda steps: -sum(_seconds(step, verify, draft) for step in steps)):
            return f"for {case} {got!r} takes the shortest time, but it also writes fewer tokens; compare tokens a second."
        if got == best(lambda steps: -_rate(steps, verify, draft)):
            return f"for {case} you return the slowest, {got!r}: divide tokens by seconds, and take the largest."
        return f"for {case} the fastest is {wanted!r}, but you return {got!r}."
    return None
