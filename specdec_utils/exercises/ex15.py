"""Checks of notebook 15: passes of a continuous batch, the span that pays by an engine's own counts, GPUs that a model needs."""
import math
from collections.abc import Sequence

from . import exercise


def _whole(got) -> bool:
    return isinstance(got, int) and not isinstance(got, bool)


def _continuous(lengths: Sequence[int], slots: int, shortest_first: bool = False) -> int:
    ends = [0] * slots
    for length in sorted(lengths) if shortest_first else lengths:
        ends[ends.index(min(ends))] += length
    return max(ends)


@exercise("15.passes")
def _(answer):
    for lengths, slots in (([3, 9, 2, 4], 2), ([5], 4), ([4, 4, 4, 4], 2), ([7, 1, 1, 1, 6], 2), ([2, 3, 10], 2), ([6, 2, 2, 8, 1, 5], 3)):
        wanted, got = _continuous(lengths, slots), answer(list(lengths), slots)
        case = f"lengths={lengths}, slots={slots}"
        if _whole(got) and got == wanted:
            continue
        if got == sum(max(lengths[i:i + slots]) for i in range(0, len(lengths), slots)):
            return f"for {case} you return {got}: that is the static batch, whose places stand empty until its longest answer is written."
        if got == sum(lengths):
            return f"for {case} you return {got}, one pass for each token; a pass writes a token for every request that has a place."
        if got == math.ceil(sum(lengths) / slots) or got == sum(lengths) / slots:
            return f"for {case} you return {got}, as if the work could be dealt out evenly; one answer's tokens come one after another."
        if got == max(lengths):
            return f"for {case} you return {got}, as if all requests had a place from the start; there are only {slots}."
        if got == _continuous(lengths, slots, shortest_first=True):
            return f"for {case} you return {got}: take the requests in the order in which they came, not the shortest first."
        return f"for {case} it takes {wanted} passes, but you return {got!r}."
    return None


def _best(shares: Sequence[float], seconds: Sequence[float], tokens) -> int:
    return max(range(len(shares) + 1), key=lambda span: (tokens(shares, span) / seconds[span], -span))


@exercise("15.best_span")
def _(answer):
    flat, steep = [10, 11, 12, 13, 14], [10, 16, 22, 28, 34]
    cases = (([0.8, 0.7, 0.6, 0.5], flat), ([0.8, 0.5, 0.1, 0.05], steep), ([0.3, 0.1, 0.05, 0.0], steep), ([0.8, 0.7, 0.6, 0.5], steep),
             ([0.9, 0.5, 0.1, 0.05], flat), ([0.9, 0.8, 0.3, 0.2], [10, 13, 15, 17, 19]), ([0.7, 0.6, 0.55, 0.5], [10, 12, 17, 18, 19]))
    for shares, seconds in cases:
        wanted, got = _best(shares, seconds, lambda s, n: 1 + sum(s[:n])), answer(list(shares), list(seconds))
        case = f"shares={shares}, seconds={seconds}"
        if _whole(got) and got == wanted:
            continue
        if not _whole(got) or not 0 <= got <= len(shares):
            return f"for {case} you return {got!r}; return a number of drafted tokens from 0 to {len(shares)}."
        if got == _best(shares, seconds, lambda s, n: 1 + sum(math.prod(s[:i + 1]) for i in range(n))):
            return (f"for {case} you return {got}: do not multiply, vLLM's share at a place counts the drafts that were right *up to* "
                    "that place.")
        if wanted == 0:
            return f"for {case} no draft pays: 0 is an answer too, and its step takes seconds[0]."
        if got == _best(shares, seconds, lambda s, n: sum(s[:n])):
            return f"for {case} you return {got}: every step also brings the verifier's own token."
        if got == len(shares):
            return f"for {case} you return {got}, the most tokens a step; divide by the seconds of that step."
        return f"for {case} drafts of {wanted} write most tokens a second, but you return {got}."
    return None


@exercise("15.gpus")
def _(answer):
    gb = 1e9
    cases = ((8e9, 2, 131072, 100_000, 40 * gb), (30e9, 2, 100_000, 100_000, 40 * gb), (8e9, 2, 131072, 300_000, 40 * gb),
             (70e9, 2, 327_680, 100_000, 80 * gb), (70e9, 1, 327_680, 10_000, 80 * gb), (135e6, 4, 46_080, 8_192, 16 * gb),
             (405e9, 2, 516_096, 50_000, 80 * gb), (40e9, 2, 200_000, 200_000, 40 * gb))
    for weights, size, per_token, tokens, memory in cases:
        held, cached = weights * size, per_token * tokens
        fits = [n for n in (1, 2, 4, 8) if held / n + cached / n <= memory]
        wanted, got = (fits[0] if fits else None), answer(weights, size, per_token, tokens, memory)
        case = f"weights={weights:.3g}, bytes_each={size}, cache_bytes={per_token}, tokens={tokens}, memory={memory:.3g}"
        if got == wanted and not isinstance(got, bool):
            continue
        if got == next((n for n in (1, 2, 4, 8) if held / n <= memory), None):
            return f"for {case} you return {got}: the weights fit, but the keys and values of {tokens} tokens need room as well."
        if got == next((n for n in (1, 2, 4, 8) if held / n + cached <= memory), None):
            return f"for {case} you return {got}: tensor parallelism splits the heads, so each GPU holds its share of the cache only."
        if got == next((n for n in (1, 2, 4, 8) if held + cached / n <= memory), None):
            return f"for {case} you return {got}: that is data parallelism, a copy of all weights on each; here the weights are split too."
        if _whole(got) and got == math.ceil((held + cached) / memory):
            return f"for {case} you return {got}: it must divide the heads, so take 1, 2, 4 or 8, and None if 8 do not do."
        if wanted is None:
            return f"for {case} even 8 are too few: return None, but you return {got!r}."
        if got == next((n for n in (1, 2, 4, 8) if (weights + cached) / n <= memory), None):
            return f"for {case} you return {got}, as if a weight took one byte; here it takes {size}."
        return f"for {case} {wanted} are needed, but you return {got!r}."
    return None
