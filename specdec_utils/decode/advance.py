"""Advance: the loop that joins the parts. A method is a choice of how to propose; the cached ones share everything else."""
import time
from dataclasses import replace

import torch

from ..models.pair import ModelPair
from ..run.asking import Asking, alone
from ..text.config import Cfg
from ..text.tokens import Prompt, decode_output, encode_prompt
from .calibrate import calibrate
from .methods import check_method
from .original import medusa_step
from .passes import known_times
from .records import Generation, Step, finish_record
from .step import Run, stepping


def _medusa_lite_step(run: Run, room: int) -> Step:
    ids = torch.tensor([run.ids], device=run.pair.device)
    cfg = replace(run.cfg, max_new_tokens=room)
    _, step = medusa_step(run.pair, ids, cfg, run.processors, run.generator)
    return step


@torch.inference_mode()
def generate(pair: ModelPair, prompt: Prompt, cfg: Cfg | None = None, method: str = "auto") -> Generation:
    """Continue `prompt` (text, a LongTensor [1, T], or a chat: see `encode_prompt`) with any of `METHODS`.

    Writes exactly `cfg.max_new_tokens` tokens (finish_reason "length"), or ends with an EOS token ("eos"), or when prompt
    and continuation fill the model's context ("context"). Without `cfg.do_sample` the output is that of
    `verifier.generate(do_sample=False)`, under whatever the verifier's generation_config says and whatever the seed; with it, a
    sample of the verifier's distribution (its generation_config's processors applied, then temperature and top_p of `cfg`),
    drawn with `cfg.seed` from a generator of the run's own. Only acceptance="typical_lossy" breaks that, as its name says.

    Method "auto" drafts in whatever way and as far as pays here. It goes by `calibrate(pair)` and takes that first, saying so, where
    it has not been taken in this process. What it writes greedily is the same everywhere; which sample it draws for a seed depends
    on the times that were measured: name another method, or give `calibrate` a file, where a sample has to be repeated.

    Raises ValueError for an unknown method, a method that this pair or a sampling verifier cannot serve, an acceptance rule
    that does not fit the draft, or a generation_config that asks for what is not done here (see `check_settings`); TypeError
    or ValueError for a prompt that cannot be used (see `encode_prompt`).
    """
    cfg = Cfg() if cfg is None else cfg
    check_method(pair, cfg, method)
    if method == "auto" and known_times(pair, cfg) is None:
        print("Measuring what each pass takes here, once for this process (see calibrate) …")
        calibrate(pair, cfg)
    return alone(writing(pair, prompt, cfg, method))


def writing(pair: ModelPair, prompt: Prompt, cfg: Cfg, method: str) -> Asking[Generation]:
    """`generate` for a `method` that was checked, as work that stops at each of its passes."""
    row = encode_prompt(pair, prompt)[0].tolist()
    start = len(row)
    end = min(start + cfg.max_new_tokens, pair.context)
    steps, reason, eos = [], None, pair.eos_ids
    began = time.perf_counter()
    run = Run(pair, row, cfg, method, end)
    while reason is None and len(run.ids) < end:
        room = end - len(run.ids)
        step = _medusa_lite_step(run, room) if method == "medusa_lite" else (yield from stepping(run, room))
        last = next((i for i, token in enumerate(step.new_ids) if token in eos), None)
        if last is not None:
            del step.new_ids[last + 1:]
            reason = "eos"
        run.ids += step.new_ids
        steps.append(step)
    seconds = time.perf_counter() - began
    for number, step in enumerate(steps, 1):
        finish_record(step)
        if cfg.debug:
            print(f"step {number}: {len(step.branches)} branches, winner {step.best}, added {step.new_ids}")
    if reason is None:
        reason = "length" if len(run.ids) - start == cfg.max_new_tokens else "context"
    text = decode_output(pair, prompt, run.ids, start)
    return Generation(
        text=text,
        prompt_ids=run.ids[:start],
        new_ids=run.ids[start:],
        steps=steps,
        verifier_calls=sum(step.verifier_calls for step in steps),
        drafter_calls=sum(step.drafter_calls for step in steps),
        seconds=seconds,
        finish_reason=reason,
        method=method)


def medusa_generate(pair: ModelPair, prompt: Prompt, cfg: Cfg | None = None) -> Generation:
    """`generate` with the method of the original notebook, `medusa_lite`."""
    return generate(pair, prompt, cfg, method="medusa_lite")


def greedy_generate(pair: ModelPair, prompt: Prompt, cfg: Cfg | None = None) -> Generation:
    """`generate` with the verifier alone, cached: the baseline of every comparison."""
    return generate(pair, prompt, cfg, method="greedy")
