"""A small model drafts, with a cache: the draft as a token tree, one drafter pass per level."""
from collections.abc import Callable
from dataclasses import replace

import torch
from transformers import GenerationConfig, LogitsProcessorList

from ...run.asking import Ask, Asking, alone
from ...run.cached import CachedModel
from ...run.calling import cached_model
from ...run.lean import LeanPass
from ...text.config import Cfg
from ...text.processors import logits_processors, process_logits
from ...text.sampling import next_distribution, sample_without_replacement
from ..price import Price
from ..tree import ROOT, TokenTree
from .base import Drafter
from .lookup import lookup_tree

LAWS = {"branches": "without_replacement", "paths": "with_replacement", "top": "deterministic"}


def _fill_branches(tree: TokenTree, nodes: list[int], rows: torch.Tensor, cfg: Cfg, generator, price: Price | None) -> list[int]:
    """First tokens drawn without replacement, each continued greedily: the original notebook's branches."""
    if nodes == [ROOT]:
        q = next_distribution(rows[0], cfg.temperature, cfg.top_p).cpu()
        tree.drawn_from[ROOT] = "without_replacement", q
        drawn = sample_without_replacement(q, cfg.topk_branch, generator)
        return [tree.add(ROOT, token, float(q[token])) for token in drawn]
    best = torch.softmax(rows, dim=-1).max(dim=-1)
    return [tree.add(node, token, prob) for node, token, prob in zip(nodes, best.indices.tolist(), best.values.tolist())]


def _fill_paths(tree: TokenTree, nodes: list[int], rows: torch.Tensor, cfg: Cfg, generator, price: Price | None) -> list[int]:
    """Independent samples of the drafter; a node that several of them share is drawn from once for each."""
    fresh = []
    laws = next_distribution(rows, cfg.temperature, cfg.top_p).cpu()
    for node, q in zip(nodes, laws):
        if node == ROOT:
            draws = cfg.topk_branch
        else:
            draws = tree.children[tree.parents[node]].count(node)
        drawn = torch.multinomial(q, draws, replacement=True, generator=generator).tolist()
        tree.drawn_from[node] = "with_replacement", q
        fresh += [tree.add(node, token, float(q[token])) for token in drawn]
    return list(dict.fromkeys(fresh))


def _fill_top(tree: TokenTree, nodes: list[int], rows: torch.Tensor, cfg: Cfg, generator, price: Price | None) -> list[int]:
    """The most probable continuations of the whole level, nothing drawn. As Li et al. 2024 (EAGLE-2, arXiv 2406.16858) grow
    their tree."""
    probs, reach = torch.softmax(rows, dim=-1), [tree.reach(node) for node in nodes]
    joint = probs.flatten() if len(nodes) == 1 else (probs * torch.tensor(reach, device=probs.device)[:, None]).flatten()
    best = joint.topk(min(cfg.topk_branch, len(joint)))
    chances, indices = best.values.tolist(), best.indices.tolist()
    if len(nodes) == 1:  # a common factor changes no order
        own, chances = chances, [reach[0] * prob for prob in chances]
    else:
        own = probs.flatten()[best.indices].tolist()  # of each token, given its parent
    fresh = []
    for chance, index, prob in zip(chances, indices, own):
        row, token = divmod(index, probs.shape[1])
        if not (chance > 0 and chance >= cfg.draft_confidence):  # impossible, or from a row with every token banned
            break
        if fresh and price is not None and not price.wider(tree, nodes[row], prob):
            break
        fresh.append(tree.add(nodes[row], token, prob))
    return fresh


def draft_way(cfg: Cfg, sampling: str) -> str:
    """`cfg.draft` with "auto" resolved: "top" with a greedy verifier, else `sampling`."""
    if cfg.draft != "auto":
        return cfg.draft
    return sampling if cfg.do_sample else "top"


FILL = {"branches": _fill_branches, "paths": _fill_paths, "top": _fill_top}


def growing(ask: Callable[[TokenTree, list[int]], Ask], ids: list[int], cfg: Cfg, draft: str, span: int,
            processors: LogitsProcessorList | None, generator: torch.Generator | None, price: Price | None = None) -> Asking[TokenTree]:
    """A tree after `ids`, grown level by level as `draft_tree` says: `ask(tree, nodes)` is the pass that gives the drafter's logits
    [n, V] after the n `nodes` of the last level, [ROOT] at first. With a `price`, only as far and as wide as that allows."""
    if processors is None:
        processors = logits_processors(GenerationConfig(), cfg, ids, len(ids))
    tree, nodes = TokenTree(), [ROOT]
    for _ in range(span):
        contexts = (ids + tree.path_tokens(node) for node in nodes)
        rows = process_logits((yield ask(tree, nodes)), contexts, processors)
        if draft != "top" and (cfg.draft_confidence > 0 or processors):
            best = torch.softmax(rows, dim=-1).amax(dim=-1).tolist()  # NaN, so never sure, where every token is banned
            sure = [i for i, node in enumerate(nodes) if tree.reach(node) * best[i] >= cfg.draft_confidence]
            nodes, rows = [nodes[i] for i in sure], rows[sure]
        nodes = FILL[draft](tree, nodes, rows, cfg, generator, price) if nodes else []
        if not nodes or price is not None and not price.deeper(tree, nodes):
            break
    return tree


@torch.inference_mode()
def draft_tree(drafter: CachedModel | LeanPass, ids: list[int], cfg: Cfg, draft: str, span: int,
               processors: LogitsProcessorList | None = None, generator: torch.Generator | None = None,
               price: Price | None = None) -> TokenTree:
    """A draft of up to `cfg.topk_branch` branches and `span` levels after `ids`, found as `draft` says (see `Cfg.draft`).

    One drafter pass per level; the first reads what the cache lacks of `ids`. All levels but the last stay in the cache after the
    context, node i at position len(ids) + i. Where a path's probability would fall below `cfg.draft_confidence` nothing is
    drafted: decided from what is already there, before the next token is drawn, so that no rule is broken. So with `price`, which
    ends a draft that no longer earns its time.

    The drafter's logits go through `processors`, each node's after its own path; by default those of `cfg` alone. Tokens are
    drawn with `generator` or, without one, with torch's global generator.
    """
    return alone(drafting(drafter, ids, cfg, draft, span, processors, generator, price))


def drafting(drafter: CachedModel | LeanPass, ids: list[int], cfg: Cfg, draft: str, span: int,
             processors: LogitsProcessorList | None = None, generator: torch.Generator | None = None,
             price: Price | None = None) -> Asking[TokenTree]:
    """`draft_tree` as work that stops at each of its passes."""
    def ask(tree: TokenTree, nodes: list[int]) -> Ask:
        tokens = ids[drafter.length:] if nodes == [ROOT] else [tree.tokens[node] for node in nodes]
        if tree.is_chain():
            return Ask(drafter, "feed", (tokens,), drafts=True)
        places = [len(ids) + len(tree.path(nodes[0])) - 1] * len(nodes)
        return Ask(drafter, "feed", (tokens, len(tokens), places, tree.mask(nodes[0])), drafts=True)
    return growing(ask, ids, cfg, draft, span, processors, generator, price)


class SmallModel(Drafter):
    """Drafts with `draft_tree` from the pair's small model, in the way that `cfg.draft` says."""

    about = "one token tree of the drafter's guesses, one cached verifier pass per step"
    part = "drafter"

    def __init__(self, *of_the_run):
        super().__init__(*of_the_run)
        self.model = cached_model(self.pair.drafter, self.capacity, self.cfg.lean)

    @classmethod
    def way(cls, cfg: Cfg) -> str:
        """`cfg.draft` with "auto" resolved."""
        return draft_way(cfg, "branches")

    @classmethod
    def laws(cls, cfg: Cfg) -> set[str]:
        looked_up = {"deterministic"} if cfg.lookup_first else set()
        return {LAWS[cls.way(cfg)]} | looked_up

    def propose(self, ids: list[int], span: int) -> TokenTree:
        return alone(SmallModel.proposing(self, ids, span))

    def proposing(self, ids: list[int], span: int) -> Asking[TokenTree]:
        """See `Drafter`."""
        if shortest := self.cfg.lookup_first:
            found = lookup_tree(ids, span, shortest, max(shortest, 3))
            if len(found):
                self.source = "lookup"
                return found
        self.source = self.part
        return (yield from self.drafting(ids, span))

    def drafting(self, ids: list[int], span: int, price: Price | None = None) -> Asking[TokenTree]:
        """What the model drafts behind `ids`, at most `span` levels."""
        return drafting(self.model, ids, self.cfg, self.way(self.cfg), span, self.processors, self.generator, price)


class OnePass(SmallModel):
    """The original notebook's branches, all checked at once; it never looks up."""

    about = "the same branches, all checked in one cached verifier pass per step"

    @classmethod
    def way(cls, cfg: Cfg) -> str:
        return "branches"

    @classmethod
    def laws(cls, cfg: Cfg) -> set[str]:
        return {LAWS["branches"]}

    @classmethod
    def settings(cls, cfg: Cfg) -> Cfg:
        return replace(cfg, lookup_first=0)
