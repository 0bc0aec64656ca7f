"""One step: the four verbs joined once, for every cached method."""
import torch

from ..models.pair import ModelPair
from ..run.asking import Asking, alone
from ..run.calling import cached_model
from ..text.config import Cfg
from ..text.processors import logits_processors, process_logits
from ..text.sampling import next_distribution
from .accept import accept_greedy, accept_sampled
from .methods import DRAFTERS
from .propose.base import next_span
from .records import Step, cached_record
from .tree import ROOT
from .verify import ask_verifier


class Run:
    """What a run carries from step to step: the text so far, its own random numbers, what the verifier's logits go through, its
    cache, the drafter, how far to draft."""

    def __init__(self, pair: ModelPair, ids: list[int], cfg: Cfg, method: str, end: int):
        cfg = DRAFTERS[method].settings(cfg) if method in DRAFTERS else cfg
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
    return alone(stepping(run, room))


def stepping(run: Run, room: int) -> Asking[Step]:
    """The same as work that stops at each of its passes: so that those of several runs can be made together."""
    cfg, base = run.cfg, len(run.ids)
    verifier_calls, drafter_calls = run.verifier.calls, run.draft.calls
    # propose: one token fewer than there is room for, since the verifier adds one of its own
    tree = yield from run.draft.proposing(run.ids, min(run.span, room - 1))
    # verify: one pass gives the logits after the context and after every node, each row processed by its own path
    logits = yield ask_verifier(run.verifier, run.ids, tree, run.draft.hidden)
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
    if len(tree) or step.drafter_calls:
        step.drafter = run.draft.source
    step.price = run.draft.price
    return step
