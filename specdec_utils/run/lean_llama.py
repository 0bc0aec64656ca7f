"""A lean forward pass for Llama: the model's own layers, packed or not, a preallocated cache, and nothing else in between."""
import functools

import torch
import torch.nn.functional as F
from torch import nn
from transformers import LlamaForCausalLM
from transformers.activations import ACT2FN
from transformers.models.llama.modeling_llama import (
    LlamaAttention,
    LlamaDecoderLayer,
    LlamaMLP,
    LlamaModel,
    LlamaRMSNorm,
    LlamaRotaryEmbedding,
)

from .made import made_once
from .masking import bias_of
from .packed import PackedLinear
from .products import Product, Products, kind
from .untouched import is_untouched

PARTS = {LlamaForCausalLM, LlamaModel, LlamaDecoderLayer, LlamaAttention, LlamaMLP, LlamaRMSNorm, LlamaRotaryEmbedding, nn.Linear,
         PackedLinear, nn.Embedding, nn.ModuleList, type(ACT2FN["silu"])}


def _together(x: torch.Tensor, layers: tuple[nn.Module, ...]) -> torch.Tensor:
    return torch.cat([layer.forward(x) for layer in layers], dim=-1)


def _products(model: LlamaForCausalLM, joined: list[tuple[nn.Module, ...]]) -> Products:
    """The products with `joined` layers of `model`: those that read the same are one where their weights lie in half precision."""
    stored = [part[0].forward if len(part) == 1 else functools.partial(_together, layers=part) for part in joined]
    if any(type(layer) is PackedLinear for part in joined for layer in part):
        return Products(stored, [])

    def make() -> Products:
        weights = [[layer.weight for layer in part] for part in joined]
        biases = [[layer.bias for layer in part if layer.bias is not None] for part in joined]
        return Products(stored, [(torch.cat(weight), torch.cat(bias) if bias else None) for weight, bias in zip(weights, biases)])
    return made_once(model, [weight for part in joined for layer in part for weight in layer.parameters()], make)


class LeanLlama:
    """The forward pass of a `LlamaForCausalLM` on its own weights, equal to it within 2e-4 in float32.

    Normalisation by the root of the mean square, rotary positions, queries that share keys and values in groups, a gated
    feed-forward layer (SwiGLU). Its linear layers are the model's own, so that packed ones stay packed (see `pack`).
    Interface, attributes and meaning of `feed` and `keep` are those of `CachedModel`.
    """

    @staticmethod
    def knows(model) -> bool:
        """Is this exactly a Llama as `transformers` defines it, with plain rotary positions and full attention, in float32 on the
        CPU, with nothing replaced in it but packed layers and nothing hung into it?"""
        if type(model) is not LlamaForCausalLM or model.device.type != "cpu" or model.dtype != torch.float32:
            return False
        config, rotary = model.config, model.model.rotary_emb
        plain = config.hidden_act == "silu" and config._attn_implementation in ("eager", "sdpa")
        full = getattr(config, "sliding_window", None) is None and getattr(config, "attention_chunk_size", None) is None
        turned = (rotary.rope_type == "default" and rotary.attention_scaling == 1.0
                  and rotary.inv_freq.numel() * 2 == model.model.layers[0].self_attn.head_dim)
        return plain and full and turned and all(is_untouched(module, PARTS) for module in model.modules())

    def __init__(self, model: LlamaForCausalLM, capacity: int):
        config, body = model.config, model.model
        self.shared, self.groups, self.size = config.num_key_value_heads, config.num_attention_heads, config.head_dim
        self.groups //= self.shared  # queries that look at one head of keys and values
        self.tokens, self.norm = body.embed_tokens.weight, body.norm
        angles = torch.outer(torch.arange(capacity, dtype=torch.float32), body.rotary_emb.inv_freq.float())[:, None]
        self.cos = torch.cat([angles, angles], dim=-1).cos()
        self.sin = torch.cat([-angles, angles], dim=-1).sin()  # signs of the turn included
        layers = body.layers[:config.num_hidden_layers]
        shape = (len(layers), self.shared, capacity, self.size)
        self.keys, self.values = (torch.empty(shape, dtype=model.dtype) for _ in range(2))
        joined = [part for b in layers for part in (
            (b.self_attn.q_proj, b.self_attn.k_proj, b.self_attn.v_proj), (b.self_attn.o_proj,),
            (b.mlp.gate_proj, b.mlp.up_proj), (b.mlp.down_proj,))] + [(model.lm_head,)]
        self.passes = [(self._layers(layers, every), out) for *every, out in _products(model, joined).by_width()]
        self.length, self.calls, self.hidden = 0, 0, None

    def _layers(self, layers: nn.ModuleList, products: list[Product]) -> list[tuple]:
        """What a pass reads in each of `layers`: norms, the scale of scores, the four products, the cache."""
        return [(b.input_layernorm, b.post_attention_layernorm, b.self_attn.scaling, *four, keys, values)
                for b, four, keys, values in zip(layers, zip(*[iter(products)] * 4), self.keys, self.values)]

    def _normed(self, x: torch.Tensor, norm: LlamaRMSNorm) -> torch.Tensor:
        return F.rms_norm(x, x.shape[-1:], norm.weight, norm.variance_epsilon)

    @torch.inference_mode()
    def feed(self, tokens: list[int], wanted: int = 1, positions: list[int] | None = None,
             mask: torch.Tensor | None = None, hidden: tuple[int, ...] = ()) -> torch.Tensor:
        """See `CachedModel.feed`."""
        n, start = len(tokens), self.length
        end = start + n
        bias = bias_of(mask, positions, n, end, like=self.keys)
        if bias is not None:
            bias = bias.repeat(self.groups, 1)  # the queries stand group by group
        places = slice(start, end) if positions is None else positions
        x, cos, sin, half = self.tokens[tokens], self.cos[places], self.sin[places], self.size // 2
        states = []  # in front of each layer, where they are asked for
        layers, out = self.passes[kind(n)]
        for norm, norm_2, scale, to_qkv, to_out, to_up, to_down, keys, values in layers:
            if hidden:
                states.append(x)
            qkv = to_qkv(self._normed(x, norm)).view(n, -1, self.size)
            qk, v = qkv[:, :-self.shared], qkv[:, -self.shared:]
            qk = torch.addcmul(qk * cos, qk.roll(half, -1), sin)
            keys[:, start:end], values[:, start:end] = qk[:, -self.shared:].transpose(0, 1), v.transpose(0, 1)
            q = qk[:, :-self.shared].view(n, self.shared, self.groups, self.size).permute(1, 2, 0, 3).reshape(self.shared, -1, self.size)
            a = F.scaled_dot_product_attention(q[None], keys[None, :, :end], values[None, :, :end], attn_mask=bias, scale=scale)
            a = a.view(self.shared, self.groups, n, self.size).permute(2, 0, 1, 3).reshape(n, -1)
            x = x + to_out(a)
            gate, up = to_up(self._normed(x, norm_2)).chunk(2, dim=-1)
            x = x + to_down(F.silu(gate) * up)
        self.length, self.calls = end, self.calls + 1
        last = self._normed(x if hidden else x[n - wanted:], self.norm)
        self.hidden = torch.cat([(*states, last)[layer] for layer in hidden], dim=-1) if hidden else None
        return out(last[-wanted:])

    def keep(self, prefix: int, slots: list[int]) -> None:
        """See `CachedModel.keep`."""
        stay = prefix + len(slots)
        if slots != list(range(prefix, stay)):
            for cache in (self.keys, self.values):
                cache[:, :, prefix:stay] = cache[:, :, slots]
        self.length = stay
