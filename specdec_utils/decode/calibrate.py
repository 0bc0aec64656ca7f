"""Calibrate: what passes take on this machine, and how often each way of drafting is right, in some ten seconds."""
import json
import time
from dataclasses import replace
from pathlib import Path

import torch
from tqdm.auto import tqdm

from ..models.pair import ModelPair
from ..run.machine import machine_facts
from ..text.chat_prompts import CHAT_TUNING
from ..text.config import Cfg
from ..text.prompts import TUNING, prompts_for
from ..text.tokens import encode_prompt
from .methods import methods_of
from .pass_times import PassTimer, TimedRun
from .passes import PassTimes, remember_times

# method -> (topk_branch, draft_span, lookup_first) of the runs that are timed: what method "auto" may come to do
SHAPES = {"greedy": [(1, 1, 0)], "lookup": [(1, 3, 0), (1, 8, 0)], "tree": [(1, 2, 0), (1, 5, 3), (2, 3, 0)], "heads": [(2, 2, 0)],
          "eagle": [(1, 2, 0), (1, 5, 0), (1, 5, 3), (1, 10, 0), (3, 3, 0)]}
TOKENS = 48  # a run
LONG = 160  # tokens before the longer of the runs
CALM = 1.5  # `PassTimes.unrest` on a machine that does nothing else; above it, what was measured says little
PATIENCE = 30.0  # seconds: where measuring took longer than this, it is not done twice


def calibrate(pair: ModelPair, cfg: Cfg | None = None, file: str | Path | None = None, progress: bool = True) -> PassTimes:
    """Measure what every kind of pass takes here, with as many threads as torch has now, and how often what is drafted is kept.

    Takes some ten seconds: short runs of every cached method that `pair` can serve, on openings of stories, for a chat model on
    messages of four kinds (without a tokenizer, on tokens at random). The result is kept for this process, for method "auto". With
    `file`, it is also kept there, and read from there if it was measured on this machine, with these versions, threads and this pair:
    otherwise measured anew and written.
    Where something else kept the machine busy (`PassTimes.unrest` above 1.5), it measures once more, unless that took very
    long, and takes the calmer of the two; a result above 1.5 goes into no file. progress: show a bar.
    Raises ValueError, one sentence, for a file that cannot be written or holds something else.
    """
    cfg = Cfg(lean=True if cfg is None else cfg.lean, max_new_tokens=TOKENS)
    facts = machine_facts(pair) | {"lean": cfg.lean, "pair": repr(pair), "methods": methods_of(pair, cfg)}
    file = None if file is None else Path(file)
    times = None if file is None else _read(file, facts)
    if times is None:
        began = time.monotonic()
        times = _measure(pair, cfg, progress)
        if times.unrest > CALM and time.monotonic() - began < PATIENCE:
            times = min(times, _measure(pair, cfg, progress), key=lambda times: times.unrest)
        if file is not None and times.unrest <= CALM:
            _write(file, facts, times)
    remember_times(pair, cfg, times)
    return times


def _measure(pair: ModelPair, cfg: Cfg, progress: bool) -> PassTimes:
    arms = [(method, replace(cfg, topk_branch=k, draft_span=span, lookup_first=first))
            for method in methods_of(pair, cfg) for k, span, first in SHAPES.get(method, ())]
    random = torch.Generator().manual_seed(cfg.seed)
    texts = (prompts_for(pair, TUNING[:3], CHAT_TUNING, TOKENS)[:len(CHAT_TUNING)] if pair.tokenizer
             else [torch.randint(pair.vocab_size, (1, 8), generator=random) for _ in range(3)])
    *texts, last = [encode_prompt(pair, text) for text in texts]
    long = TimedRun(pair, last[0].tolist(), replace(cfg, max_new_tokens=min(LONG, max(1, pair.context // 2))), "greedy")
    long.write(LONG)
    timer = PassTimer(pair, [*texts, torch.tensor([long.ids])], cfg, arms)
    for _ in tqdm(range(timer.turns), desc="calibrating", disable=not progress, leave=False):
        timer.take()
    return timer.fit()


def _read(file: Path, facts: dict) -> PassTimes | None:
    """What `file` holds, if it was measured under the same `facts`."""
    if not file.exists():
        return None
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        times, machine = PassTimes.from_json(json.dumps(data["times"])), data["machine"]
    except (OSError, ValueError, KeyError, TypeError):
        raise ValueError(f"{file} holds no calibration: name another file, or delete it.") from None
    return times if machine == facts else None


def _write(file: Path, facts: dict, times: PassTimes) -> None:
    try:
        file.write_text(json.dumps({"machine": facts, "times": json.loads(times.to_json())}, indent=1) + "\n", encoding="utf-8")
    except OSError:
        raise ValueError(f"{file} cannot be written: name a file in a folder that exists.") from None
