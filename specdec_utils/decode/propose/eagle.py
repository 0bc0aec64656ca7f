"""EAGLE: one layer over the verifier's hidden states drafts, going on from its own outputs where those are not there yet."""
import torch
from transformers import LogitsProcessorList

from ...run.asking import Ask, Asking, alone
from ...run.eagle import CachedEagle, cached_eagle
from ...run.text_pieces import output_matrix
from ...text.config import Cfg
from ..price import Price
from ..tree import ROOT, TokenTree
from .base import Drafter
from .small_model import SmallModel, growing


@torch.inference_mode()
def eagle_tree(eagle: CachedEagle, features: torch.Tensor, ids: list[int], cfg: Cfg, draft: str, span: int,
               processors: LogitsProcessorList | None = None, generator: torch.Generator | None = None,
               price: Price | None = None) -> TokenTree:
    """A draft after `ids` as `draft_tree` would find it, from the verifier's `features` [n, k * width] at all positions that the
    cache lacks but the last, which the verifier has not read.

    The first pass takes these in and gives the first level; each further level costs one pass over the level above, whose
    outputs take the place of features. Li et al. 2024 (EAGLE, arXiv 2401.15077), section 4.1; the tree of most probable
    prefixes: Li et al. 2024 (EAGLE-2, arXiv 2406.16858), section 4.1.
    """
    return alone(drafting(eagle, features, ids, cfg, draft, span, processors, generator, price))


def drafting(eagle: CachedEagle, features: torch.Tensor, ids: list[int], cfg: Cfg, draft: str, span: int,
             processors: LogitsProcessorList | None = None, generator: torch.Generator | None = None,
             price: Price | None = None) -> Asking[TokenTree]:
    """`eagle_tree` as work that stops at each of its passes."""
    first = len(ids) - 1  # the slot of the first node: what was read of the text fills those before it

    def ask(tree: TokenTree, nodes: list[int]) -> Ask:
        if nodes == [ROOT]:
            return Ask(eagle, "read", (features, ids[eagle.length + 1:]), drafts=True)
        tokens = [tree.tokens[node] for node in nodes]
        if tree.is_chain():
            return Ask(eagle, "draft", (eagle.outputs, tokens), drafts=True)
        depth, above = len(tree.path(nodes[0])) - 1, eagle.length - len(eagle.outputs) - first  # the first node of the level above
        rows = [tree.parents[node] - above if depth else 0 for node in nodes]
        return Ask(eagle, "draft", (eagle.outputs[rows], tokens, [first + depth] * len(nodes), tree.mask(nodes[0])), drafts=True)
    return growing(ask, ids, cfg, draft, span, processors, generator, price)


class Eagle(SmallModel):
    """Drafts with `eagle_tree` from the pair's eagle drafter, from the second step on, in the way that `cfg.draft` says."""

    about = "a layer that reads the verifier's hidden states drafts the tree, one cached verifier pass a step"
    part = "eagle"

    def __init__(self, *of_the_run):
        Drafter.__init__(self, *of_the_run)
        embeddings = self.pair.verifier.get_input_embeddings().weight
        matrix = output_matrix(self.pair.verifier) if self.cfg.text_pieces else None
        self.model = cached_eagle(self.pair.eagle, embeddings, self.capacity, self.cfg.lean, matrix)
        self.hidden = self.pair.eagle.layers
        self._features: torch.Tensor | None = None  # true ones that the drafter has not read yet

    @property
    def ready(self) -> bool:
        return self._features is not None

    def drafting(self, ids: list[int], span: int, price: Price | None = None) -> Asking[TokenTree]:
        """See `SmallModel.drafting`; nothing before the verifier's first pass."""
        if not self.ready or span < 1:
            return TokenTree()
        features, self._features = self._features, None
        return (yield from drafting(self.model, features, ids, self.cfg, self.way(self.cfg), span, self.processors, self.generator,
                                    price))

    def advance(self, base: int, path: list[int], hidden: torch.Tensor | None) -> None:
        """Drop what was drafted, accepted or not: it is read again with true features, in the pass that drafts next."""
        self.model.keep(base - 1)
        self._features = hidden if self._features is None else torch.cat([self._features, hidden])
