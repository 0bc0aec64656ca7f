"""Medusa heads: the verifier guesses ahead from its own last hidden state."""
import heapq

import torch

from ...text.config import Cfg
from ..tree import ROOT, TokenTree
from .base import Drafter


@torch.inference_mode()
def heads_tree(probs: torch.Tensor, nodes: int, span: int) -> TokenTree:
    """The `nodes` most probable prefixes of what Medusa heads expect, as a tree of at most `span` levels.

    `probs` [H, V]: row i is head i's distribution of the token i places after the next one. A prefix counts with the product
    of its tokens' probabilities. Cai et al. 2024 (Medusa, arXiv 2401.10774), section 2.3.3.
    """
    tree, depth = TokenTree(), min(span, len(probs))
    if depth < 1:
        return tree
    top = probs[:depth].topk(min(nodes, probs.shape[1]))
    chance, token = top.values.tolist(), top.indices.tolist()
    heap = [(-chance[0][0], 1.0, ROOT, 0, 0)]  # (-probability of the prefix, that of its parent, parent, level, rank)
    while heap and len(tree) < nodes:
        minus, above, parent, level, rank = heapq.heappop(heap)
        node = tree.add(parent, token[level][rank], chance[level][rank])
        if rank + 1 < len(token[level]):
            heapq.heappush(heap, (-above * chance[level][rank + 1], above, parent, level, rank + 1))
        if level + 1 < depth:
            heapq.heappush(heap, (minus * chance[level + 1][0], -minus, node, level + 1, 0))
    return tree


class Heads(Drafter):
    """Drafts with `heads_tree` from the pair's Medusa heads, from the second step on."""

    about = "no drafter: Medusa heads on the verifier guess ahead, their best prefixes form the tree"
    part = source = "heads"
    hidden = (-1,)
    _state: torch.Tensor | None = None  # before the verifier's first pass there is nothing to guess from

    @classmethod
    def laws(cls, cfg: Cfg) -> set[str]:
        return {"deterministic"}

    @property
    def ready(self) -> bool:
        return self._state is not None

    def propose(self, ids: list[int], span: int) -> TokenTree:
        if not self.ready or span < 1:
            return TokenTree()
        return heads_tree(self.pair.heads.probabilities(self._state, ids[-1], self.pair.verifier), self.most, span)

    def advance(self, base: int, path: list[int], hidden: torch.Tensor | None) -> None:
        self._state = hidden[-1]
