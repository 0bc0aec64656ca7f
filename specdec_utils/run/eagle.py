"""The feature drafter with a cache that can be fed, branched and rolled back: as it is written, and lean."""
import functools
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import nn

from ..models.eagle import EagleAttention, EagleDrafter, EagleLayer, EagleMLP
from .made import made_once
from .masking import bias_of
from .products import Product, Products, kind
from .text_pieces import text_pieces
from .untouched import is_untouched

PARTS = {EagleDrafter, EagleLayer, EagleAttention, EagleMLP, nn.Linear, nn.RMSNorm}
TABLE_LIMIT = 64 << 20  # bytes: for a larger vocabulary no table is made, its embeddings are multiplied as they come


class CachedEagle:
    """An `EagleDrafter` behind a cache of its keys and values, on any device and in any dtype.

    Slot t holds what feature t and the embedding of token t + 1 gave; its logits are those of token t + 2.
    `length`: slots in the cache. `calls`: passes so far. `outputs` [wanted, width]: after a pass, the outputs g of the rows that
    logits were returned for. With the verifier's output `matrix` [V, width], a drafter that cannot write all tokens can also write those
    that it has read (`TextPieces`).
    """

    def __init__(self, drafter: EagleDrafter, embeddings: torch.Tensor, capacity: int, matrix: torch.Tensor | None = None):
        self.text = text_pieces(drafter, matrix)
        self.drafter, self.embeddings, self.length, self.calls, self.outputs = drafter, embeddings, 0, 0, None
        self.keys, self.values = (embeddings.new_empty(drafter.kv_heads, 0, drafter.size) for _ in range(2))

    @torch.inference_mode()
    def read(self, features: torch.Tensor, tokens: list[int], wanted: int = 1) -> torch.Tensor:
        """Take in true `features` [n, k * width], each with the token after it: the logits [wanted, V] of the last `wanted` rows."""
        self._take_in(tokens)
        return self._pass(self._fuse(features), tokens, wanted)

    @torch.inference_mode()
    def draft(self, states: torch.Tensor, tokens: list[int], positions: list[int] | None = None,
              mask: torch.Tensor | None = None) -> torch.Tensor:
        """Go on from outputs `states` [n, width] of earlier passes, each with a token guessed from it: logits [n, V].

        Without `mask` one after the other. With it they form a tree: `mask` [n, m] (bool) says which of the last m slots,
        themselves included, each one attends to (all earlier ones are seen by all), and `positions` [n] the place in the text
        of each state. Raises ValueError for a mask without positions: without them a tree's logits would be silently wrong.
        """
        return self._pass(states, tokens, len(tokens), positions, mask)

    def keep(self, length: int) -> None:
        """Keep the first `length` slots and drop the rest: what was drafted is read again with true features once it is accepted."""
        self.length = min(self.length, length)

    def _take_in(self, tokens: list[int]) -> None:
        if self.text:
            self.text.take_in(tokens)

    def _fuse(self, features: torch.Tensor) -> torch.Tensor:
        return self.drafter.fc(features)

    def _pass(self, states: torch.Tensor, tokens: list[int], wanted: int, positions: list[int] | None = None,
              mask: torch.Tensor | None = None) -> torch.Tensor:
        start, end, device = self.length, self.length + len(tokens), self.embeddings.device
        places = torch.arange(start, end, device=device) if positions is None else torch.tensor(positions, device=device)
        embedding = self.embeddings[torch.tensor(tokens, device=device)]
        outputs, self.keys, self.values = self.drafter(states, embedding, places, self.keys[:, :start], self.values[:, :start],
                                                       bias_of(mask, positions, len(tokens), end, like=self.embeddings))
        self.length, self.calls, self.outputs = end, self.calls + 1, outputs[-wanted:]
        logits = self.drafter.logits(self.outputs)
        return self.text.add(logits, self.drafter.norm(self.outputs)) if self.text else logits


def _times(weight: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return torch.mm(x, weight)


class _Arranged:
    """A drafter's weights as the lean pass multiplies them: first products joined, queries and keys in another order, the
    embeddings' share of the first product a table."""

    def __init__(self, drafter: EagleDrafter, embeddings: torch.Tensor):
        m, width, size = drafter.midlayer, drafter.width, drafter.size
        pairs = torch.arange(size).view(2, -1).T.flatten()  # unit i beside unit i + size / 2, so that a turn is a product in C
        def paired(weight):
            return weight.unflatten(0, (-1, size))[:, pairs].flatten(0, 1)
        a = m.self_attn
        first = torch.cat([paired(a.q_proj.weight), paired(a.k_proj.weight), a.v_proj.weight])
        up = torch.cat([m.mlp.gate_proj.weight, m.mlp.up_proj.weight])
        told = first[:, :width]
        big = len(embeddings) * len(told) * embeddings.element_size() > TABLE_LIMIT
        weights = [drafter.fc.weight, first[:, width:], a.o_proj.weight, up, m.mlp.down_proj.weight,
                   *([told] if big else []), drafter.lm_head.weight]  # without a table a product of each pass
        stored = [functools.partial(_times, weight.T.contiguous()) for weight in weights]
        self.products = Products(stored, [(weight, None) for weight in weights])
        root = width ** 0.5  # x / rms(x) = root * x / |x|
        self.norms = [root * norm.weight for norm in (m.hidden_norm, m.post_attention_layernorm, drafter.norm)]
        self.floor = torch.tensor((width * drafter.eps) ** 0.5, dtype=embeddings.dtype)
        self.told_norm = m.input_layernorm.weight
        angles = torch.atan2(drafter.sin, drafter.cos)[:, None, :size // 2].to(embeddings.dtype)
        self.turns = torch.polar(torch.ones_like(angles), angles)
        self.embeddings, self.eps = embeddings, drafter.eps
        self.table = None if big else self._normed(embeddings) @ told.T

    def _normed(self, embeddings: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(embeddings, embeddings.shape[-1:], self.told_norm, self.eps)

    def told_by(self, tokens: list[int], products: Sequence[Product]) -> torch.Tensor:
        """The share of `tokens` in queries, keys and values, [n, all of these], by the last but one of a pass's `products` where there
        is no table."""
        if self.table is None:
            return products[-2](self._normed(self.embeddings[tokens]))
        return self.table[tokens] if len(tokens) > 1 else self.table[tokens[0]:tokens[0] + 1]


class LeanEagle(CachedEagle):
    """The same passes in two dozen tensor operations, equal within 1e-5 in float32. For the CPU."""

    @staticmethod
    def knows(drafter: EagleDrafter) -> bool:
        """Is this exactly an `EagleDrafter` in float32 or float64 on the CPU, with nothing replaced in it or hung into it?"""
        weight = drafter.fc.weight
        return (type(drafter) is EagleDrafter and weight.device.type == "cpu" and weight.dtype in (torch.float32, torch.float64)
                and all(is_untouched(module, PARTS) for module in drafter.modules()))

    def __init__(self, drafter: EagleDrafter, embeddings: torch.Tensor, capacity: int, matrix: torch.Tensor | None = None):
        super().__init__(drafter, embeddings, capacity, matrix)
        self.arranged = made_once(drafter, [*drafter.parameters(), embeddings], lambda: _Arranged(drafter, embeddings))
        self.weights = self.arranged.products
        self.products, self.turned = self.weights.by_width(), drafter.heads + drafter.kv_heads
        self.keys, self.values = (embeddings.new_empty(drafter.kv_heads, capacity, drafter.size) for _ in range(2))

    def _fuse(self, features: torch.Tensor) -> torch.Tensor:
        return self.products[kind(len(features))][0](features)

    def _normed(self, states: torch.Tensor, norm: torch.Tensor) -> torch.Tensor:
        """RMS norm in three operations: `states` over their lengths, times `norm`, which holds the root of the width as well."""
        return states * norm / torch.hypot(torch.linalg.vector_norm(states, dim=-1, keepdim=True), self.arranged.floor)

    def _pass(self, states: torch.Tensor, tokens: list[int], wanted: int, positions: list[int] | None = None,
              mask: torch.Tensor | None = None) -> torch.Tensor:
        """See `CachedEagle`."""
        n, start, end, bias = self._begin(tokens, positions, mask)
        turns = self.arranged.turns[start:end] if positions is None else self.arranged.turns[positions]
        states = self._layer(states, tokens, turns, lambda qk, v: self._attend(qk, v, start, end, bias))
        return self._end(end, states[n - wanted:], *self._logits(states[n - wanted:], n))

    def _begin(self, tokens: list[int], positions: list[int] | None, mask: torch.Tensor | None) -> tuple:
        n, start = len(tokens), self.length
        return n, start, start + n, bias_of(mask, positions, n, start + n, like=self.embeddings)

    def _layer(self, states: torch.Tensor, tokens: list[int], turns: torch.Tensor,
               attend: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]) -> torch.Tensor:
        """The outputs g [n, width], from `attend(queries and keys, values)`, each [n, heads, size]."""
        n, (norm, norm_2, _) = len(tokens), self.arranged.norms
        _, to_qkv, to_out, to_up, to_down, *_ = products = self.products[kind(n)]
        qkv = (to_qkv(self._normed(states, norm)) + self.arranged.told_by(tokens, products)).view(n, -1, self.drafter.size)
        qk = torch.view_as_complex(qkv[:, :self.turned].unflatten(-1, (-1, 2))) * turns
        states = states + to_out(attend(torch.view_as_real(qk).flatten(-2), qkv[:, self.turned:]))
        gate, up = to_up(self._normed(states, norm_2)).chunk(2, dim=-1)
        return states + to_down(F.silu(gate).mul_(up))

    def _attend(self, qk: torch.Tensor, v: torch.Tensor, start: int, end: int, bias: torch.Tensor | None) -> torch.Tensor:
        qk, heads = qk.transpose(0, 1), self.drafter.heads
        self.keys[:, start:end], self.values[:, start:end] = qk[heads:], v.transpose(0, 1)
        a = F.scaled_dot_product_attention(qk[None, :heads], self.keys[None, :, :end], self.values[None, :, :end],
                                           attn_mask=bias, enable_gqa=self.drafter.kv_heads < heads)
        return a[0].transpose(0, 1).reshape(end - start, -1)

    def _logits(self, outputs: torch.Tensor, n: int) -> tuple[torch.Tensor, torch.Tensor]:
        """What `outputs` of a pass over `n` slots say of the next token by the drafter's own rows, and the outputs normalised."""
        states = self._normed(outputs, self.arranged.norms[-1])
        return self.drafter.spread(self.products[kind(n)][-1](states)), states

    def _end(self, end: int, outputs: torch.Tensor, logits: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        self.length, self.calls, self.outputs = end, self.calls + 1, outputs
        return self.text.add(logits, states) if self.text else logits

    @classmethod
    @torch.inference_mode()
    def together(cls, runs: Sequence["LeanEagle"], call: str, asked: Sequence[tuple]) -> list[torch.Tensor]:
        """What `read` or `draft`, as `call` says, gives for each of `runs` with its arguments, from one pass over the slots of all."""
        first, states, tokens, turns, parts = runs[0], [], [], [], []
        for run, (given, own, *rest) in zip(runs, asked):
            positions, mask = (*rest, None, None)[:2] if call == "draft" else (None, None)
            n, *where = run._begin(own, positions, mask)
            if call == "read":
                run._take_in(own)
            wanted = n if call == "draft" else rest[0] if rest else 1
            turns.append(first.arranged.turns[where[0]:where[1]] if positions is None else first.arranged.turns[positions])
            parts.append((run, slice(len(tokens), len(tokens) + n), wanted, where))
            states.append(given)
            tokens += own
        states = torch.cat(states)

        def attend(qk: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
            return torch.cat([run._attend(qk[rows], v[rows], *where) for run, rows, _, where in parts])
        outputs = first._layer(first._fuse(states) if call == "read" else states, tokens, torch.cat(turns), attend)
        last = torch.cat([outputs[rows.stop - wanted:rows.stop] for _, rows, wanted, _ in parts])
        told = zip(*(each.split([wanted for _, _, wanted, _ in parts]) for each in first._logits(last, len(tokens))))
        return [run._end(where[1], outputs[rows.stop - wanted:rows.stop], *made) for (run, rows, wanted, where), made in zip(parts, told)]


def cached_eagle(drafter: EagleDrafter, embeddings: torch.Tensor, capacity: int, lean: bool = True,
                 matrix: torch.Tensor | None = None) -> CachedEagle:
    """`drafter` over a verifier's `embeddings` [V, width], ready to be fed: through the lean pass if `lean` and if it serves here.

    `capacity`: slots that will be needed at most. `matrix`: see `CachedEagle`.
    """
    return (LeanEagle if lean and LeanEagle.knows(drafter) else CachedEagle)(drafter, embeddings, capacity, matrix)
