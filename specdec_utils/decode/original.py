"""The original notebook's step: every branch asked about token by token, from scratch."""
from contextlib import contextmanager
from functools import partial

import torch
from transformers import LogitsProcessorList

from ..models.pair import ModelPair
from ..text.config import Cfg
from ..text.processors import check_settings, logits_processors, process_logits
from ..text.sampling import last_token_logits
from .accept import accept_until_mismatch, score_branch
from .propose.rollouts import Branch, drafter_propose
from .records import BranchRecord, Step


@contextmanager
def count_calls(pair: ModelPair):
    """Count the real forward passes inside a `with` block: a dict {"drafter": n, "verifier": n}, `pair.eagle` a drafter too."""
    calls = {"drafter": 0, "verifier": 0}

    def hook(role, *_):
        calls[role] += 1

    models = (("drafter", pair.drafter), ("drafter", pair.eagle), ("verifier", pair.verifier))
    hooks = [model.register_forward_hook(partial(hook, role)) for role, model in models if model is not None]
    try:
        yield calls
    finally:
        for handle in hooks:
            handle.remove()


@torch.inference_mode()
def _try_branch(pair: ModelPair, ids: torch.Tensor, branch: Branch, processors: LogitsProcessorList,
                debug: bool) -> tuple[torch.Tensor, BranchRecord]:
    """Prefix-accept one branch and keep what the verifier said on the way."""
    choices, distributions = [], []

    def choose(verifier, ids):
        logits = process_logits(last_token_logits(verifier, ids)[None], [ids[0].tolist()], processors)[0]
        distributions.append(torch.softmax(logits, dim=-1))
        choices.append(int(logits.argmax()))
        return choices[-1]

    new_ids, accepted, mismatched = accept_until_mismatch(pair.verifier, ids, branch, choose)
    record = BranchRecord(
        tokens=list(branch),
        draft_probs=branch.probs,
        choices=choices,
        choice_probs=[float(p[choice]) for p, choice in zip(distributions, choices)],
        verifier_probs=[float(p[token]) for p, token in zip(distributions, branch)],
        accepted=len(accepted),
        mismatched=mismatched,
        score=score_branch(accepted, mismatched),
        distributions=distributions if debug else [])
    return new_ids, record


@torch.inference_mode()
def medusa_step(pair: ModelPair, ids: torch.Tensor, cfg: Cfg, processors: LogitsProcessorList | None = None,
                generator: torch.Generator | None = None) -> tuple[torch.Tensor, Step]:
    """Propose branches, verify each, keep the one with the best score: (ids with its tokens appended, the record).

    `ids` is [1, T]. Adds at least one and at most min(cfg.draft_span, cfg.max_new_tokens, room in the context) tokens, and
    only tokens that the verifier's own greedy decoding, its settings included, would write. On equal scores the first wins.
    `processors`: what its logits go through; by default what its generation_config and `cfg` say for a text that begins with
    `ids`. First tokens are drawn with `generator` or, without one, with torch's global generator.

    Raises ValueError if the context is full, if the pair has no drafter, or for a generation_config that `check_settings` refuses.
    """
    if pair.drafter is None:
        raise ValueError(f"Pair {pair.name!r} has no drafter model to propose branches: use a pair that has one.")
    room = pair.context - ids.shape[1]
    if room < 1:
        raise ValueError(f"The context is full: {ids.shape[1]} of {pair.context} positions are taken.")
    span = min(cfg.draft_span, cfg.max_new_tokens, room)
    if processors is None:
        config = pair.verifier.generation_config
        end = ids.shape[1] + min(cfg.max_new_tokens, room)
        check_settings(config, cfg)
        processors = logits_processors(config, cfg, ids[0].tolist(), end, pair.device)
    with count_calls(pair) as calls:
        branches = drafter_propose(pair.drafter, ids, cfg.topk_branch, span, cfg.temperature, cfg.top_p, generator)
        tried = [_try_branch(pair, ids, branch, processors, cfg.debug) for branch in branches]
    texts = [text for text, _ in tried]
    records = [record for _, record in tried]
    scores = [record.score for record in records]
    best = scores.index(max(scores))
    step = Step(
        context=ids.shape[1],
        branches=records,
        best=best,
        new_ids=texts[best][0, ids.shape[1]:].tolist(),
        extra=records[best].choices[-1] if records[best].mismatched else None,
        verifier_calls=calls["verifier"],
        drafter_calls=calls["drafter"])
    return texts[best], step
