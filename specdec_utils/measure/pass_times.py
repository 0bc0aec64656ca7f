"""Measure what a step is made of where it occurs: single passes, timed inside real decoding on this machine."""
import json
import random
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
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
FEW = 5  # a width that occurred less often gets no point of its own on the curve


class Pass(NamedTuple):
    """One forward pass: of which model ("verifier" or "drafter"), in which place (see `PassTimes`), over how many tokens, behind
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
            heads = DRAFTERS[method].hidden and len(depths) > 0
            place = "after drafter" if step.drafter_calls else "after heads" if heads else "alone"
            passes.append(Pass("verifier", place, 1 + len(depths), start - 1))
        yield passes
        in_cache = min(start, in_cache) + sum(start + node < in_cache for node in step.path)


def _work(step: Step) -> tuple[int, int, int, int]:
    """What the time of a step beside its passes depends on: 1, whether it drafted, its nodes, its levels."""
    return 1, int(len(step.tree) > 0), len(step.tree), step.drafter_calls


@dataclass(frozen=True)
class PassCost:
    """Seconds of a pass: `seconds` by the number of tokens in it, behind `context` tokens, straight lines in between; and what
    each further token of context adds, to the pass (`growth`) and for each token in it (`growth_per_token`)."""

    seconds: dict[int, float]
    context: float = 0.0
    growth: float = 0.0
    growth_per_token: float = 0.0

    def __call__(self, tokens: float, context: float | None = None) -> float:
        """Seconds of a pass over `tokens` behind `context` tokens (default: those that it was measured behind)."""
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
    processor's cache. drafter: "prompt"; "first" of a draft, behind the verifier's pass; "next", behind another of the same
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

    def draft(self, tokens: float = 1, context: float | None = None, place: str = "next") -> float:
        """Seconds of a drafter pass over `tokens`."""
        place = place if place in self.drafter else "first"
        return self.drafter[place](tokens, self.context if context is None else context)

    @property
    def c(self) -> float:
        """A drafter pass's time, behind another of its draft, over that of a verifier pass over one token."""
        return self.draft() / self.verify(1)

    def v(self, n: float) -> float:
        """The time of verifying `n` tokens in one pass, behind a draft, over that of one."""
        return self.verify(n) / self.verify(1)

    def step_seconds(self, method: str, step: Step, passes: Sequence[Pass]) -> float:
        """Seconds of one `step` of `method` that makes `passes`."""
        spent = sum(getattr(self, p.role)[p.place](p.tokens, p.context) for p in passes)
        return spent + sum(a * b for a, b in zip(self.beside[method], _work(step)))

    def seconds(self, run: Generation) -> float:
        """Seconds that `run` should take here, its prompt included, from what its records say was done: not from its clock."""
        steps = zip(run.steps, passes_of(run.method, run.steps))
        return self.start[run.method] + sum(self.step_seconds(run.method, step, passes) for step, passes in steps)

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


@torch.inference_mode()
def _timed_run(pair: ModelPair, ids: list[int], cfg: Cfg, method: str) -> tuple[float, list[tuple[Step, list[float], float]]]:
    """A run of `method` as `generate` makes it, past any EOS: (seconds before its first step, and for each step the record,
    the seconds of each of its passes, the seconds beside them)."""
    end, timed = min(len(ids) + cfg.max_new_tokens, pair.context), []
    began = time.perf_counter()
    with torch.random.fork_rng():
        torch.manual_seed(cfg.seed)
        run = Run(pair, list(ids), cfg, method, end)
        start, seconds = time.perf_counter() - began, []
        for model in (run.verifier, run.draft.model):
            if model is not None:
                _Timed(model, seconds)
        while (room := end - len(run.ids)) > 0:
            seconds.clear()
            began = time.perf_counter()
            step = cached_step(run, room)
            run.ids += step.new_ids
            timed.append((step, list(seconds), time.perf_counter() - began - sum(seconds)))
    return start, timed


def _least_squares(rows: Sequence[Sequence[float]], seconds: Sequence[float]) -> list[float]:
    """Coefficients of `rows` that give `seconds`; fitted once more without the samples in which the machine did something else."""
    table, wanted = numpy.array(rows, dtype=float), numpy.array(seconds)
    scale = numpy.abs(table).max(axis=0)
    scale[scale == 0] = 1.0
    for _ in range(2):
        found = numpy.linalg.lstsq(table / scale, wanted, rcond=1e-9)[0] / scale
        off = numpy.abs(table @ found - wanted)
        quiet = off <= 5 * numpy.median(off) + 0.05 * numpy.median(wanted)
        table, wanted = table[quiet], wanted[quiet]
    return found.tolist()


def _fit_cost(samples: Sequence[tuple[int, int, float]]) -> PassCost:
    """The cost that explains `samples` of (tokens, context, seconds)."""
    widths = [n for n, _, _ in samples]
    knots = sorted({min(widths), max(widths)} | {n for n in widths if widths.count(n) >= FEW})
    middle = statistics.mean(context for _, context, _ in samples)
    hats = numpy.eye(len(knots))
    rows = [[*(float(numpy.interp(n, knots, hat)) for hat in hats), context - middle, n * (context - middle)] for n, context, _ in samples]
    *heights, growth, per_token = _least_squares(rows, [s for _, _, s in samples])
    return PassCost(dict(zip(knots, heights)), middle, growth, per_token)


def timed_arms(pair: ModelPair, cfg: Cfg) -> list[tuple[str, Cfg]]:
    """The (method, settings) in which passes are timed: `SHAPES` of every cached method that `pair` can serve, under `cfg`."""
    return [(method, replace(cfg, topk_branch=k, draft_span=span, lookup_first=lookup))
            for method in methods_of(pair, cfg) if method in SHAPES for k, span, lookup in SHAPES[method]]


def measure_pass_times(pair: ModelPair, prompts: Sequence[str | torch.Tensor], cfg: Cfg | None = None,
                       arms: Sequence[tuple[str, Cfg]] | None = None, lengths: Sequence[int] | None = None,
                       repeats: int = 1) -> PassTimes:
    """Time the parts of every step in `repeats` runs of each of `arms` on `prompts`, in shuffled order; one untimed run of each first.

    arms: (method, settings) of cached methods (default: `timed_arms(pair, cfg)`). lengths: the prompts are cut, or repeated,
    to these lengths in turn (default: as they are), so that passes behind as many tokens are timed as will occur. Timing
    inside real runs gives each pass the company that it has in decoding: verifier and drafter by turns, the drafter's passes
    of one draft back to back. Raises ValueError for a method without cached passes.
    """
    cfg = Cfg() if cfg is None else cfg
    arms = list(timed_arms(pair, cfg) if arms is None else arms)
    for method, _ in arms:
        if method not in DRAFTERS:
            raise ValueError(f"Method {method!r} has no cached passes to time: use some of {sorted(DRAFTERS)}.")
    texts = [encode_prompt(pair, prompt)[0].tolist() for prompt in prompts]
    if lengths:
        texts = [(ids * length)[:length] for ids, length in zip(texts * len(lengths), sorted([*lengths] * len(texts)))]
    for method, settings in arms:
        _timed_run(pair, texts[0], replace(settings, max_new_tokens=min(4, settings.max_new_tokens)), method)
    runs = [(method, settings, ids) for method, settings in arms for ids in texts] * repeats
    random.Random(cfg.seed).shuffle(runs)
    passes: dict[tuple[str, str], list] = {}
    beside: dict[str, list] = {method: [] for method, _ in arms}
    starts: dict[str, list] = {method: [] for method, _ in arms}
    for method, settings, ids in runs:
        start, timed = _timed_run(pair, ids, settings, method)
        starts[method].append(start)
        for (step, seconds, rest), made in zip(timed, passes_of(method, [step for step, _, _ in timed])):
            for p, spent in zip(made, seconds, strict=True):
                passes.setdefault((p.role, p.place), []).append((p.tokens, p.context, spent))
            beside[method].append((_work(step), rest))
    costs: dict[str, dict[str, PassCost]] = {"verifier": {}, "drafter": {}}
    for (role, place), samples in passes.items():
        costs[role][place] = _fit_cost(samples)
    return PassTimes(costs["verifier"], costs["drafter"],
                     {method: _least_squares(*zip(*samples)) for method, samples in beside.items()},
                     {method: statistics.median(of_method) for method, of_method in starts.items()},
                     statistics.mean(context for (role, place), samples in passes.items() if (role, place) != ("verifier", "prompt")
                                     and role == "verifier" for _, context, _ in samples), torch.get_num_threads())
