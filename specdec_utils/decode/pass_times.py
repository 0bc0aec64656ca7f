"""Measure what a step is made of where it occurs: single passes, timed inside real decoding on this machine."""
import itertools
import math
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy
import torch

from ..models.pair import ModelPair
from ..text.config import Cfg
from ..text.device import wait_for_gpu
from ..text.tokens import encode_prompt
from .methods import DRAFTERS, methods_of
from .passes import PassCost, PassTimes, passes_of, work_beside
from .price import Trust, sureness
from .propose.lookup import LONGEST, find_match
from .records import Step
from .step import Run, cached_step

# method -> (topk_branch, draft_span, lookup_first) of the runs in which passes are timed: widths from 1 to 33
SHAPES = {
    "greedy": [(1, 1, 0)],
    "one_pass": [(2, 2, 0), (4, 3, 0), (4, 5, 0)],
    "tree": [(1, 1, 0), (1, 2, 0), (1, 3, 0), (1, 4, 0), (1, 5, 0), (1, 8, 0), (2, 2, 0), (2, 4, 0), (2, 6, 0), (3, 4, 0), (4, 8, 0),
             (1, 4, 3), (2, 4, 3)],
    "lookup": [(1, 2, 0), (1, 4, 0), (1, 8, 0)],
    "heads": [(1, 2, 0), (2, 2, 0), (2, 3, 0), (3, 4, 0)],
    "eagle": [(1, 1, 0), (1, 2, 0), (1, 4, 0), (1, 6, 0), (1, 8, 0), (1, 12, 0), (2, 4, 0), (4, 8, 0), (1, 4, 3)],
}
TURN = 16  # tokens that a run writes before it is another's turn
FEW = 5  # a width that occurred less often gets no point of its own on the curve


class _Timed:
    """Stands in for one of a cached model's calls, a pass each, and notes the seconds of each pass in `seconds`."""

    def __init__(self, call: Callable, seconds: list[float]):
        self.call, self.seconds = call, seconds

    def __call__(self, *args, **options) -> torch.Tensor:
        began = time.perf_counter()
        logits = self.call(*args, **options)
        if logits.device.type != "cpu":
            wait_for_gpu()
        self.seconds.append(time.perf_counter() - began)
        return logits


class TimedRun:
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
        for model in (self._run.verifier, *self._run.draft.models):
            for name in ("feed", "read", "draft"):  # of language models the first, of an eagle drafter the others
                if hasattr(model, name):
                    setattr(model, name, _Timed(getattr(model, name), self._seconds))

    @property
    def ids(self) -> list[int]:
        """The prompt and what was written so far."""
        return self._run.ids

    @torch.inference_mode()
    def write(self, tokens: int) -> bool:
        """Take steps until `tokens` more are written: does the run go on?"""
        ids, first = self.ids, True
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
        self.passes: dict[str, dict[str, list[tuple[int, int, float]]]] = {"verifier": {}, "drafter": {}, "eagle": {}}
        self.beside: dict[str, list[tuple[tuple[int, ...], float]]] = {}
        self.trust: dict[str, Trust] = {}
        self.start: dict[str, list[float]] = {}

    def add(self, run: TimedRun) -> None:
        """Take in all steps of `run` but those that came first in a turn; the very first of all reads the prompt, and counts."""
        self.start.setdefault(run.method, []).append(run.start)
        made = passes_of([step for step, *_ in run.timed])
        for number, ((step, seconds, beside, first), passes) in enumerate(zip(run.timed, made)):
            if first and number > 0:
                continue
            self.beside.setdefault(run.method, []).append((work_beside(len(step.tree), step.drafter_calls), beside))
            if step.drafter and step.price is None and len(step.tree):
                self._judge(step, run.ids)
            for p, spent in zip(passes, seconds, strict=True):
                self.passes[p.role].setdefault(p.place, []).append((p.tokens, p.context, spent))

    def _judge(self, step: Step, ids: list[int]) -> None:
        """Count how often what `step` of a run that wrote `ids` drafted was kept."""
        sure = step.tree.probs
        if step.drafter == "lookup":
            after, size = find_match(ids[:step.context], longest=LONGEST)
            if ids[after:after + len(sure)] != step.tree.tokens:  # a longer match says something else
                return
            sure = [sureness(size + depth) for depth in range(len(step.tree))]
        self.trust.setdefault(step.drafter, Trust()).judge(step.tree, sure, step.path)

    def fit(self) -> PassTimes:
        """The times that explain the samples best."""
        costs = {role: {place: _fit_cost(found) for place, found in places.items()} for role, places in self.passes.items()}
        decoding = [context for place, found in self.passes["verifier"].items() for _, context, _ in found if place != "prompt"]
        return PassTimes(costs["verifier"], costs["drafter"],
                         {method: _robust_mean(*zip(*found)) for method, found in self.beside.items()},
                         {method: statistics.median(found) for method, found in self.start.items()},
                         statistics.mean(decoding or [0]), torch.get_num_threads(), costs["eagle"],
                         {way: trust.counts for way, trust in self.trust.items()}, self._unrest())

    def _unrest(self) -> float:
        """See `PassTimes`; 1.0 where too few passes tell."""
        found = [spent for n, _, spent in self.passes["verifier"].get("alone", []) if n == 1]
        if len(found) < FEW:
            return 1.0
        low, _, high = statistics.quantiles(found)
        return high / low


def timed_arms(pair: ModelPair, cfg: Cfg) -> list[tuple[str, Cfg]]:
    """The (method, settings) in which passes are timed: `SHAPES` of every cached method that `pair` can serve, under `cfg`."""
    return [(method, replace(cfg, topk_branch=k, draft_span=span, lookup_first=lookup))
            for method in methods_of(pair, cfg) if method in SHAPES for k, span, lookup in SHAPES[method]]


class PassTimer:
    """Times the parts of every step in runs of each of `arms` on `prompts`, a little at a time.

    arms: (method, settings) of cached methods (default: `timed_arms(pair, cfg)`). lengths: the prompts are cut, or repeated, to
    each of these lengths (default: as they are), so that passes after as many tokens are timed as will occur. turns: how often
    `take` has to be called until every prompt is written.
    Timing inside real runs gives each pass the company that it has in decoding: verifier and drafter by turns, the passes of a
    draft back to back. All arms write the same prompt at the same time, `TURN` tokens in turn and in shuffled order, so that a
    slow moment of the machine meets them alike. Raises ValueError for a method without cached passes.
    """

    def __init__(self, pair: ModelPair, prompts: Sequence[str | torch.Tensor], cfg: Cfg | None = None,
                 arms: Sequence[tuple[str, Cfg]] | None = None, lengths: Sequence[int] | None = None):
        cfg = Cfg() if cfg is None else cfg
        self.pair, self.arms = pair, list(timed_arms(pair, cfg) if arms is None else arms)
        for method, _ in self.arms:
            if method not in DRAFTERS:
                raise ValueError(f"Method {method!r} has no cached passes to time: use some of {sorted(DRAFTERS)}.")
        texts = [encode_prompt(pair, prompt)[0].tolist() for prompt in prompts]
        if lengths:
            texts = [(ids * length)[:length] for length in lengths for ids in texts]
        self.turns = len(texts) * math.ceil(max(settings.max_new_tokens for _, settings in self.arms) / TURN)
        self._texts, self._going, self._samples, self._random = itertools.cycle(texts), [], _Samples(), random.Random(cfg.seed)
        for method, settings in self.arms:
            TimedRun(pair, texts[0], settings, method).write(1)  # a warm-up

    def take(self) -> None:
        """Let every arm write `TURN` tokens of the prompt at hand, or what is left of it."""
        if not self._going:
            ids = next(self._texts)
            self._going = [TimedRun(self.pair, ids, settings, method) for method, settings in self.arms]
        self._random.shuffle(self._going)
        written = [run for run in self._going if not run.write(TURN)]
        for run in written:
            self._going.remove(run)
            self._samples.add(run)

    def spread(self, calls: int) -> Callable[[], None]:
        """A function that makes all `turns`, evenly, if it is called `calls` times: between other work, so that both meet the same
        machine."""
        made = itertools.accumulate(itertools.repeat(self.turns))

        def some() -> None:
            due = next(made)
            for _ in range(due // calls - (due - self.turns) // calls):
                self.take()
        return some

    def fit(self) -> PassTimes:
        """The times that explain best what was timed so far."""
        return self._samples.fit()


def measure_pass_times(pair: ModelPair, prompts: Sequence[str | torch.Tensor], cfg: Cfg | None = None,
                       arms: Sequence[tuple[str, Cfg]] | None = None, lengths: Sequence[int] | None = None) -> PassTimes:
    """What a `PassTimer` with these arguments finds in all its turns."""
    timer = PassTimer(pair, prompts, cfg, arms, lengths)
    for _ in range(timer.turns):
        timer.take()
    return timer.fit()
