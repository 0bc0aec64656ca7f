"""Measure what a step is made of where it occurs: single passes, timed inside real decoding on this machine."""
import json
import random
import statistics
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import NamedTuple

import numpy
import torch

from ..decode.advance import Run, cached_step
from ..decode.methods import DRAFTERS, methods_of
from ..decode.records import Generation, Step
from ..models.pair import ModelPair
from ..text.config import Cfg
from ..text.tokens import encode_prompt

# method -> (topk_branch, draft_span, lookup_first) of the runs in which passes are timed: widths from 1 to 33
SHAPES = {
    "greedy": [(1, 1, 0)],
    "one_pass": [(2, 2, 0), (4, 3, 0), (4, 5, 0)],
    "tree": [(1, 1, 0), (1, 2, 0), (1, 3, 0), (1, 4, 0), (1, 5, 0), (1, 8, 0), (2, 2, 0), (2, 4, 0), (2, 6, 0), (3, 4, 0), (4, 8, 0),
             (1, 4, 3), (2, 4, 3)],
    "lookup": [(1, 2, 0), (1, 4, 0), (1, 8, 0)],
    "heads": [(1, 2, 0), (2, 2, 0), (2, 3, 0), (3, 4, 0)],
}
TURN = 16  # tokens that a run writes before it is another's turn
FEW = 5  # a width that occurred less often gets no point of its own on the curve


class Pass(NamedTuple):
    """One forward pass: of which model ("verifier" or "drafter"), in which place (see `PassTimes`), over how many tokens, after
    how many in its cache."""

    role: str
    place: str
    tokens: int
    context: int


def passes_of(method: str, steps: Sequence[Step]) -> Iterator[list[Pass]]:
    """For each of the `steps` of a run of `method`, the passes that it made, in order: read off the records alone."""
    in_cache = 0  # the drafter's
    for number, step in enumerate(steps):
        start, depths, passes = step.context, step.tree.depths(), []
        if step.drafter_calls:
            passes.append(Pass("drafter", "first" if in_cache else "prompt", start - in_cache, in_cache))
            in_cache = start
        for level in range(step.drafter_calls - 1):
            passes.append(Pass("drafter", "next", depths.count(level), in_cache))
            in_cache += depths.count(level)
        if number == 0:
            passes.append(Pass("verifier", "prompt", start + len(depths), 0))
        else:
            heads = bool(DRAFTERS[method].hidden) and len(depths) > 0
            place = "after drafter" if step.drafter_calls else "after heads" if heads else "alone"
            passes.append(Pass("verifier", place, 1 + len(depths), start - 1))
        yield passes
        in_cache = min(start, in_cache) + sum(start + node < in_cache for node in step.path)


def _work(nodes: int, levels: int) -> tuple[int, int, int, int]:
    """What the time of a step beside its passes depends on: 1, whether it drafted, its nodes, its drafter passes."""
    return 1, int(nodes > 0), nodes, levels


@dataclass(frozen=True)
class PassCost:
    """Seconds of a pass: `seconds` by the number of tokens in it, after `context` tokens, straight lines in between; and what
    each further token of context adds, to the pass (`growth`) and for each token in it (`growth_per_token`)."""

    seconds: dict[int, float]
    context: float = 0.0
    growth: float = 0.0
    growth_per_token: float = 0.0

    def __call__(self, tokens: float, context: float | None = None) -> float:
        """Seconds of a pass over `tokens` after `context` tokens (default: as many as it was measured after)."""
        widths = sorted(self.seconds)
        low, high = widths[0], widths[-1]
        flat = float(numpy.interp(tokens, widths, [self.seconds[n] for n in widths]))
        if tokens > high > low:  # wider than anything measured: on along the line from end to end
            flat += (tokens - high) * (self.seconds[high] - self.seconds[low]) / (high - low)
        further = 0.0 if context is None else context - self.context
        return flat + further * (self.growth + self.growth_per_token * tokens)


@dataclass(frozen=True)
class PassTimes:
    """What the parts of a cached step take on one machine, in seconds.

    verifier: place -> cost of its passes. Places: "prompt", the first pass, over the prompt and the first draft; "alone", where
    no model has run since its last pass; "after drafter" and "after heads", whose weights have pushed its own out of the
    processor's cache. drafter: "prompt"; "first" of a draft, after the verifier's pass; "next", after another of the same
    draft. beside: method -> (a step, drafting at all, a node, a level), what a step takes beside its passes, Medusa heads
    included. start: method -> before the first step. context: tokens before a pass, on average. threads: torch's.
    """

    verifier: dict[str, PassCost]
    drafter: dict[str, PassCost]
    beside: dict[str, list[float]]
    start: dict[str, float]
    context: float
    threads: int

    def verify(self, tokens: float, context: float | None = None, place: str = "after drafter") -> float:
        """Seconds of a verifier pass over `tokens`; over one token, as greedy decoding does, it is always "alone"."""
        place = "alone" if tokens == 1 or place not in self.verifier else place
        return self.verifier[place](tokens, self.context if context is None else context)

    def draft(self, levels: int, width: float = 1, context: float | None = None) -> float:
        """Seconds of the drafter's passes for a draft of `levels`: the first over one token, the others over `width` each."""
        context = self.context if context is None else context
        following = self.drafter.get("next", self.drafter["first"])
        return self.drafter["first"](1, context) + (levels - 1) * following(width, context)

    @property
    def c(self) -> float:
        """A drafter pass's time, on average over a chain of four, over that of a verifier pass over one token."""
        return self.draft(4) / 4 / self.verify(1)

    def v(self, n: float) -> float:
        """The time of verifying `n` tokens in one pass, after a draft, over that of one."""
        return self.verify(n) / self.verify(1)

    def beside_step(self, method: str, nodes: int = 0, levels: int = 0) -> float:
        """Seconds that a step of `method` takes beside its passes if it drafts `nodes` nodes in `levels` drafter passes."""
        return sum(a * b for a, b in zip(self.beside[method], _work(nodes, levels)))

    def seconds(self, run: Generation) -> float:
        """Seconds that `run` should take here, its prompt included, from what its records say was done: not from its clock."""
        spent = self.start[run.method]
        for step, passes in zip(run.steps, passes_of(run.method, run.steps)):
            spent += sum(getattr(self, p.role)[p.place](p.tokens, p.context) for p in passes)
            spent += self.beside_step(run.method, len(step.tree), step.drafter_calls)
        return spent

    def to_json(self) -> str:
        """Everything as a JSON object, for `from_json`."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def from_json(cls, text: str) -> "PassTimes":
        """The times that `to_json` wrote."""
        data = json.loads(text)
        for role in ("verifier", "drafter"):
            data[role] = {place: PassCost(**cost | {"seconds": {int(n): s for n, s in cost["seconds"].items()}})
                          for place, cost in data[role].items()}
        return cls(**data)


class _Timed:
    """Stands in for a cached model's `feed` and notes the seconds of each pass in `seconds`."""

    def __init__(self, model, seconds: list[float]):
        self.feed, self.seconds, model.feed = model.feed, seconds, self

    def __call__(self, *args, **options) -> torch.Tensor:
        began = time.perf_counter()
        logits = self.feed(*args, **options)
        self.seconds.append(time.perf_counter() - began)
        return logits


class _TimedRun:
    """A run of `method` as `generate` makes it, past any EOS, that can be written in turns with others.

    start: seconds before its first step. timed: for each step its record, the seconds of each of its passes, the seconds beside
    them, and whether it came first in its turn: then its passes found the processor's cache as another run had left it.
    """

    def __init__(self, pair: ModelPair, ids: list[int], cfg: Cfg, method: str):
        self.method, self.end = method, min(len(ids) + cfg.max_new_tokens, pair.context)
        self.timed: list[tuple[Step, list[float], float, bool]] = []
        self._seconds: list[float] = []
        began = time.perf_counter()
        self._run = Run(pair, list(ids), cfg, method, self.end)
        self.start = time.perf_counter() - began
        for model in (self._run.verifier, self._run.draft.model):
            if model is not None:
                _Timed(model, self._seconds)

    @torch.inference_mode()
    def write(self, tokens: int) -> bool:
        """Take steps until `tokens` more are written: does the run go on?"""
        ids, first = self._run.ids, True
        stop = min(len(ids) + tokens, self.end)
        while len(ids) < stop:
            self._seconds.clear()
            began = time.perf_counter()
            step = cached_step(self._run, self.end - len(ids))
            ids += step.new_ids
            taken = time.perf_counter() - began
            self.timed.append((step, list(self._seconds), taken - sum(self._seconds), first))
            first = False
        return len(ids) < self.end


def _robust_mean(rows: Sequence[Sequence[float]], seconds: Sequence[float]) -> list[float]:
    """Coefficients of `rows` that give `seconds` on average: least squares up to a deviation as large as the median, and above
    it least absolute deviations, so that a moment in which the machine did something else hardly counts. Huber 1964."""
    table, wanted = numpy.array(rows, dtype=float), numpy.array(seconds)
    scale = numpy.abs(table).max(axis=0)
    scale[scale == 0] = 1.0
    weights, usual = numpy.ones_like(wanted), numpy.median(wanted)
    for _ in range(20):
        found = numpy.linalg.lstsq(table / scale * weights[:, None], wanted * weights, rcond=1e-9)[0] / scale
        off = numpy.abs(table @ found - wanted)
        weights = numpy.sqrt(usual / numpy.maximum(off, max(usual, 1e-12)))
    return found.tolist()


def _fit_cost(samples: Sequence[tuple[int, int, float]]) -> PassCost:
    """The cost that explains `samples` of (tokens, context, seconds)."""
    counts = Counter(n for n, _, _ in samples)
    knots = sorted({min(counts), max(counts)} | {n for n, count in counts.items() if count >= FEW})
    middle = statistics.mean(context for _, context, _ in samples)
    hats = numpy.eye(len(knots))
    rows = [[*(float(numpy.interp(n, knots, hat)) for hat in hats), context - middle, n * (context - middle)] for n, context, _ in samples]
    *heights, growth, per_token = _robust_mean(rows, [s for _, _, s in samples])
    return PassCost(dict(zip(knots, heights)), middle, growth, per_token)


class _Samples:
    """What was timed, sorted by what it tells about."""

    def __init__(self):
        self.passes: dict[str, dict[str, list[tuple[int, int, float]]]] = {"verifier": {}, "drafter": {}}
        self.beside: dict[str, list[tuple[tuple[int, ...], float]]] = {}
        self.start: dict[str, list[float]] = {}

    def add(self, run: _TimedRun) -> None:
        """Take in all steps of `run` but those that came first in a turn; the very first of all reads the prompt, and counts."""
        self.start.setdefault(run.method, []).append(run.start)
        made = passes_of(run.method, [step for step, *_ in run.timed])
        for number, ((step, seconds, beside, first), passes) in enumerate(zip(run.timed, made)):
            if first and number > 0:
                continue
            self.beside.setdefault(run.method, []).append((_work(len(step.tree), step.drafter_calls), beside))
            for p, spent in zip(passes, seconds, strict=True):
                self.passes[p.role].setdefault(p.place, []).append((p.tokens, p.context, spent))

    def fit(self) -> PassTimes:
        """The times that explain the samples best."""
        costs = {role: {place: _fit_cost(found) for place, found in places.items()} for role, places in self.passes.items()}
        decoding = [context for place, found in self.passes["verifier"].items() for _, context, _ in found if place != "prompt"]
        return PassTimes(costs["verifier"], costs["drafter"],
                         {method: _robust_mean(*zip(*found)) for method, found in self.beside.items()},
                         {method: statistics.median(found) for method, found in self.start.items()},
                         statistics.mean(decoding or [0]), torch.get_num_threads())


def timed_arms(pair: ModelPair, cfg: Cfg) -> list[tuple[str, Cfg]]:
    """The (method, settings) in which passes are timed: `SHAPES` of every cached method that `pair` can serve, under `cfg`."""
    return [(method, replace(cfg, topk_branch=k, draft_span=span, lookup_first=lookup))
            for method in methods_of(pair, cfg) if method in SHAPES for k, span, lookup in SHAPES[method]]


def measure_pass_times(pair: ModelPair, prompts: Sequence[str | torch.Tensor], cfg: Cfg | None = None,
                       arms: Sequence[tuple[str, Cfg]] | None = None, lengths: Sequence[int] | None = None) -> PassTimes:
    """Time the parts of every step in runs of each of `arms` on `prompts`.

    arms: (method, settings) of cached methods (default: `timed_arms(pair, cfg)`). lengths: the prompts are cut, or repeated, to
    each of these lengths (default: as they are), so that passes after as many tokens are timed as will occur.
    Timing inside real runs gives each pass the company that it has in decoding: verifier and drafter by turns, the passes of a
    draft back to back. All arms write the same prompt at the same time, `TURN` tokens in turn and in shuffled order, so that a
    slow moment of the machine meets them alike. Raises ValueError for a method without cached passes.
    """
    cfg = Cfg() if cfg is None else cfg
    arms = list(timed_arms(pair, cfg) if arms is None else arms)
    for method, _ in arms:
        if method not in DRAFTERS:
            raise ValueError(f"Method {method!r} has no cached passes to time: use some of {sorted(DRAFTERS)}.")
    texts = [encode_prompt(pair, prompt)[0].tolist() for prompt in prompts]
    if lengths:
        texts = [(ids * length)[:length] for length in lengths for ids in texts]
    for method, settings in arms:
        _TimedRun(pair, texts[0], settings, method).write(1)  # a warm-up
    shuffle, samples = random.Random(cfg.seed), _Samples()
    for ids in texts:
        runs = [_TimedRun(pair, ids, settings, method) for method, settings in arms]
        going = list(runs)
        while going:
            shuffle.shuffle(going)
            going = [run for run in going if run.write(TURN)]
        for run in runs:
            samples.add(run)
    return samples.fit()
