"""Measure: what a method costs, against greedy and against `transformers`, on equal work."""
import json
import random
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from tqdm.auto import tqdm

from ..decode.advance import generate
from ..decode.methods import check_method, methods_of
from ..decode.records import Generation
from ..models.pair import ModelPair
from ..run.machine import machine_facts
from ..text.config import Cfg
from ..text.device import wait_for_gpu
from ..text.tokens import encode_prompt
from .peers import PEERS, peer_generate
from .ratios import median_ratio, per_prompt, quartiles

Peer = Callable[[ModelPair, object, Cfg, str], Generation]  # called as `peer_generate` is
WORK = ("max_new_tokens", "do_sample", "repetition_penalty", "no_repeat_ngram_size")  # what must be equal in all arms


def time_it(fn: Callable, *args, **kwargs) -> tuple[object, float]:
    """(what `fn(*args, **kwargs)` returns, the seconds it took, those of a GPU included)."""
    began = time.perf_counter()
    out = fn(*args, **kwargs)
    wait_for_gpu()
    return out, time.perf_counter() - began


@dataclass
class Row:
    """One arm's measurements over all prompts and repeats.

    tokens, verifier_calls, drafter_calls: totals over the prompts, one repeat. tokens_per_second: (lower quartile, median,
    upper quartile) over every run. rates: tokens per second of each prompt, from the median of its repeats. speedup: (lower
    quartile, median, upper quartile) of the per-prompt ratios of rates to greedy's. interval: 95 % bootstrap interval of
    that median. equal_to_greedy: every output, token for token.
    """

    method: str
    tokens: int
    verifier_calls: int
    drafter_calls: int
    tokens_per_second: tuple[float, float, float]
    rates: list[float]
    speedup: tuple[float, float, float]
    interval: tuple[float, float]
    equal_to_greedy: bool

    @property
    def tokens_per_verifier_call(self) -> float:
        return self.tokens / self.verifier_calls


@dataclass
class Comparison:
    """The A/B table. `str()` is a text table, `.row(method)` one line, `.ratio(a, b)` a speed over another, `.to_json()`
    everything that was measured."""

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

    def ratio(self, method: str, to: str = "greedy") -> tuple[float, float, float]:
        """(low, median, high): the median over prompts of the speed of `method` over that of `to`, with its 95 % interval."""
        return median_ratio(self.row(method).rates, self.row(to).rates)

    def _cells(self) -> list[list[str]]:
        head = ["method", "tokens", "verifier passes", "drafter passes", "tokens/s (quartiles)", "x greedy (95 % interval)",
                "equal to greedy"]
        body = [[row.method, str(row.tokens), str(row.verifier_calls), str(row.drafter_calls),
                 "{1:.1f} ({0:.1f} to {2:.1f})".format(*row.tokens_per_second),
                 "{:.2f} ({:.2f} to {:.2f})".format(row.speedup[1], *row.interval), "yes" if row.equal_to_greedy else "NO"]
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
        return json.dumps({"rows": [vars(row) for row in self.rows], "settings": self.settings, "machine": self.machine}, indent=2)


def _arms(pair: ModelPair, cfg: Cfg, methods: Sequence[str] | Mapping[str, tuple[str, Cfg]] | None,
          peers: Mapping[str, Peer]) -> dict[str, tuple[str, Cfg]]:
    """label -> (method or peer, its settings), greedy first; each checked before anything runs."""
    if methods is None:
        methods = methods_of(pair, cfg)
    named = dict(methods) if isinstance(methods, Mapping) else {method: (method, cfg) for method in methods}
    arms = {"greedy": named.pop("greedy", ("greedy", cfg))} | named
    for method, settings in arms.values():
        if method in peers and cfg.do_sample:
            raise ValueError("Peers are compared by their greedy output: use do_sample=False.")
        if method not in peers:
            check_method(pair, settings, method)
        if replace(settings, **{name: getattr(cfg, name) for name in WORK}) != settings:
            raise ValueError(f"Arms must do equal work: {', '.join(WORK)} must be the same for all of them.")
    return arms


def compare(pair: ModelPair, prompts: Sequence[str | torch.Tensor], cfg: Cfg | None = None,
            methods: Sequence[str] | Mapping[str, tuple[str, Cfg]] | None = None, repeats: int = 3,
            progress: bool | str = False, between: Callable[[], object] | None = None,
            others: Mapping[str, Peer] | None = None) -> Comparison:
    """Run every arm on every prompt `repeats` times and tabulate tokens, passes and speed against greedy.

    `methods`: names of `METHODS`, `PEERS` or `others` (default: all methods that the pair can serve), or a mapping from a label to
    (method, its own Cfg). One untimed warm-up run of each arm, then all runs interleaved: each repeat goes through the
    prompts, and through the arms in a fresh shuffled order for each prompt. Seconds are those of `Generation.seconds`.
    Greedy is added if missing. progress: show a bar, labelled with the text if it is one. between: called before the runs on
    each prompt, repeats * len(prompts) times in all. others: further peers, name -> a function that is called as `peer_generate`.

    Raises ValueError for an unknown method, arms of unequal work, no prompt, one that fills the context, or repeats < 1.
    """
    cfg = Cfg() if cfg is None else cfg
    peers = dict.fromkeys(PEERS, peer_generate) | dict(others or {})
    arms = _arms(pair, cfg, methods, peers)
    if isinstance(prompts, (str, torch.Tensor)) or not prompts:
        raise ValueError("prompts must be a sequence of at least one prompt.")
    if repeats < 1:
        raise ValueError(f"repeats={repeats!r} is not usable: it must be at least 1.")
    for prompt in prompts:
        if encode_prompt(pair, prompt).shape[1] == pair.context:
            raise ValueError(f"A prompt fills the context of {pair.context} tokens: give one that leaves room to write.")

    def run(label: str, prompt) -> Generation:
        method, settings = arms[label]
        return peers.get(method, generate)(pair, prompt, settings, method)

    for label in arms:
        run(label, prompts[0])
    seconds = {label: [[] for _ in prompts] for label in arms}
    outputs: dict[str, list[Generation | None]] = {label: [None] * len(prompts) for label in arms}
    order, shuffle = list(arms), random.Random(cfg.seed)
    with tqdm(total=repeats * len(prompts) * len(arms), desc=progress if isinstance(progress, str) else None, disable=not progress,
              delay=2, leave=False) as bar:
        for _ in range(repeats):
            for i, prompt in enumerate(prompts):
                if between is not None:
                    between()
                shuffle.shuffle(order)
                for label in order:
                    out = run(label, prompt)
                    seconds[label][i].append(out.seconds)
                    outputs[label][i] = out
                    bar.update()
    rates = {label: [len(out.new_ids) / statistics.median(runs) for out, runs in zip(outputs[label], seconds[label])] for label in arms}
    rows = []
    for label, outs in outputs.items():
        speeds = [len(out.new_ids) / s for out, runs in zip(outs, seconds[label]) for s in runs]
        low, _, high = median_ratio(rates[label], rates["greedy"])
        rows.append(Row(label, sum(len(out.new_ids) for out in outs), sum(out.verifier_calls for out in outs),
                        sum(out.drafter_calls for out in outs), quartiles(speeds), rates[label],
                        quartiles(per_prompt(rates[label], rates["greedy"])), (low, high),
                        all(out.new_ids == ref.new_ids for out, ref in zip(outs, outputs["greedy"]))))
    settings = {"prompts": len(prompts), "repeats": repeats, **vars(cfg),
                "arms": {label: {"method": method} | {name: value for name, value in vars(own).items() if value != getattr(cfg, name)}
                         for label, (method, own) in arms.items()}}
    return Comparison(rows, machine_facts(pair), settings, outputs)
