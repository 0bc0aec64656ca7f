"""Models that cannot be told where in the text a token stands: a tree's branches run side by side, as a batch."""
import inspect

import torch
from transformers import DynamicCache

from .cached import CachedModel


class UnfoldedModel(CachedModel):
    """A model that takes a token's place in the cache for its position in the text, as those with ALiBi do (Press et al. 2022,
    arXiv 2108.12409): it cannot be told that siblings in a tree share a position.

    So a tree is unfolded, in one forward pass: each branch is a row of a batch, behind its own copy of the context, and there
    places are positions. Afterwards every node stands in the cache once, as behind any other model.
    """

    @staticmethod
    def knows(model) -> bool:
        """Can it not be given positions, or does it count places all the same: for ALiBi, or for GPT-Neo's local attention?"""
        return ("position_ids" not in inspect.signature(type(model).forward).parameters
                or getattr(model.config, "alibi", False) or "local" in getattr(model.config, "attention_layers", ()))

    def __init__(self, model, capacity: int):
        super().__init__(model, capacity)
        self.tokens: list[int] = []  # those in the cache

    @torch.inference_mode()
    def feed(self, tokens: list[int], wanted: int = 1, positions: list[int] | None = None,
             mask: torch.Tensor | None = None, hidden: tuple[int, ...] = ()) -> torch.Tensor:
        """See `CachedModel.feed`."""
        self.tokens[self.length:] = tokens
        if mask is None or positions is None:
            return super().feed(tokens, wanted, positions, mask, hidden)
        n, m = mask.shape
        shared = self.length + n - m  # the context, seen by all: of the last m places only some are
        inner = mask.sum(dim=0) > 1
        branches = [mask[leaf].nonzero().flatten().tolist() for leaf in range(n) if not inner[leaf - n]]
        longest = max(map(len, branches))
        batch = [[self.tokens[shared + node] for node in branch] + [0] * (longest - len(branch)) for branch in branches]
        where = {node: (row, depth) for row, branch in enumerate(branches) for depth, node in enumerate(branch)}
        rows, depths = map(list, zip(*(where[node] for node in range(m - n, m))))
        cache = DynamicCache()
        if shared > 0:
            for index, layer in enumerate(self.cache.layers):
                context = (kept[:, :, :shared].expand(len(branches), -1, -1, -1) for kept in (layer.keys, layer.values))
                cache.update(*context, index)
        options = {"logits_to_keep": longest - min(depths[-wanted:])} if self._keeps else {}
        out = self.model(torch.tensor(batch, device=self.model.device), past_key_values=cache, use_cache=True,
                         output_hidden_states=bool(hidden), **options)
        places = [shared + depth for depth in depths]
        for index, layer in enumerate(cache.layers):
            fresh = (kept[rows, :, places].transpose(0, 1)[None] for kept in (layer.keys, layer.values))
            self.cache.update(*fresh, index)
        self.length, self.calls = self.length + n, self.calls + 1
        self.hidden = torch.cat([out.hidden_states[layer][rows, depths] for layer in hidden], dim=-1) if hidden else None
        missing = longest - out.logits.shape[1]  # places in front whose logits were not asked for
        return out.logits[rows[-wanted:], [depth - missing for depth in depths[-wanted:]]]

    def keep(self, prefix: int, slots: list[int]) -> None:
        """See `CachedModel.keep`."""
        super().keep(prefix, slots)
        self.tokens = self.tokens[:prefix] + [self.tokens[slot] for slot in slots]
