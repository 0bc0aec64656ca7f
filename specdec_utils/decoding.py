"""Advance: the loop that joins the parts, and what it records."""
import time
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import torch

from .acceptance import accept_until_mismatch, score_branch
from .config import Cfg
from .drafting import Branch, drafter_propose
from .models import ModelPair
from .sampling import last_token_logits, penalize
from .tokens import append_token, encode_prompt

METHODS: dict[str, str] = {
    "greedy": "the verifier alone, one cached pass a token",
    "medusa_lite": "sampled branches, each checked token by token without a cache, best branch wins",
}


@dataclass
class BranchRecord:
    """One branch of a step: what was drafted and what the verifier said, node by node.

    tokens, draft_probs: the draft and the drafter's probability of each token. choices, choice_probs: the verifier's own
    token at each node it was asked at (one for each token compared) and its probability. verifier_probs: the verifier's
    probability of the drafted token there. accepted: tokens kept, from the front. mismatched: broke off at a mismatch.
    score: `score_branch`. distributions: with `cfg.debug`, the verifier's full softmax [V] at each node asked, else empty.
    """

    tokens: list[int]
    draft_probs: list[float]
    choices: list[int]
    choice_probs: list[float]
    verifier_probs: list[float]
    accepted: int
    mismatched: bool
    score: int
    distributions: list[torch.Tensor] = field(default_factory=list, repr=False)


@dataclass
class Step:
    """One step: the branches (none for greedy), which of them won, and the tokens that it added.

    context: tokens before the step. best: index of the winning branch, or None. new_ids: the tokens added. extra: the
    token among them that the verifier wrote itself, correcting or extending the draft, or None. verifier_calls,
    drafter_calls: forward passes of this step.
    """

    context: int
    branches: list[BranchRecord]
    best: int | None
    new_ids: list[int]
    extra: int | None
    verifier_calls: int = 0
    drafter_calls: int = 0


@dataclass
class Generation:
    """What a run wrote and what it cost. `str()` of it is the text.

    text: prompt and continuation, special tokens left out (empty without a tokenizer). prompt_ids, new_ids: token ids, an
    ending EOS included. verifier_calls, drafter_calls: forward passes, prefill included. seconds: wall time of the loop.
    finish_reason: "length", "eos" or "context".
    """

    text: str
    prompt_ids: list[int]
    new_ids: list[int]
    steps: list[Step]
    verifier_calls: int
    drafter_calls: int
    seconds: float
    finish_reason: str
    method: str = ""

    def __str__(self) -> str:
        return self.text


@contextmanager
def count_calls(pair: ModelPair):
    """Count the real forward passes of both models inside a `with` block: a dict {"drafter": n, "verifier": n}."""
    calls = {"drafter": 0, "verifier": 0}

    def hook(role, *_):
        calls[role] += 1

    hooks = [getattr(pair, role).register_forward_hook(partial(hook, role)) for role in calls]
    try:
        yield calls
    finally:
        for handle in hooks:
            handle.remove()


@torch.inference_mode()
def _try_branch(pair: ModelPair, ids: torch.Tensor, branch: Branch, cfg: Cfg) -> tuple[torch.Tensor, BranchRecord]:
    """Prefix-accept one branch and keep what the verifier said on the way."""
    choices, distributions = [], []

    def choose(verifier, ids):
        logits = penalize(last_token_logits(verifier, ids), ids, cfg.repetition_penalty, cfg.no_repeat_ngram_size)
        distributions.append(torch.softmax(logits, dim=-1))
        choices.append(int(logits.argmax()))
        return choices[-1]

    new_ids, accepted, mismatched = accept_until_mismatch(pair.verifier, ids, branch, choose)
    return new_ids, BranchRecord(
        tokens=list(branch), draft_probs=branch.probs, choices=choices,
        choice_probs=[float(p[c]) for p, c in zip(distributions, choices)],
        verifier_probs=[float(p[t]) for p, t in zip(distributions, branch)],
        accepted=len(accepted), mismatched=mismatched, score=score_branch(accepted, mismatched),
        distributions=distributions if cfg.debug else [])


@torch.inference_mode()
def medusa_step(pair: ModelPair, ids: torch.Tensor, cfg: Cfg) -> tuple[torch.Tensor, Step]:
    """Propose branches, verify each, keep the one with the best score: (ids with its tokens behind them, the record).

    `ids` is [1, T]. Adds at least one and at most min(cfg.draft_span, cfg.max_new_tokens, room in the context) tokens, and
    only tokens that the verifier's own greedy decoding, penalties included, would write. On equal scores the first wins.

    Raises ValueError if the context is full.
    """
    room = pair.context - ids.shape[1]
    if room < 1:
        raise ValueError(f"The context is full: {ids.shape[1]} of {pair.context} positions are taken.")
    span = min(cfg.draft_span, cfg.max_new_tokens, room)
    with count_calls(pair) as calls:
        branches = drafter_propose(pair.drafter, ids, cfg.topk_branch, span, cfg.temperature, cfg.top_p)
        tried = [_try_branch(pair, ids, branch, cfg) for branch in branches]
    best = max(range(len(tried)), key=lambda i: tried[i][1].score)
    new_ids, record = tried[best]
    step = Step(context=ids.shape[1], branches=[record for _, record in tried], best=best,
                new_ids=new_ids[0, ids.shape[1]:].tolist(), extra=record.choices[-1] if record.mismatched else None,
                verifier_calls=calls["verifier"], drafter_calls=calls["drafter"])
    return new_ids, step


class _GreedyStep:
    """One token a step from the verifier alone, its cache kept between steps."""

    def __init__(self) -> None:
        self.cache = None

    @torch.inference_mode()
    def __call__(self, pair: ModelPair, ids: torch.Tensor, cfg: Cfg) -> tuple[torch.Tensor, Step]:
        unseen = ids if self.cache is None else ids[:, -1:]
        out = pair.verifier(unseen, past_key_values=self.cache, use_cache=True)
        self.cache = out.past_key_values
        logits = penalize(out.logits[0, -1], ids, cfg.repetition_penalty, cfg.no_repeat_ngram_size)
        token = int(logits.argmax())
        return append_token(ids, token), Step(ids.shape[1], [], None, [token], token, verifier_calls=1)


def _new_step_function(method: str) -> Callable:
    return {"greedy": _GreedyStep, "medusa_lite": lambda: medusa_step}[method]()


def generate(pair: ModelPair, prompt: str | torch.Tensor, cfg: Cfg | None = None,
             method: str = "medusa_lite") -> Generation:
    """Continue `prompt` (text, or a LongTensor [1, T]) with any of `METHODS`.

    Writes exactly `cfg.max_new_tokens` tokens (finish_reason "length"), or ends with an EOS token ("eos"), or when prompt
    and continuation fill the model's context ("context"). `cfg.seed` seeds the draft's sampling; the output is the
    verifier's own greedy output whatever the seed.

    Raises ValueError for an unknown method, or for `do_sample=True`, which the greedy rule of these methods cannot serve;
    TypeError or ValueError for a prompt that cannot be used (see `encode_prompt`).
    """
    cfg = Cfg() if cfg is None else cfg
    if method not in METHODS:
        raise ValueError(f"There is no method {method!r}: use one of {sorted(METHODS)}.")
    if cfg.do_sample:
        raise ValueError(f"Method {method!r} keeps the verifier's greedy tokens only: use do_sample=False.")
    ids = encode_prompt(pair, prompt)
    start = ids.shape[1]
    end = min(start + cfg.max_new_tokens, pair.context)
    advance, steps, reason = _new_step_function(method), [], None
    began = time.perf_counter()
    with torch.random.fork_rng(), count_calls(pair) as calls:
        torch.manual_seed(cfg.seed)
        while reason is None and ids.shape[1] < end:
            before = ids.shape[1]
            ids, step = advance(pair, ids, replace(cfg, max_new_tokens=end - before))
            ends = [i for i, token in enumerate(step.new_ids) if token in pair.eos_ids]
            if ends:
                step.new_ids = step.new_ids[:ends[0] + 1]
                ids, reason = ids[:, :before + len(step.new_ids)], "eos"
            steps.append(step)
            if cfg.debug:
                print(f"step {len(steps)}: {len(step.branches)} branches, winner {step.best}, added {step.new_ids}")
    seconds = time.perf_counter() - began
    row = ids[0].tolist()
    if reason is None:
        reason = "length" if len(row) - start == cfg.max_new_tokens else "context"
    text = pair.tokenizer.decode(row, skip_special_tokens=True) if pair.tokenizer is not None else ""
    return Generation(text, row[:start], row[start:], steps, calls["verifier"], calls["drafter"], seconds, reason, method)


def medusa_generate(pair: ModelPair, prompt: str | torch.Tensor, cfg: Cfg | None = None) -> Generation:
    """`generate` with the method of the original notebook, `medusa_lite`."""
    return generate(pair, prompt, cfg, method="medusa_lite")


def greedy_generate(pair: ModelPair, prompt: str | torch.Tensor, cfg: Cfg | None = None) -> Generation:
    """`generate` with the verifier alone, cached: the baseline of every comparison."""
    return generate(pair, prompt, cfg, method="greedy")
