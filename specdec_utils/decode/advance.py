"""Advance: the loop that joins the parts. A method is a choice of how to propose; the cached ones share everything else."""
import time
from dataclasses import replace

import torch

from ..models.pair import ModelPair
from ..run.calling import cached_model
from ..text.config import Cfg
from ..text.processors import logits_processors, process_logits
from ..text.sampling import next_distribution
from ..text.tokens import Prompt, decode_output, encode_prompt
from .accept import accept_greedy, accept_sampled
from .methods import DRAFTERS, check_method, default_method
from .original import medusa_step
from .propose.base import next_span
from .records import Generation, Step, cached_record, finish_record
from .tree import ROOT
from .verify import verify_tree


class Run:
    """What a run carries from step to step: the text so far, its own random numbers, what the verifier's logits go through, its
    cache, the drafter, how far to draft."""

    def __init__(self, pair: ModelPair, ids: list[int], cfg: Cfg, method: str, end: int):
        self.pair, self.ids, self.cfg = pair, ids, cfg
        self.span = cfg.draft_span
        self.longest = 2 * cfg.draft_span if cfg.adaptive_span else cfg.draft_span
        self.generator = torch.Generator().manual_seed(cfg.seed)  # on the CPU: the same numbers on every device
        self.processors = logits_processors(pair.verifier.generation_config, cfg, ids, end, pair.device)
        if method != "medusa_lite":
            nodes = cfg.topk_branch * self.longest
            self.verifier = cached_model(pair.verifier, end + nodes, cfg.lean)
            self.draft = DRAFTERS[method](pair, cfg, end + nodes, nodes, self.processors, self.generator)


@torch.inference_mode()
def cached_step(run: Run, room: int) -> Step:
    """One step of every cached method, at most `room` tokens: propose, verify, accept, advance."""
    cfg, base = run.cfg, len(run.ids)
    verifier_calls, drafter_calls = run.verifier.calls, run.draft.calls
    # propose: one token fewer than there is room for, since the verifier adds one of its own
    tree = run.draft.propose(run.ids, min(run.span, room - 1))
    # verify: one pass gives the logits after the context and after every node, each row processed by its own path
    logits = verify_tree(run.verifier, run.ids, tree, run.draft.hidden)
    contexts = (run.ids + tree.path_tokens(node) for node in range(ROOT, len(tree)))
    logits = process_logits(logits, contexts, run.processors)
    # accept: the path that the verifier would have written, and its own token after it
    choices = logits.argmax(dim=-1).tolist()
    if cfg.do_sample:
        probs = next_distribution(logits, cfg.temperature, cfg.top_p).cpu()
        path, extra = accept_sampled(tree, probs, cfg.acceptance == "typical_lossy", run.generator)
    else:
        probs = torch.softmax(logits, dim=-1)
        path, extra = accept_greedy(tree, choices)
    # advance: keep the accepted path in both caches, drop the rest
    run.verifier.keep(base, [base + node for node in path])
    hidden = run.verifier.hidden
    if hidden is not None:  # of what was read of the context, and of the path
        read = len(hidden) - len(tree)
        rows = [*range(read), *(read + node for node in path)]
        hidden = hidden[rows]
    run.draft.advance(base, path, hidden)
    if cfg.adaptive_span and len(tree):
        run.span = next_span(run.span, len(path), 1 + max(tree.depths()), run.longest)
    step = cached_record(base, tree, path, extra, choices, probs, cfg.debug)
    step.verifier_calls = run.verifier.calls - verifier_calls
    step.drafter_calls = run.draft.calls - drafter_calls
    return step


def _medusa_lite_step(run: Run, room: int) -> Step:
    ids = torch.tensor([run.ids], device=run.pair.device)
    cfg = replace(run.cfg, max_new_tokens=room)
    _, step = medusa_step(run.pair, ids, cfg, run.processors, run.generator)
    return step


def generate(pair: ModelPair, prompt: Prompt, cfg: Cfg | None = None, method: str | None = None) -> Generation:
    """Continue `prompt` (text, a LongTensor [1, T], or a chat: see `encode_prompt`) with any of `METHODS`; without `method`, with
    "tree", or with "lookup" where the pair has no drafter.

    Writes exactly `cfg.max_new_tokens` tokens (finish_reason "length"), or ends with an EOS token ("eos"), or when prompt
    and continuation fill the model's context ("context"). Without `cfg.do_sample` the output is that of
    `verifier.generate(do_sample=False)`, under whatever the verifier's generation_config says and whatever the seed; with it, a
    sample of the verifier's distribution (its generation_config's processors applied, then temperature and top_p of `cfg`),
    drawn with `cfg.seed` from a generator of the run's own. Only acceptance="typical_lossy" breaks that, as its name says.

    Raises ValueError for an unknown method, a method that this pair or a sampling verifier cannot serve, an acceptance rule
    that does not fit the draft, or a generation_config that asks for what is not done here (see `check_settings`); TypeError
    or ValueError for a prompt that cannot be used (see `encode_prompt`).
    """
    cfg = Cfg() if cfg is None else cfg
    method = default_method(pair) if method is None else method
    check_method(pair, cfg, method)
    row = encode_prompt(pair, prompt)[0].tolist()
    start = len(row)
    end = min(start + cfg.max_new_tokens, pair.context)
    advance = _medusa_lite_step if method == "medusa_lite" else cached_step
    steps, reason, eos = [], None, pair.eos_ids
    began = time.perf_counter()
    run = Run(pair, row, cfg, method, end)
    while reason is None and len(run.ids) < end:
        step = advance(run, end - len(run.ids))
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
