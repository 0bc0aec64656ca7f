"""Any model as `transformers` runs it, behind a cache that can be fed, branched and rolled back."""
import inspect

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer


class CachedModel:
    """Any causal language model of `transformers` behind its `DynamicCache`.

    `length`: positions in the cache. `calls`: forward passes so far. `hidden`: after a pass that was asked for
    them, hidden states of all its n tokens [n, layers asked for * width], else None.

    Raises ValueError if the model's cache cannot be rolled back: sliding windows drop old positions, recurrent states mix them.
    """

    kinds = {DynamicLayer}  # of layers that may be in its cache

    def __init__(self, model, capacity: int):
        self.model, self.cache, self.length, self.calls, self.hidden = model, DynamicCache(config=model.config), 0, 0, None
        if not {type(layer) for layer in self.cache.layers} <= self.kinds:
            raise ValueError(f"{type(model).__name__} keeps a sliding window or a recurrent state, and such a cache cannot be "
                             "rolled back: use method 'medusa_lite' or a model with full attention.")
        self._keeps = "logits_to_keep" in inspect.signature(type(model).forward).parameters

    @torch.inference_mode()
    def feed(self, tokens: list[int], wanted: int = 1, positions: list[int] | None = None,
             mask: torch.Tensor | None = None, hidden: tuple[int, ...] = ()) -> torch.Tensor:
        """Run `tokens` (n ids) behind the cache and keep them in it: the logits [wanted, V] of the last `wanted` of them.

        Without `mask` they continue the sequence. With it they form a tree: `mask` [n, m] (bool) says which of the last m
        positions, themselves included, each one attends to (all earlier ones are seen by all), and `positions` [n] where
        each one stands. `hidden` names the layers whose states are kept side by side in the attribute `hidden`, as
        `transformers` counts its `hidden_states`: 0 the embedding, -1 behind the final norm. One forward pass.
        Raises ValueError for a mask without positions: without them a tree's logits would be silently wrong.
        """
        if mask is not None and positions is None:
            raise ValueError("A mask needs positions: say for each token where in the text it stands.")
        device, n, options = self.model.device, len(tokens), {}
        if mask is not None:
            seen = torch.ones(n, self.length + n - mask.shape[1], dtype=torch.bool)
            options["attention_mask"] = self.bias(torch.cat([seen, mask], dim=1).to(device))
            options["position_ids"] = torch.tensor([positions], device=device)
        if self._keeps:
            options["logits_to_keep"] = wanted
        out = self.model(torch.tensor([tokens], device=device), past_key_values=self.cache, use_cache=True,
                         output_hidden_states=bool(hidden), **options)
        self.length, self.calls = self.length + n, self.calls + 1
        self.hidden = torch.cat([out.hidden_states[layer][0] for layer in hidden], dim=-1) if hidden else None
        return out.logits[0, -wanted:]

    def bias(self, visible: torch.Tensor) -> torch.Tensor:
        """What is added to the attention scores [1, 1, n, length + n] where `visible` [n, length + n] says who sees whom."""
        bias = torch.zeros(1, 1, *visible.shape, dtype=self.model.dtype, device=visible.device)
        return bias.masked_fill_(~visible, torch.finfo(self.model.dtype).min)

    def keep(self, prefix: int, slots: list[int]) -> None:
        """Keep the first `prefix` positions and then those at `slots` (ascending, >= prefix), in this order; drop the rest."""
        stay = prefix + len(slots)
        if slots != list(range(prefix, stay)):
            for layer in self.cache.layers:
                index = torch.tensor([*range(prefix), *slots], device=layer.keys.device)
                layer.keys, layer.values = layer.keys.index_select(2, index), layer.values.index_select(2, index)
        elif self.length > stay:  # crop(0) has not always meant "drop nothing"
            self.cache.crop(stay - self.length)
        self.length = stay
