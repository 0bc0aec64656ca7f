"""Measure: what a method costs, against greedy, on equal work."""
import json
import platform
import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
import transformers
from tqdm.auto import tqdm

from .config import Cfg
from .decoding import METHODS, generate
from .models import ModelPair
from .records import Generation
from .tokens import encode_prompt


def time_it(fn: Callable, *args, **kwargs) -> tuple[object, float]:
    """(what `fn(*args, **kwargs)` returns, the seconds it took)."""
    began = time.perf_counter()
    out = fn(*args, **kwargs)
    return out, time.perf_counter() - began


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """(lower quartile, median, upper quartile) of one or more values."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


@dataclass
class Row:
    """One method's measurements over all prompts and repeats.

    tokens, verifier_calls, drafter_calls: totals over the prompts, one repeat. tokens_per_second: (lower quartile, median,
    upper quartile) over every run. speedup: the same of the per-prompt ratios to greedy, each from medians of the same
    interleaved runs. equal_to_greedy: every output, token for token.
    """

    method: str
    tokens: int
    verifier_calls: int
    drafter_calls: int
    tokens_per_second: tuple[float, float, float]
    speedup: tuple[float, float, float]
    equal_to_greedy: bool

    @property
    def tokens_per_verifier_call(self) -> float:
        return self.tokens / self.verifier_calls


@dataclass
class Comparison:
    """The A/B table. `str()` is a text table, `.row(method)` one line, `.to_json()` everything that was measured."""

    rows: list[Row]
    machine: dict
    settings: dict
    generations: dict[str, list[Generation]] = field(default_factory=dict, repr=False)

    def row(self, method: str) -> Row:
        """The row of `method`; KeyError if it was not compared."""
        for row in self.rows:
            if row.method == method:
                return row
        raise KeyError(f"{method!r} was not compared; there are {[row.method for row in self.rows]}.")

    def _cells(self) -> list[list[str]]:
        head = ["method", "tokens", "verifier passes", "drafter passes", "tokens/s (quartiles)", "x greedy (quartiles)",
                "equal to greedy"]
        body = [[row.method, str(row.tokens), str(row.verifier_calls), str(row.drafter_calls),
                 "{1:.1f} ({0:.1f} to {2:.1f})".format(*row.tokens_per_second),
                 "{1:.2f} ({0:.2f} to {2:.2f})".format(*row.speedup), "yes" if row.equal_to_greedy else "NO"]
                for row in self.rows]
        return [head, *body]

    def __str__(self) -> str:
        cells = self._cells()
        widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
        lines = ["  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths)))
                 for line in cells]
        return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])

    def _repr_html_(self) -> str:
        head, *body = self._cells()
        return ("<table><tr>" + "".join(f"<th>{cell}</th>" for cell in head) + "</tr>"
                + "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in line) + "</tr>" for line in body) + "</table>")

    def to_json(self) -> str:
        """Rows, settings and machine as a JSON object."""
        rows = [{**vars(row), "tokens_per_second": list(row.tokens_per_second), "speedup": list(row.speedup)}
                for row in self.rows]
        return json.dumps({"rows": rows, "settings": self.settings, "machine": self.machine}, indent=2)


def machine_facts(pair: ModelPair) -> dict:
    """What a speed depends on: versions, threads, device, dtype, pair."""
    return {"python": platform.python_version(), "torch": torch.__version__, "transformers": transformers.__version__,
            "system": platform.system(), "processor": platform.machine(), "threads": torch.get_num_threads(),
            "device": pair.device, "dtype": str(pair.verifier.dtype).removeprefix("torch."), "pair": pair.name}


def compare(pair: ModelPair, prompts: Sequence[str | torch.Tensor], cfg: Cfg | None = None,
            methods: Sequence[str] = tuple(METHODS), repeats: int = 3, progress: bool = False) -> Comparison:
    """Run every method on every prompt `repeats` times and tabulate tokens, passes and speed against greedy.

    One untimed warm-up run of each method, then all runs interleaved: each repeat goes through the prompts, and through the
    methods in a fresh shuffled order for each prompt. Seconds are those of `Generation.seconds`. Greedy is added if missing.

    Raises ValueError for an unknown method, no prompt, one that fills the context, or repeats < 1.
    """
    cfg = Cfg() if cfg is None else cfg
    methods = list(dict.fromkeys(["greedy", *methods]))
    unknown = [method for method in methods if method not in METHODS]
    if unknown:
        raise ValueError(f"There is no method {unknown[0]!r}: use some of {sorted(METHODS)}.")
    if isinstance(prompts, (str, torch.Tensor)) or not prompts:
        raise ValueError("prompts must be a sequence of at least one prompt.")
    if repeats < 1:
        raise ValueError(f"repeats={repeats!r} is not usable: it must be at least 1.")
    for prompt in prompts:
        if encode_prompt(pair, prompt).shape[1] == pair.context:
            raise ValueError(f"A prompt fills the context of {pair.context} tokens: give one that leaves room to write.")
    for method in methods:
        generate(pair, prompts[0], cfg, method)
    seconds = {method: [[] for _ in prompts] for method in methods}
    outputs: dict[str, list[Generation | None]] = {method: [None] * len(prompts) for method in methods}
    order, shuffle = list(methods), random.Random(cfg.seed)
    with tqdm(total=repeats * len(prompts) * len(methods), disable=not progress, delay=2, leave=False) as bar:
        for _ in range(repeats):
            for i, prompt in enumerate(prompts):
                shuffle.shuffle(order)
                for method in order:
                    out = generate(pair, prompt, cfg, method)
                    seconds[method][i].append(out.seconds)
                    outputs[method][i] = out
                    bar.update()
    rows = []
    for method in methods:
        outs = outputs[method]
        speeds = [len(out.new_ids) / s for out, runs in zip(outs, seconds[method]) for s in runs]
        rates = [len(out.new_ids) / statistics.median(runs) for out, runs in zip(outs, seconds[method])]
        base = [len(out.new_ids) / statistics.median(runs) for out, runs in zip(outputs["greedy"], seconds["greedy"])]
        rows.append(Row(method, sum(len(out.new_ids) for out in outs), sum(out.verifier_calls for out in outs),
                        sum(out.drafter_calls for out in outs), quartiles(speeds),
                        quartiles([rate / b for rate, b in zip(rates, base)]),
                        all(out.new_ids == ref.new_ids for out, ref in zip(outs, outputs["greedy"]))))
    settings = {"prompts": len(prompts), "repeats": repeats, **vars(cfg)}
    return Comparison(rows, machine_facts(pair), settings, outputs)
