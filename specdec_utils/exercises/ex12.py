"""Checks of notebook 12: tokens a step, the break-even drafter, the bill of a run."""
import math

from . import exercise


def _is(got, wanted: float) -> bool:
    return isinstance(got, (int, float)) and math.isclose(got, wanted, rel_tol=1e-6, abs_tol=1e-9)


@exercise("12.tokens_from_chances")
def _(answer):
    for chances in ([0.8, 0.8, 0.8, 0.8], [0.9, 0.5, 0.25], [0.5], [], [0.0, 0.9], [1.0, 1.0]):
        reach = [math.prod(chances[:i]) for i in range(len(chances) + 1)]
        got, case = answer(list(chances)), f"chances={chances}"
        if _is(got, sum(reach)):
            continue
        if _is(got, 1 + sum(chances)):
            return f"for {case} you add the chances, but a draft counts only if all before it were accepted: multiply along the chain."
        if _is(got, sum(reach) - 1):
            return f"for {case} the verifier's own token is missing: a step writes at least one token."
        if _is(got, reach[-1]) or _is(got, 1 + reach[-1]):
            return f"for {case} you count only the end of the chain; each accepted draft on the way brings a token as well."
        if _is(got, sum(reach[:-1])):
            return f"for {case} the last draft is missing; with {len(chances)} drafts there are {len(chances) + 1} terms."
        return f"for {case} a step brings {sum(reach):.4f} tokens on average, but you return {got!r}."
    return None


@exercise("12.dearest_drafter")
def _(answer):
    for alpha, gamma, v in ((0.8, 4, 1.2), (0.5, 1, 1.0), (0.9, 2, 1.5), (0.1, 3, 1.3), (1.0, 4, 1.0), (0.0, 2, 1.0)):
        tokens = sum(alpha**i for i in range(gamma + 1))
        wanted, got, case = (tokens - v) / gamma, answer(alpha, gamma, v), f"alpha={alpha}, gamma={gamma}, v={v}"
        if _is(got, wanted):
            continue
        if _is(got, (tokens - 1) / gamma):
            return f"for {case} you take verification as free, but the pass costs v."
        if _is(got, tokens - v):
            return f"for {case} you return what is left for all {gamma} drafts together; c is the price of one."
        if _is(got, tokens / (gamma * v)) or _is(got, tokens / gamma - v):
            return f"for {case} solve E = gamma c + v for c: first subtract v, then divide by gamma."
        if _is(got, (tokens - v) / (gamma + 1)):
            return f"for {case} you divide by gamma + 1; the drafter drafts gamma tokens, the verifier adds one more."
        if _is(got, (tokens - alpha**gamma - v) / gamma):
            return f"for {case} a term of E is missing: with gamma drafts a step brings up to gamma + 1 tokens."
        if _is(got, max(0.0, wanted)):
            return f"for {case} even a free drafter loses; return the negative number {wanted:.4f} to say so."
        return f"for {case} the break-even c is {wanted:.4f}, but you return {got!r}."
    return None


@exercise("12.speed_from_counts")
def _(answer):
    def v(n):
        return 1 + 0.1 * (n - 1)

    for tokens, nodes, passes, c in ((10, [4, 4, 4], 12, 0.2), (9, [0, 3, 12], 5, 0.1), (5, [0] * 5, 0, 0.3), (6, [8], 0, 0.2)):
        bill = sum(v(1 + n) for n in nodes) + c * passes
        got, case = answer(tokens, list(nodes), passes, c, v), f"tokens={tokens}, nodes={nodes}, drafter_passes={passes}, c={c}"
        if _is(got, tokens / bill):
            continue
        if _is(got, bill / tokens):
            return f"for {case} you return how many times slower it is; turn the fraction round."
        if _is(got, tokens / (bill - c * passes)):
            return f"for {case} the drafter's passes are not on the bill."
        if _is(got, tokens / (len(nodes) + c * passes)):
            return f"for {case} you count every verifier pass as 1; a pass over n tokens costs v(n)."
        if _is(got, tokens / (sum(v(n) for n in nodes) + c * passes)):
            return f"for {case} the pass also reads the newest token of the text: v(1 + n)."
        if _is(got, tokens / (v(sum(nodes)) + c * passes)) or _is(got, tokens / (v(1 + sum(nodes)) + c * passes)):
            return f"for {case} there are {len(nodes)} verifier passes, one per step; add up their prices, not their tokens."
        if _is(got, tokens / (sum(v(1 + n) for n in nodes) + passes)):
            return f"for {case} a drafter pass costs c, not a whole verifier step."
        return f"for {case} the speed over greedy is {tokens / bill:.4f}, but you return {got!r}."
    return None
