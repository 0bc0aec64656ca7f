"""Checks of notebook 08: the size of a cache, a safe rollback, drafting with a cache."""
import torch

from . import exercise


@exercise("08.cache_bytes")
def _(answer):
    for case in ((16, 192, 512, 4), (2, 64, 10, 2), (1, 1, 1, 1), (24, 1024, 0, 2)):
        layers, width, positions, size = case
        got, want = answer(*case), 2 * layers * width * positions * size
        if got == want:
            continue
        where = f"for layers={layers}, width={width}, positions={positions}, bytes_per_number={size}"
        if got * 2 == want:
            return f"{where} you count only one vector per position and layer, but a key *and* a value are kept."
        if got * size == want:
            return f"{where} you return how many numbers are kept; each of them takes {size} bytes."
        if got * layers == want:
            return f"{where} you count one layer; every layer keeps keys and values of its own."
        return f"{where} it takes {want} bytes, not {got!r}."
    return None


class _Cache:
    """A cache of numbers with the strictest `crop` there has been: 0 empties it, a positive number is not allowed."""

    def __init__(self, length: int):
        self.kept, self.crops = list(range(length)), []

    def get_seq_length(self) -> int:
        return len(self.kept)

    def crop(self, n: int) -> None:
        self.crops.append(n)
        if n > 0:
            raise ValueError(f"crop({n}): a positive number is not allowed")
        self.kept = self.kept[:n]


@exercise("08.roll_back")
def _(answer):
    for length, prefix in ((8, 6), (8, 3), (8, 7), (8, 8), (5, 6), (4, 0)):
        cache, where = _Cache(length), f"cache of {length}, prefix {prefix}"
        try:
            got = answer(cache, prefix)
        except ValueError as error:
            return f"{where}: {error}; crop takes the number of positions to drop, with a minus in front."
        drop = max(0, length - prefix)
        if 0 in cache.crops:
            return f"{where}: you call crop(-0), which has emptied the cache in some versions; when nothing is to be dropped, call nothing."
        if len(cache.kept) != length - drop:
            if cache.crops == [-prefix]:
                return f"{where}: you drop {prefix} positions, but {prefix} must be kept."
            if prefix > length:
                return f"{where}: the cache is short enough already, but you left {len(cache.kept)} positions."
            return f"{where}: {length - drop} positions should be left, but {len(cache.kept)} are."
        if got != drop or isinstance(got, bool):
            hint = ", the number that is left; return how many were dropped" if got == len(cache.kept) else ""
            return f"{where}: {drop} positions were dropped, but you return {got!r}{hint}."
    return None


class _Drafter:
    """Its next token is a sum over all that it has read, weighted by place: a hole in its cache shows."""

    def __init__(self, read: list[int]):
        self.read, self.calls = list(read), 0

    @property
    def length(self) -> int:
        return len(self.read)

    def guess(self) -> int:
        return sum((place + 1) * token for place, token in enumerate(self.read)) % 11

    def feed(self, tokens, wanted: int = 1) -> torch.Tensor:
        if len(tokens) == 0:
            raise ValueError("a pass over no token: nothing was left to feed")
        self.read += [int(token) for token in tokens]
        self.calls += 1
        return torch.eye(11)[self.guess()].expand(wanted, -1)


@exercise("08.draft_with_cache")
def _(answer):
    text = [3, 1, 4, 1, 5, 9, 2]
    for known, span in ((0, 3), (6, 3), (5, 3), (5, 1), (3, 4)):  # 6: it lacks the last token; 5: its own last draft as well
        drafter, model = _Drafter(text[:known]), _Drafter(text)
        want = []
        for _ in range(span):
            want.append(model.guess())
            model.feed(want[-1:])
        try:
            got = answer(drafter, list(text), span)
        except ValueError as error:
            return f"with {known} of {len(text)} tokens read, span {span}: {error}; the last token of a text is always unread."
        got = list(got) if isinstance(got, (list, tuple)) else got
        where = f"with {known} of {len(text)} tokens read, span {span}"
        if len(drafter.read) > len(text) + span:
            return f"{where}: you feed tokens that the cache already holds; feed only what it lacks, from drafter.length on."
        if drafter.calls == span + 1 and drafter.read == text + want:
            return f"{where}: {drafter.calls} passes; you also feed the last draft, although nothing is drafted after it."
        if drafter.read[:len(text)] != text:
            return f"{where}: the cache now holds {drafter.read}, which is not a beginning of the text; is a token missing in it?"
        if drafter.calls != span:
            return f"{where}: you make {drafter.calls} passes, but {span} are enough: one for each token."
        if got != want:
            return f"{where}: the drafter's greedy tokens are {want}, but you return {got!r}."
    return None
