"""A lean forward pass for GPT-2: the model's own weights, a preallocated cache, and no layer objects in between."""
import functools

import torch
import torch.nn.functional as F
from torch import nn
from transformers import GPT2LMHeadModel
from transformers.activations import ACT2FN
from transformers.models.gpt2.modeling_gpt2 import GPT2MLP, GPT2Attention, GPT2Block, GPT2Model
from transformers.pytorch_utils import Conv1D

from .made import made_once
from .masking import bias_of
from .products import Product, Products, kind
from .untouched import is_untouched

ACTIVATIONS = {"gelu_pytorch_tanh": "tanh", "gelu_new": "tanh", "gelu": "none"}
PARTS = {GPT2LMHeadModel, GPT2Model, GPT2Block, GPT2Attention, GPT2MLP, Conv1D, nn.Linear, nn.Embedding, nn.LayerNorm, nn.Dropout,
         nn.ModuleList, *(type(ACT2FN[name]) for name in ACTIVATIONS)}


def _times(weight: torch.Tensor, bias: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return torch.addmm(bias, x, weight)


class LeanGPT2:
    """The forward pass of a `GPT2LMHeadModel` on its own weights, equal to it within 1e-5 in float32.

    It calls a dozen tensor operations a layer and nothing else, which for small models is most of the time saved.
    Interface, attributes and meaning of `feed` and `keep` are those of `CachedModel`.
    """

    @staticmethod
    def knows(model) -> bool:
        """Is this exactly a GPT-2 as `transformers` defines it, on the CPU, with nothing replaced in it or hung into it?"""
        if type(model) is not GPT2LMHeadModel or model.device.type != "cpu" or model.dtype not in (torch.float32, torch.float64):
            return False
        config = model.config
        plain = not (config.scale_attn_by_inverse_layer_idx or config.reorder_and_upcast_attn or config.add_cross_attention)
        return (plain and config.scale_attn_weights and config.activation_function in ACTIVATIONS
                and all(is_untouched(module, PARTS) for module in model.modules()))

    def __init__(self, model: GPT2LMHeadModel, capacity: int):
        config, body = model.config, model.transformer
        self.heads, self.width, self.eps = config.n_head, config.n_embd, config.layer_norm_epsilon
        self.gelu = ACTIVATIONS[config.activation_function]
        self.tokens, self.places = body.wte.weight, body.wpe.weight
        self.out_norm = body.ln_f.weight, body.ln_f.bias
        shape = (len(body.h), self.heads, capacity, self.width // self.heads)
        self.keys, self.values = (torch.empty(shape, dtype=model.dtype) for _ in range(2))
        linear = [layer for b in body.h for layer in (b.attn.c_attn, b.attn.c_proj, b.mlp.c_fc, b.mlp.c_proj)]
        which = [weight for layer in linear for weight in (layer.weight, layer.bias)]
        products = made_once(model, [*which, model.lm_head.weight], lambda: self._products(linear, model.lm_head))
        self.passes = [(self._layers(body.h, every), out) for *every, out in products.by_width()]
        self.length, self.calls, self.hidden = 0, 0, None

    @staticmethod
    def _products(linear: list[Conv1D], out: nn.Linear) -> Products:
        stored = [functools.partial(_times, layer.weight, layer.bias) for layer in linear]
        return Products([*stored, out.forward], [*((layer.weight.T, layer.bias) for layer in linear), (out.weight, out.bias)])

    def _layers(self, blocks: nn.ModuleList, products: list[Product]) -> list[tuple]:
        """What a pass reads in each of `blocks`: norms, the four products, the cache."""
        return [((b.ln_1.weight, b.ln_1.bias), (b.ln_2.weight, b.ln_2.bias), *four, keys, values)
                for b, four, keys, values in zip(blocks, zip(*[iter(products)] * 4), self.keys, self.values)]

    @torch.inference_mode()
    def feed(self, tokens: list[int], wanted: int = 1, positions: list[int] | None = None,
             mask: torch.Tensor | None = None, hidden: tuple[int, ...] = ()) -> torch.Tensor:
        """See `CachedModel.feed`."""
        n, start = len(tokens), self.length
        end, shape = start + n, (self.width,)
        bias = bias_of(mask, positions, n, end, like=self.keys)
        x = self.tokens[tokens] + (self.places[start:end] if positions is None else self.places[positions])
        states = []  # of the layers before each block, where they are asked for
        layers, out = self.passes[kind(n)]
        for norm, norm_2, to_qkv, to_att, to_up, to_down, keys, values in layers:
            if hidden:
                states.append(x)
            qkv = to_qkv(F.layer_norm(x, shape, *norm, self.eps)).view(n, 3, self.heads, -1)
            q, k, v = qkv.permute(1, 2, 0, 3)
            keys[:, start:end], values[:, start:end] = k, v
            a = F.scaled_dot_product_attention(q[None], keys[None, :, :end], values[None, :, :end], attn_mask=bias)
            x = x + to_att(a[0].transpose(0, 1).reshape(n, -1))
            x = x + to_down(F.gelu(to_up(F.layer_norm(x, shape, *norm_2, self.eps)), approximate=self.gelu))
        self.length, self.calls = end, self.calls + 1
        last = F.layer_norm(x if hidden else x[n - wanted:], shape, *self.out_norm, self.eps)
        self.hidden = torch.cat([(*states, last)[layer] for layer in hidden], dim=-1) if hidden else None
        return out(last[-wanted:])

    def keep(self, prefix: int, slots: list[int]) -> None:
        """See `CachedModel.keep`."""
        stay = prefix + len(slots)
        if slots != list(range(prefix, stay)):
            for cache in (self.keys, self.values):
                cache[:, :, prefix:stay] = cache[:, :, slots]
        self.length = stay
