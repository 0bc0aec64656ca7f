"""What a run is made of: its passes as the records tell them, and what each of them costs on one machine."""
import functools
import json
import weakref
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import NamedTuple

import numpy
import torch

from ..models.pair import ModelPair
from ..text.config import Cfg
from .records import Generation, Step


class Pass(NamedTuple):
    """One forward pass: of which model ("verifier", "drafter" or "eagle"), in which place (see `PassTimes`), over how many tokens, after
    how many in its cache."""

    role: str
    place: str
    tokens: int
    context: int


def passes_of(steps: Sequence[Step]) -> Iterator[list[Pass]]:
    """For each of the `steps` of a run the passes that it made, in order: read off the records alone."""
    caches = {"drafter": 0, "eagle": 0}  # tokens in them
    for number, step in enumerate(steps):
        start, depths, passes = step.context, step.tree.depths(), []
        if step.drafter_calls:
            role, in_cache = step.drafter, caches[step.drafter]
            readable = start - 1 if role == "eagle" else start  # a feature is read together with the token after it
            passes.append(Pass(role, "first" if in_cache else "prompt", readable - in_cache, in_cache))
            in_cache = readable
            levels = [depths.count(level) for level in range(step.drafter_calls - 1)] if step.price is None else step.price.reads
            for nodes in levels:
                passes.append(Pass(role, "next", nodes, in_cache))
                in_cache += nodes
            accepted_and_read = 0 if role == "eagle" else min(len(step.path), len(levels))  # eagle reads accepted ones anew
            caches[role] = readable + accepted_and_read
        if number == 0:
            passes.append(Pass("verifier", "prompt", start + len(depths), 0))
        else:
            place = f"after {step.drafter}" if step.drafter_calls or step.drafter == "heads" else "alone"
            passes.append(Pass("verifier", place, 1 + len(depths), start - 1))
        yield passes


def work_beside(nodes: int, levels: int) -> tuple[int, int, int, int]:
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
    no model has run since its last pass; "after drafter", "after eagle" and "after heads", whose weights have pushed its own out
    of the processor's cache. drafter, eagle: "prompt"; "first" of a draft, after the verifier's pass; "next", after another of
    the same draft. beside: method -> (a step, drafting at all, a node, a level), what a step takes beside its passes, Medusa heads
    included. start: method -> before the first step. judged: way of drafting -> how often its tokens were kept (see `price.Trust`);
    from `calibrate` only. context: tokens before a pass, on average. threads: torch's. unrest: how far single-token passes of the
    verifier, which ought to take the same, were apart: the third quartile of their seconds over the first.
    """

    verifier: dict[str, PassCost]
    drafter: dict[str, PassCost]
    beside: dict[str, list[float]]
    start: dict[str, float]
    context: float
    threads: int
    eagle: dict[str, PassCost] = field(default_factory=dict)
    judged: dict[str, dict[str, list[list[int]]]] = field(default_factory=dict)
    unrest: float = 1.0

    @functools.cached_property
    def tables(self) -> dict:
        """What `price.StepSeconds` has made of these times."""
        return {}

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
        return sum(a * b for a, b in zip(self.beside[method], work_beside(nodes, levels)))

    def seconds(self, run: Generation) -> float:
        """Seconds that `run` should take here, its prompt included, from what its records say was done: not from its clock."""
        spent = self.start[run.method]
        for step, passes in zip(run.steps, passes_of(run.steps)):
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
        for role in ("verifier", "drafter", "eagle"):
            data[role] = {place: PassCost(**cost | {"seconds": {int(n): s for n, s in cost["seconds"].items()}})
                          for place, cost in data[role].items()}
        return cls(**data)


_KNOWN = weakref.WeakKeyDictionary()  # pair -> {how it is run: its times}


def _how(pair: ModelPair, cfg: Cfg) -> tuple:
    return torch.get_num_threads(), cfg.lean, *(part is None for part in (pair.drafter, pair.heads, pair.eagle))


def known_times(pair: ModelPair, cfg: Cfg) -> PassTimes | None:
    """The times that `remember_times` was last given for `pair` with the parts that it has, with as many threads as now and the same
    `cfg.lean`."""
    return _KNOWN.get(pair, {}).get(_how(pair, cfg))


def remember_times(pair: ModelPair, cfg: Cfg, times: PassTimes) -> None:
    """Keep `times` for this process, for `known_times`."""
    _KNOWN.setdefault(pair, {})[_how(pair, cfg)] = times
