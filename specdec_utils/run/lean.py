"""What the lean passes of all architectures share: a preallocated cache, a pass over one run's tokens or those of several."""
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F

from .masking import bias_of
from .products import Products, kind

Attend = Callable[[int, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]  # number of the layer, q, k, v -> what they attend to


class LeanPass:
    """A lean pass; interface, attributes and meaning of `feed` and `keep` are those of `CachedModel`.

    A class for an architecture says which models it `knows`, calls `_make_cache` and sets `weights` when it is made, and has
    `_embedded(tokens, places)`, the numbers that go into the first layer and whatever else the layers ask for by place;
    `_layers(x, placed, attend, hidden)`, the layers with their attention left to `attend`; `_normed_out(x)`, the last norm.
    """

    weights: Products

    def _make_cache(self, layers: int, heads: int, shared: int, size: int, capacity: int, like: torch.Tensor, scale: float | None = None):
        """A cache of `capacity` positions for so many `layers`, with `shared` heads of keys and values for `heads` of queries."""
        self.heads, self.shared, self.groups, self.size, self.scale = heads, shared, heads // shared, size, scale
        self.keys, self.values = (like.new_empty(layers, shared, capacity, size) for _ in range(2))
        self.caches = list(zip(self.keys, self.values))
        self.length, self.calls, self.hidden = 0, 0, None

    def _begin(self, tokens: list[int], positions: list[int] | None, mask: torch.Tensor | None) -> tuple[int, int, torch.Tensor | None]:
        """For a pass over `tokens`: where they begin and end in the cache, and what is added to their scores."""
        start, end = self.length, self.length + len(tokens)
        bias = bias_of(mask, positions, len(tokens), end, like=self.keys)
        if bias is not None and self.groups > 1:
            bias = bias.repeat(self.groups, 1)  # the queries stand group by group
        return start, end, bias

    def _attend(self, layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, start: int, end: int,
                bias: torch.Tensor | None) -> torch.Tensor:
        """What queries q [n, heads, size] attend to, [n, heads * size], once keys and values k, v [n, shared, size] are in the cache."""
        n, (keys, values) = len(q), self.caches[layer]
        keys[:, start:end], values[:, start:end] = k.transpose(0, 1), v.transpose(0, 1)
        q = q.reshape(n, self.shared, self.groups, self.size).permute(1, 2, 0, 3).flatten(1, 2)
        a = F.scaled_dot_product_attention(q[None], keys[None, :, :end], values[None, :, :end], attn_mask=bias, scale=self.scale)
        return a.view(self.shared, self.groups, n, self.size).permute(2, 0, 1, 3).reshape(n, -1)

    def _end(self, end: int, states: Sequence[torch.Tensor], hidden: tuple[int, ...]) -> None:
        self.length, self.calls = end, self.calls + 1
        self.hidden = torch.cat([states[layer] for layer in hidden], dim=-1) if hidden else None

    @torch.inference_mode()
    def feed(self, tokens: list[int], wanted: int = 1, positions: list[int] | None = None,
             mask: torch.Tensor | None = None, hidden: tuple[int, ...] = ()) -> torch.Tensor:
        """See `CachedModel.feed`."""
        n, (start, end, bias) = len(tokens), self._begin(tokens, positions, mask)
        x, placed = self._embedded(tokens, slice(start, end) if positions is None else positions)
        x, states = self._layers(x, placed, lambda layer, q, k, v: self._attend(layer, q, k, v, start, end, bias), hidden)
        last = self._normed_out(x if hidden else x[n - wanted:])
        self._end(end, [*states, last], hidden)
        return self.products[kind(n)][-1](last[-wanted:])

    @classmethod
    @torch.inference_mode()
    def together(cls, runs: Sequence["LeanPass"], call: str, asked: Sequence[tuple]) -> list[torch.Tensor]:
        """What `feed` gives for each of `runs` with its arguments, `call` being "feed": one pass over the tokens of all, each
        attending to its own cache. Products then read the weights once for all. Yu et al. 2022 (Orca, OSDI), section 3.2,
        selective batching."""
        first = max(runs, key=lambda run: run.keys.shape[2])  # the longest: what is made by place reaches far enough for all
        tokens, places, parts, wanted, hidden = [], [], [], [], ()
        for run, args in zip(runs, asked):
            own, many, positions, mask, hidden = (*args, *(1, None, None, ())[len(args) - 1:])
            start, end, bias = run._begin(own, positions, mask)
            rows = slice(len(tokens), len(tokens) + len(own))
            parts.append((run, rows, start, end, bias))
            wanted.append(range(rows.stop - many, rows.stop))
            tokens += own
            places += range(start, end) if positions is None else positions

        def attend(layer: int, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            return torch.cat([run._attend(layer, q[rows], k[rows], v[rows], *where) for run, rows, *where in parts])
        x, states = first._layers(*first._embedded(tokens, places), attend, hidden)
        last = first._normed_out(x)
        for run, rows, _, end, _ in parts:
            run._end(end, [state[rows] for state in (*states, last)] if hidden else (), hidden)
        logits = first.products[kind(len(tokens))][-1](last[[row for rows in wanted for row in rows]])
        return list(logits.split([len(rows) for rows in wanted]))

    def keep(self, prefix: int, slots: list[int]) -> None:
        """See `CachedModel.keep`."""
        stay = prefix + len(slots)
        if slots != list(range(prefix, stay)):
            for cache in (self.keys, self.values):
                cache[:, :, prefix:stay] = cache[:, :, slots]
        self.length = stay
