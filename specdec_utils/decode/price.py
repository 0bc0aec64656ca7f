"""Drafting by price: a drafted token must bring more than its time would bring otherwise.

Each node of a draft is kept with some probability, its reach: that of its parent times the acceptance to be expected of a token of
which the drafter is so sure. It takes time to be drafted and to be verified. It is worth that if reach >= seconds * rate, where rate is
what decoding brings anyway, in tokens a second. All of this is known before the next token is drawn, so that every rule of
acceptance stays exact.
"""
import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from .passes import PassTimes
from .records import StepPrice
from .tree import ROOT, TokenTree

EDGES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98)  # between the bins of a drafter's probability
CENTRES = tuple((low + high) / 2 for low, high in zip((0.0, *EDGES), (*EDGES, 1.0)))
BELIEF = 2.0  # judged tokens that a drafter's own word is worth, in each bin
MEMORY = 10.0  # judged tokens that whatever was counted before a run is worth at most, in each bin
AHEAD = 4  # levels that a decision to draft on looks ahead


def sureness(size: int) -> float:
    """What stands for a drafter's probability where the last `size` tokens of a text were found earlier in it."""
    return 1 - 1 / size


def never_falling(values: Sequence[float], weights: Sequence[float]) -> list[float]:
    """The non-decreasing sequence nearest to `values` in weighted least squares: neighbours that fall are pooled. Ayer et al.
    1955; as a calibration, Zadrozny and Elkan 2002."""
    pools: list[tuple[float, float, int]] = []  # mean, weight, how many
    for value, weight in zip(values, weights):
        pools.append((value, weight, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (a, v, m), (b, w, n) = pools[-2:]
            pools[-2:] = [((a * v + b * w) / (v + w), v + w, m + n)]
    return [mean for mean, _, count in pools for _ in range(count)]


def _at_most(entry: Sequence[float]) -> list[float]:
    """[kept, judged] with the same share and no more than `MEMORY` judged."""
    less = min(1.0, MEMORY / max(1.0, entry[1]))
    return [entry[0] * less, entry[1] * less]


class Trust:
    """How often tokens of one way of drafting are kept, given that their parent was: by the drafter's probability, and apart for
    the first child of a node and its siblings. Counted over all that was judged, never falling with the probability.

    counts: {"first": [[kept, judged] for each bin], "other": ...}, here at most `MEMORY` of them in a bin, so that a run is soon
    believed more than others before it. first: [kept, judged] of all first children. To the counts come `BELIEF` tokens a bin that
    were kept as often as the drafter says.
    """

    def __init__(self, counts: dict[str, list[list[float]]] | None = None):
        empty = [[0, 0] for _ in CENTRES]
        self.counts = {rank: [_at_most(entry) for entry in (counts or {}).get(rank, empty)] for rank in ("first", "other")}
        kept, judged = (sum(column) for column in zip(*(counts or {}).get("first", empty)))
        weight = sum(entry[1] for entry in self.counts["first"])
        self.first = [weight * kept / max(1.0, judged), weight]  # kept and judged in all bins, each as often as it came
        self._tables: dict[str, list[float]] = {}

    def add(self, prob: float, first: bool, kept: bool) -> None:
        """Count a token that was judged."""
        rank = "first" if first else "other"
        entry = self.counts[rank][bisect.bisect(EDGES, prob)]
        for counted in (entry, self.first) if first else (entry,):
            counted[0] += kept
            counted[1] += 1
        self._tables.pop(rank, None)

    def judge(self, tree: TokenTree, sure: Sequence[float], path: Sequence[int]) -> None:
        """Count the tokens of `tree` whose parent was kept, if `path` was. sure: for each node the drafter's probability, or what
        stands for it."""
        kept = set(path)
        for parent in (ROOT, *path):
            for rank, node in enumerate(dict.fromkeys(tree.children.get(parent, ()))):
                self.add(sure[node], rank == 0, node in kept)

    def __call__(self, prob: float, first: bool = True) -> float:
        """The probability that a token is kept if its parent is."""
        rank = "first" if first else "other"
        table = self._tables.get(rank)
        if table is None:
            judged = [BELIEF + count for _, count in self.counts[rank]]
            shares = [(BELIEF * centre + kept) / weight for centre, (kept, _), weight in zip(CENTRES, self.counts[rank], judged)]
            table = self._tables[rank] = never_falling(shares, judged)
        return table[bisect.bisect(EDGES, prob)]

    @property
    def usual(self) -> float:
        """The share of first children that were kept, whatever the drafter said of them; one half as long as none was judged."""
        return (0.5 * BELIEF + self.first[0]) / (BELIEF + self.first[1])


METHOD = {"drafter": "tree", "none": "greedy"}  # way of drafting -> the method whose steps were timed, where it has another name


class StepSeconds:
    """What steps take that draft up to `most` nodes in one `way` ("drafter", "eagle", "heads", "lookup", "none"), by what `times`
    has measured. level: a drafter pass over one node behind the first pass; node: each node more in it. verify: for each number of
    drafted nodes the verifier's pass, and whatever else they take, never falling."""

    def __init__(self, times: PassTimes, way: str, most: int):
        once, self._drafting, each, self._level = times.beside[METHOD.get(way, way)]
        self._passes = getattr(times, way) if way in ("drafter", "eagle") else {}
        following = self._passes.get("next")
        self.level = max(0.0, following(1) + self._level) if following else 0.0
        self.node = max(0.0, following(3) - following(1)) / 2 if following else 0.0
        verify = [times.verify(1)] + [n * each + times.verify(1 + n, place=f"after {way}") for n in range(1, most + 1)]
        self.verify = [once + max(seconds, 0.0) for seconds in never_falling(verify, [1.0] * len(verify))]

        self._starts: dict[tuple[int, bool], float] = {}

    @classmethod
    def of(cls, times: PassTimes, way: str, most: int) -> "StepSeconds":
        """Made once for as long as `times` lives."""
        known = times.tables.get((way, most))
        if known is None:
            known = times.tables[way, most] = cls(times, way, most)
        return known

    def start(self, unread: int = 1, fresh: bool = False) -> float:
        """Seconds of the first drafter pass, over `unread` tokens (all that it will have in its cache if `fresh`), and of whatever
        drafting takes once."""
        seconds = self._starts.get((unread, fresh))
        if seconds is None:
            seconds = self._drafting
            if self._passes:
                seconds += self._passes["prompt" if fresh else "first"](unread, 0 if fresh else None) + self._level
            seconds = self._starts[unread, fresh] = max(0.0, seconds)
        return seconds


@dataclass
class Price:
    """The price of one draft: decides, while it grows, whether a further level and a further sibling are worth their time.

    rate: tokens a second to be beaten. seconds: of a step with this way of drafting. trust: what acceptance to expect. reach: of
    each node so far. usual: the probability that a first child is kept of which nothing is known yet.
    """

    rate: float
    seconds: StepSeconds
    trust: Trust
    reach: list[float] = field(default_factory=list)

    def __post_init__(self):
        self.usual = self.trust.usual

    def reach_of(self, parent: int, prob: float, first: bool) -> float:
        """The probability that such a child of `parent` is kept."""
        return (1.0 if parent == ROOT else self.reach[parent]) * self.trust(prob, first)

    def note(self, tree: TokenTree) -> None:
        """Take in the nodes that `tree` has got since."""
        for node in range(len(self.reach), len(tree)):
            parent = tree.parents[node]
            self.reach.append(self.reach_of(parent, tree.probs[node], tree.children[parent][0] == node))

    def wider(self, tree: TokenTree, parent: int, prob: float) -> bool:
        """Is one more child of `parent`, of which the drafter is so sure, worth its time?"""
        self.note(tree)
        price = self.extra(len(tree)) + self.rate * self.seconds.node
        return self.reach_of(parent, prob, parent not in tree.children) >= price

    def extra(self, nodes: int) -> float:
        """Tokens that the time of verifying one node beside `nodes` would bring otherwise."""
        verify = self.seconds.verify
        far = min(len(verify) - 1, nodes + AHEAD)
        return self.rate * max(0.0, verify[far] - verify[nodes]) / max(1, far - nodes)

    def deeper(self, tree: TokenTree, nodes: list[int]) -> bool:
        """Is a drafter pass over `nodes`, the last level of `tree`, worth its time, with what may follow it?"""
        self.note(tree)
        seconds, usual, drafted = self.seconds, self.usual, len(tree)
        reach = sum(self.reach[node] for node in nodes)
        gain = spent = 0.0
        for levels in range(1, AHEAD + 1):
            if drafted + levels >= len(seconds.verify):
                return False
            reach *= usual
            gain += reach
            spent += seconds.level + (seconds.node * (len(nodes) - 1) if levels == 1 else 0.0)
            if gain > self.rate * (spent + seconds.verify[drafted + levels] - seconds.verify[drafted]):
                return True
        return False

    def best(self) -> list[int]:
        """The nodes worth verifying, now that drafting them is paid: the most probable ones, as many as bring most."""
        verify, order = self.seconds.verify, sorted(range(len(self.reach)), key=lambda node: -self.reach[node])
        value = bring = 0.0
        count = 0
        for number, node in enumerate(order, 1):
            bring += self.reach[node]
            worth = bring - self.rate * (verify[number] - verify[0])
            if worth > value:
                value, count = worth, number
        return sorted(order[:count])


def best_chain(kept: Sequence[float], seconds: StepSeconds, start: float, rate: float) -> tuple[float, float, int]:
    """(tokens, seconds, length) of the step with the chain that brings most over `rate`, if token i is kept with probability kept[i]
    once those before it are; not less than one token long. start: seconds of `StepSeconds.start`."""
    best, reach, tokens = (-math.inf, 1.0, 0.0, 0), 1.0, 1.0
    for length, chance in enumerate(kept, 1):
        reach *= chance
        tokens += reach
        taken = start + (length - 1) * seconds.level + seconds.verify[length]
        if tokens - rate * taken > best[0]:
            best = tokens - rate * taken, tokens, taken, length
        if reach < rate * seconds.level:  # no further token can bring what drafting it takes
            break
    return best[1:]


def pruned(tree: TokenTree, nodes: list[int]) -> TokenTree:
    """`tree` with only `nodes` (ascending, each with its ancestors), numbered anew. Only for trees of which nothing was drawn."""
    small, number = TokenTree(), {ROOT: ROOT}
    for node in nodes:
        number[node] = small.add(number[tree.parents[node]], tree.tokens[node], tree.probs[node])
    return small


def fill_in(record: StepPrice, tree: TokenTree, kept: Sequence[int], price: Price, start: float, passes: int) -> None:
    """Note in `record` what drafting `tree` in so many drafter `passes`, the first of them for `start` seconds, and verifying the
    nodes `kept` of it should bring and take."""
    seconds, depths = price.seconds, tree.depths()
    record.reads = [depths.count(level) for level in range(passes - 1)]
    record.reach, record.dropped = [price.reach[node] for node in kept], len(tree) - len(kept)
    levels = [start, *(seconds.level + seconds.node * (width - 1) for width in record.reads)]
    record.seconds = sum(levels) + seconds.verify[len(kept)]
    for number, node in enumerate(kept):
        drafting = levels[depths[node]] / depths.count(depths[node]) if passes else start / len(tree)
        record.cost.append(drafting + seconds.verify[number + 1] - seconds.verify[number])
