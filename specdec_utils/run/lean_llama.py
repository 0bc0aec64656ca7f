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

from .lean import Attend, LeanPass
from .made import made_once
from .packed import PackedLinear
from .products import Products, kind
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


class LeanLlama(LeanPass):
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
        self.tokens, self.norm = body.embed_tokens.weight, body.norm
        angles = torch.outer(torch.arange(capacity, dtype=torch.float32), body.rotary_emb.inv_freq.float())[:, None]
        self.cos = torch.cat([angles, angles], dim=-1).cos()
        self.sin = torch.cat([-angles, angles], dim=-1).sin()  # signs of the turn included
        layers = body.layers[:config.num_hidden_layers]
        self.norms = [(b.input_layernorm, b.post_attention_layernorm) for b in layers]
        joined = [part for b in layers for part in (
            (b.self_attn.q_proj, b.self_attn.k_proj, b.self_attn.v_proj), (b.self_attn.o_proj,),
            (b.mlp.gate_proj, b.mlp.up_proj), (b.mlp.down_proj,))] + [(model.lm_head,)]
        self.weights = _products(model, joined)
        self.products = self.weights.by_width()
        self._make_cache(len(layers), config.num_attention_heads, config.num_key_value_heads, config.head_dim, capacity, self.tokens,
                         layers[0].self_attn.scaling)

    def _embedded(self, tokens: list[int], places: slice | list[int]) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        return self.tokens[tokens], (self.cos[places], self.sin[places])

    def _normed(self, x: torch.Tensor, norm: LlamaRMSNorm) -> torch.Tensor:
        return F.rms_norm(x, x.shape[-1:], norm.weight, norm.variance_epsilon)

    def _layers(self, x: torch.Tensor, placed: tuple[torch.Tensor, torch.Tensor], attend: Attend,
                hidden: tuple[int, ...]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        n, (cos, sin), half, states = len(x), placed, self.size // 2, []  # states: in front of each layer, where they are asked for
        fours = zip(*[iter(self.products[kind(n)])] * 4)
        for layer, ((norm, norm_2), (to_qkv, to_out, to_up, to_down)) in enumerate(zip(self.norms, fours)):
            if hidden:
                states.append(x)
            qkv = to_qkv(self._normed(x, norm)).view(n, -1, self.size)
            qk, v = qkv[:, :-self.shared], qkv[:, -self.shared:]
            qk = torch.addcmul(qk * cos, qk.roll(half, -1), sin)
            x = x + to_out(attend(layer, qk[:, :-self.shared], qk[:, -self.shared:], v))
            gate, up = to_up(self._normed(x, norm_2)).chunk(2, dim=-1)
            x = x + to_down(F.silu(gate) * up)
        return x, states

    def _normed_out(self, x: torch.Tensor) -> torch.Tensor:
        return self._normed(x, self.norm)
