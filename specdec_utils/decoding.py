"""Advance: the loop that joins the parts. A method is a choice of how to propose; the cached ones share everything else."""
import time
from dataclasses import replace

import torch

from .acceptance import accept_greedy, accept_sampled
from .cached import cached_model
from .config import Cfg
from .drafting import draft_tree, heads_tree, lookup_tree, next_span
from .models import ModelPair
from .original import medusa_step
from .records import Generation, Step, finish_record
from .sampling import next_distribution, penalize_nodes
from .tokens import encode_prompt
from .tree import ROOT, TokenTree
from .verification import verify_tree

METHODS: dict[str, str] = {
    "greedy": "the verifier alone, one cached pass a token",
    "medusa_lite": "sampled branches, each checked token by token without a cache, best branch wins",
    "one_pass": "the same branches, all checked in one cached verifier pass a step",
    "tree": "one token tree of the drafter's guesses, one cached verifier pass a step",
    "lookup": "no drafter: what followed the last tokens when they stood in the text before",
    "heads": "no drafter: Medusa heads on the verifier guess ahead, their best prefixes form the tree",
}


class Run:
    """What a run carries from step to step: the text so far, the caches of the models that its method needs, how far to draft."""

    def __init__(self, pair: ModelPair, ids: list[int], cfg: Cfg, method: str, end: int):
        self.pair, self.ids, self.cfg, self.method, self.span, self.hidden = pair, ids, cfg, method, cfg.draft_span, None
        self.most = 2 * cfg.draft_span if cfg.adaptive_span else cfg.draft_span
        self.draft = draft_of(method, cfg)
        self.nodes = cfg.topk_branch * self.most
        self.verifier = None if method == "medusa_lite" else cached_model(pair.verifier, end + self.nodes, cfg.lean)
        self.drafter = cached_model(pair.drafter, end + self.nodes, cfg.lean) if method in ("one_pass", "tree") else None

    def calls(self) -> tuple[int, int]:
        """Forward passes so far: the verifier's and the drafter's."""
        return self.verifier.calls, 0 if self.drafter is None else self.drafter.calls


def draft_of(method: str, cfg: Cfg) -> str:
    """Which way of drafting `method` takes under `cfg`: "auto" resolved (see `Cfg.draft`)."""
    return cfg.draft if cfg.draft != "auto" else "branches" if cfg.do_sample or method == "one_pass" else "top"


def fitting_rules(method: str, cfg: Cfg) -> set[str]:
    """The rules of `acceptance.RULES` that may judge the first drafted tokens of `method` under `cfg`."""
    if method == "greedy":
        return {"auto"}
    law = "deterministic" if method in ("lookup", "heads") else {
        "branches": "without_replacement", "paths": "with_replacement", "top": "deterministic"}[draft_of(method, cfg)]
    if method == "tree" and cfg.lookup_first and law != "deterministic":
        return {"auto", "typical_lossy"}  # now one law, now the other
    alone = {"single_draft"} if law == "with_replacement" and cfg.topk_branch == 1 else set()
    return {"auto", "typical_lossy", law} | alone


def check_method(pair: ModelPair, cfg: Cfg, method: str) -> None:
    """Raise ValueError, one sentence, unless `method` can run on `pair` under `cfg`."""
    if method not in METHODS:
        raise ValueError(f"There is no method {method!r}: use one of {sorted(METHODS)}.")
    if method == "heads" and pair.heads is None:
        raise ValueError(f"Pair {pair.name!r} has no Medusa heads: train some, or use method 'tree'.")
    if method == "medusa_lite" and cfg.do_sample:
        raise ValueError("Method 'medusa_lite' keeps the verifier's greedy tokens only: use do_sample=False or 'one_pass'.")
    if method == "one_pass" and cfg.draft not in ("auto", "branches"):
        raise ValueError(f"Method 'one_pass' checks the original's branches: use draft='branches' or 'tree', not {cfg.draft!r}.")
    if cfg.acceptance not in (fits := fitting_rules(method, cfg)):
        raise ValueError(f"acceptance={cfg.acceptance!r} does not fit how {method!r} drafts here: use one of {sorted(fits)}.")


def methods_of(pair: ModelPair, cfg: Cfg) -> list[str]:
    """The names of `METHODS` that `pair` can serve under `cfg`."""
    def serves(method: str) -> bool:
        try:
            check_method(pair, cfg, method)
        except ValueError:
            return False
        return True
    return [method for method in METHODS if serves(method)]


def _propose_nothing(run: Run, span: int) -> TokenTree:
    return TokenTree()


def _propose_draft(run: Run, span: int) -> TokenTree:
    return draft_tree(run.drafter, run.ids, run.cfg, run.draft, span)


def _propose_tree(run: Run, span: int) -> TokenTree:
    first = run.cfg.lookup_first
    found = lookup_tree(run.ids, span, first, max(first, 3)) if first else TokenTree()
    return found if len(found) else _propose_draft(run, span)


def _propose_lookup(run: Run, span: int) -> TokenTree:
    return lookup_tree(run.ids, span)


def _propose_heads(run: Run, span: int) -> TokenTree:
    if run.hidden is None:  # before the verifier's first pass there is nothing to guess from
        return TokenTree()
    return heads_tree(run.pair.heads.probabilities(run.hidden, run.ids[-1], run.pair.verifier), run.nodes, span)


PROPOSE = {"greedy": _propose_nothing, "one_pass": _propose_draft, "tree": _propose_tree, "lookup": _propose_lookup,
           "heads": _propose_heads}


@torch.inference_mode()
def cached_step(run: Run, room: int) -> Step:
    """One step of every cached method, at most `room` tokens: propose, verify, accept, advance."""
    cfg, base = run.cfg, len(run.ids)
    calls = run.calls()
    # propose: one token fewer than there is room for, since the verifier adds one of its own
    tree = PROPOSE[run.method](run, min(run.span, room - 1))
    # verify: one pass behind the context and behind every node, each node penalised by its own path
    logits = verify_tree(run.verifier, run.ids, tree, hidden=run.method == "heads")
    contexts = (run.ids + tree.path_tokens(node) for node in range(ROOT, len(tree)))
    logits = penalize_nodes(logits, contexts, cfg.repetition_penalty, cfg.no_repeat_ngram_size)
    probs = next_distribution(logits, cfg.temperature, cfg.top_p) if cfg.do_sample else torch.softmax(logits, dim=-1)
    # accept: the path that the verifier would have written, and its own token behind it
    choices = logits.argmax(dim=-1).tolist()
    path, extra = accept_sampled(tree, probs, cfg.acceptance == "typical_lossy") if cfg.do_sample else accept_greedy(tree, choices)
    # advance: keep the accepted path in both caches, drop the rest
    rows = [0, *(node + 1 for node in path)]
    run.verifier.keep(base, [base + node for node in path])
    if run.drafter is not None:
        run.drafter.keep(min(base, run.drafter.length), [base + node for node in path if base + node < run.drafter.length])
    if run.method == "heads":
        run.hidden = run.verifier.hidden[rows[-1]]
    if cfg.adaptive_span and len(tree):
        run.span = next_span(run.span, len(path), 1 + max(tree.depths()), run.most)
    written = [*(tree.tokens[node] for node in path), extra]
    # for the record, in one read: the verifier's probability of its best tokens, of the drafted ones, of those written
    n = 1 + len(tree)
    said = probs[[*range(n), *(parent + 1 for parent in tree.parents), *rows], [*choices, *tree.tokens, *written]].tolist()
    return Step(base, [], None, written, extra, *(now - before for now, before in zip(run.calls(), calls)), tree, path, choices,
                said[:n], said[n:2 * n - 1], said[2 * n - 1:], list(probs[rows]) if cfg.debug else [])


def _medusa_lite_step(run: Run, room: int) -> Step:
    ids = torch.tensor([run.ids], device=run.pair.device)
    return medusa_step(run.pair, ids, replace(run.cfg, max_new_tokens=room))[1]


def generate(pair: ModelPair, prompt: str | torch.Tensor, cfg: Cfg | None = None, method: str = "tree") -> Generation:
    """Continue `prompt` (text, or a LongTensor [1, T]) with any of `METHODS`.

    Writes exactly `cfg.max_new_tokens` tokens (finish_reason "length"), or ends with an EOS token ("eos"), or when prompt
    and continuation fill the model's context ("context"). Without `cfg.do_sample` the output is the verifier's own greedy
    output whatever the seed; with it, a sample of the verifier's distribution (temperature, top_p and penalties applied),
    drawn with `cfg.seed`. Only acceptance="typical_lossy" breaks that, as its name says.

    Raises ValueError for an unknown method, a method that this pair or a sampling verifier cannot serve, or an acceptance
    rule that does not fit the draft; TypeError or ValueError for a prompt that cannot be used (see `encode_prompt`).
    """
    cfg = Cfg() if cfg is None else cfg
    check_method(pair, cfg, method)
    row = encode_prompt(pair, prompt)[0].tolist()
    start = len(row)
    end = min(start + cfg.max_new_tokens, pair.context)
    advance = _medusa_lite_step if method == "medusa_lite" else cached_step
    steps, reason = [], None
    began = time.perf_counter()
    with torch.random.fork_rng():
        torch.manual_seed(cfg.seed)
        run = Run(pair, row, cfg, method, end)
        while reason is None and len(run.ids) < end:
            step = advance(run, end - len(run.ids))
            ends = [i for i, token in enumerate(step.new_ids) if token in pair.eos_ids]
            if ends:
                step.new_ids, reason = step.new_ids[:ends[0] + 1], "eos"
            run.ids += step.new_ids
            steps.append(step)
    seconds = time.perf_counter() - began
    for number, step in enumerate(steps, 1):
        finish_record(step)
        if cfg.debug:
            print(f"step {number}: {len(step.branches)} branches, winner {step.best}, added {step.new_ids}")
    if reason is None:
        reason = "length" if len(run.ids) - start == cfg.max_new_tokens else "context"
    text = pair.tokenizer.decode(run.ids, skip_special_tokens=True) if pair.tokenizer is not None else ""
    return Generation(text, run.ids[:start], run.ids[start:], steps, sum(step.verifier_calls for step in steps),
                      sum(step.drafter_calls for step in steps), seconds, reason, method)


def medusa_generate(pair: ModelPair, prompt: str | torch.Tensor, cfg: Cfg | None = None) -> Generation:
    """`generate` with the method of the original notebook, `medusa_lite`."""
    return generate(pair, prompt, cfg, method="medusa_lite")


def greedy_generate(pair: ModelPair, prompt: str | torch.Tensor, cfg: Cfg | None = None) -> Generation:
    """`generate` with the verifier alone, cached: the baseline of every comparison."""
    return generate(pair, prompt, cfg, method="greedy")
