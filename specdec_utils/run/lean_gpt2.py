"""A lean forward pass for GPT-2: the model's own weights, a preallocated cache, and no layer objects in between."""
import functools

import torch
import torch.nn.functional as F
from torch import nn
from transformers import GPT2LMHeadModel
from transformers.activations import ACT2FN
from transformers.models.gpt2.modeling_gpt2 import GPT2MLP, GPT2Attention, GPT2Block, GPT2Model
from transformers.pytorch_utils import Conv1D

from .lean import Attend, LeanPass
from .made import made_once
from .products import Products, kind
from .untouched import is_untouched

ACTIVATIONS = {"gelu_pytorch_tanh": "tanh", "gelu_new": "tanh", "gelu": "none"}
PARTS = {GPT2LMHeadModel, GPT2Model, GPT2Block, GPT2Attention, GPT2MLP, Conv1D, nn.Linear, nn.Embedding, nn.LayerNorm, nn.Dropout,
         nn.ModuleList, *(type(ACT2FN[name]) for name in ACTIVATIONS)}


def _times(weight: torch.Tensor, bias: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    return torch.addmm(bias, x, weight)


class LeanGPT2(LeanPass):
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
        self.shape, self.eps, self.gelu = (config.n_embd,), config.layer_norm_epsilon, ACTIVATIONS[config.activation_function]
        self.tokens, self.places = body.wte.weight, body.wpe.weight
        self.norms = [((b.ln_1.weight, b.ln_1.bias), (b.ln_2.weight, b.ln_2.bias)) for b in body.h]
        self.out_norm = body.ln_f.weight, body.ln_f.bias
        linear = [layer for b in body.h for layer in (b.attn.c_attn, b.attn.c_proj, b.mlp.c_fc, b.mlp.c_proj)]
        which = [weight for layer in linear for weight in (layer.weight, layer.bias)]
        self.weights = made_once(model, [*which, model.lm_head.weight], lambda: self._products(linear, model.lm_head))
        self.products = self.weights.by_width()
        self._make_cache(len(body.h), config.n_head, config.n_head, config.n_embd // config.n_head, capacity, self.tokens)

    @staticmethod
    def _products(linear: list[Conv1D], out: nn.Linear) -> Products:
        stored = [functools.partial(_times, layer.weight, layer.bias) for layer in linear]
        return Products([*stored, out.forward], [*((layer.weight.T, layer.bias) for layer in linear), (out.weight, out.bias)])

    def _embedded(self, tokens: list[int], places: slice | list[int]) -> tuple[torch.Tensor, None]:
        return self.tokens[tokens] + self.places[places], None

    def _layers(self, x: torch.Tensor, placed: None, attend: Attend, hidden: tuple[int, ...]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        n, shape, states = len(x), self.shape, []  # states: in front of each block, where they are asked for
        fours = zip(*[iter(self.products[kind(n)])] * 4)
        for layer, ((norm, norm_2), (to_qkv, to_att, to_up, to_down)) in enumerate(zip(self.norms, fours)):
            if hidden:
                states.append(x)
            qkv = to_qkv(F.layer_norm(x, shape, *norm, self.eps)).view(n, 3, self.heads, -1)
            x = x + to_att(attend(layer, *qkv.unbind(1)))
            x = x + to_down(F.gelu(to_up(F.layer_norm(x, shape, *norm_2, self.eps)), approximate=self.gelu))
        return x, states

    def _normed_out(self, x: torch.Tensor) -> torch.Tensor:
        return F.layer_norm(x, self.shape, *self.out_norm, self.eps)
