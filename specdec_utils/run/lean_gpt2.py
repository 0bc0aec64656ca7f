"""A lean forward pass for GPT-2: the model's own weights, a preallocated cache, and no layer objects in between."""
import torch
import torch.nn.functional as F
from torch import nn
from transformers import GPT2LMHeadModel
from transformers.activations import ACT2FN
from transformers.models.gpt2.modeling_gpt2 import GPT2MLP, GPT2Attention, GPT2Block, GPT2Model
from transformers.pytorch_utils import Conv1D

from .masking import bias_of
from .untouched import is_untouched

ACTIVATIONS = {"gelu_pytorch_tanh": "tanh", "gelu_new": "tanh", "gelu": "none"}
PARTS = {GPT2LMHeadModel, GPT2Model, GPT2Block, GPT2Attention, GPT2MLP, Conv1D, nn.Linear, nn.Embedding, nn.LayerNorm, nn.Dropout,
         nn.ModuleList, *(type(ACT2FN[name]) for name in ACTIVATIONS)}


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
        self.out_norm, self.out = (body.ln_f.weight, body.ln_f.bias), (model.lm_head.weight, model.lm_head.bias)
        shape = (len(body.h), self.heads, capacity, self.width // self.heads)
        self.keys, self.values = (torch.empty(shape, dtype=model.dtype) for _ in range(2))
        self.layers = [(b.ln_1.weight, b.ln_1.bias, b.attn.c_attn.weight, b.attn.c_attn.bias, b.attn.c_proj.weight,
                        b.attn.c_proj.bias, b.ln_2.weight, b.ln_2.bias, b.mlp.c_fc.weight, b.mlp.c_fc.bias,
                        b.mlp.c_proj.weight, b.mlp.c_proj.bias, k, v) for b, k, v in zip(body.h, self.keys, self.values)]
        self.length, self.calls, self.hidden = 0, 0, None

    @torch.inference_mode()
    def feed(self, tokens: list[int], wanted: int = 1, positions: list[int] | None = None,
             mask: torch.Tensor | None = None, hidden: tuple[int, ...] = ()) -> torch.Tensor:
        """See `CachedModel.feed`."""
        n, start = len(tokens), self.length
        end, shape = start + n, (self.width,)
        bias = bias_of(mask, positions, n, end, like=self.keys)
        x = self.tokens[tokens] + (self.places[start:end] if positions is None else self.places[positions])
        states = []  # of the layers before each block, where they are asked for
        for g1, b1, w_qkv, b_qkv, w_att, b_att, g2, b2, w_up, b_up, w_down, b_down, keys, values in self.layers:
            if hidden:
                states.append(x)
            qkv = torch.addmm(b_qkv, F.layer_norm(x, shape, g1, b1, self.eps), w_qkv).view(n, 3, self.heads, -1)
            q, k, v = qkv.permute(1, 2, 0, 3)
            keys[:, start:end], values[:, start:end] = k, v
            a = F.scaled_dot_product_attention(q[None], keys[None, :, :end], values[None, :, :end], attn_mask=bias)
            x = x + torch.addmm(b_att, a[0].transpose(0, 1).reshape(n, -1), w_att)
            up = F.gelu(torch.addmm(b_up, F.layer_norm(x, shape, g2, b2, self.eps), w_up), approximate=self.gelu)
            x = x + torch.addmm(b_down, up, w_down)
        self.length, self.calls = end, self.calls + 1
        last = F.layer_norm(x if hidden else x[n - wanted:], shape, *self.out_norm, self.eps)
        self.hidden = torch.cat([(*states, last)[layer] for layer in hidden], dim=-1) if hidden else None
        return F.linear(last[-wanted:], *self.out)

    def keep(self, prefix: int, slots: list[int]) -> None:
        """See `CachedModel.keep`."""
        stay = prefix + len(slots)
        if slots != list(range(prefix, stay)):
            for cache in (self.keys, self.values):
                cache[:, :, prefix:stay] = cache[:, :, slots]
        self.length = stay
