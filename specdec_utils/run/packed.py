"""Linear layers with their weights packed once for oneDNN, in place of a layout that is turned around in every pass."""
import warnings
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import nn
from transformers.pytorch_utils import Conv1D

ROWS = 8  # tokens in a pass that the layout is made for: a token and its draft


@cache
def why_not_packed(dtype: torch.dtype) -> str | None:
    """One sentence that says why weights of `dtype` cannot be packed here, or None where they can: tried on a small layer.

    The operations are private to torch: they may be missing, or missing for this dtype on this processor.
    """
    x, weight = torch.ones(2, 3, dtype=dtype), torch.arange(12, dtype=dtype).view(4, 3)
    try:
        packed = torch.ops.mkldnn._reorder_linear_weight(weight, ROWS)
        same = torch.equal(torch.ops.mkldnn._linear_pointwise(x, packed, None, "none", [], ""), F.linear(x, weight))
        same = same and torch.equal(packed.to_dense(), weight)
    except (AttributeError, RuntimeError):
        same = False
    name = str(dtype).removeprefix("torch.")
    return None if same else f"torch {torch.__version__} cannot pack {name} weights on this processor: the layers stay as they are."


class PackedLinear(nn.Module):
    """An `nn.Linear` or GPT-2's `Conv1D` with its weight [out, in] packed; the same map [..., in] -> [..., out].

    It computes and does not learn. `tied`: the weight as it was, where another part of the model holds it too, else None.
    """

    def __init__(self, layer: nn.Linear | Conv1D, tied: nn.Parameter | None):
        super().__init__()
        self.kind, self.learns, self.tied = type(layer), layer.weight.requires_grad, (tied,)  # in a tuple, so as to be no parameter
        weight = layer.weight.detach().T if self.kind is Conv1D else layer.weight.detach()
        self.weight = nn.Parameter(torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), ROWS), requires_grad=False)
        self.bias = layer.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.ops.mkldnn._linear_pointwise(x, self.weight, self.bias, "none", [], "")

    def dense(self) -> torch.Tensor:
        """The weight in its former layout, bit for bit."""
        weight = self.weight.detach().to_dense()
        return weight.T.contiguous() if self.kind is Conv1D else weight

    def unpacked(self) -> nn.Linear | Conv1D:
        """The layer as it was."""
        outs, ins = self.weight.shape
        with torch.device("meta"):
            layer = Conv1D(outs, ins) if self.kind is Conv1D else nn.Linear(ins, outs, bias=self.bias is not None)
        layer.weight = self.tied[0] if self.tied[0] is not None else nn.Parameter(self.dense(), requires_grad=self.learns)
        layer.bias = self.bias
        return layer.train(self.training)

    def _save_to_state_dict(self, destination, prefix, keep_vars):
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "weight"] = self.dense()  # what is saved is what any model reads

    def _apply(self, fn, recurse=True):
        moved = fn(torch.empty(0, dtype=self.weight.dtype))
        if moved.device.type != "cpu" or moved.dtype != self.weight.dtype:
            raise RuntimeError("Packed weights stay on the CPU in their dtype: call unpack(model) before it is moved or converted.")
        return self

    def __deepcopy__(self, memo):
        return self  # nothing in it changes, so copies of the model share it


@dataclass(frozen=True)
class Packing:
    """What `pack` did; `str()` of it is one sentence.

    layers: packed layers. bytes: memory of their packed weights. twice: bytes among these that the model holds in their former
    layout as well. why_not: where nothing was packed, the sentence that says why, else None.
    """

    layers: int
    bytes: int
    twice: int
    why_not: str | None = None

    def __str__(self) -> str:
        tied = f", {self.twice / 1e6:.1f} MB of them a second copy, since an embedding reads the same weights row by row"
        return self.why_not or f"{self.layers} layers packed, {self.bytes / 1e6:.1f} MB{tied if self.twice else ''}."


def _holders(model: nn.Module) -> dict[int, int]:
    """How many modules hold each parameter, by its id."""
    count: dict[int, int] = {}
    for module in model.modules():
        for weight in module._parameters.values():
            count[id(weight)] = count.get(id(weight), 0) + 1
    return count


def _can_be_packed(module: nn.Module) -> bool:
    """Is it exactly a linear layer with its own `forward` and no hook? All else in its place stays as it is."""
    plain = type(module) in (nn.Linear, Conv1D) and not module._forward_hooks and not module._forward_pre_hooks
    return plain and "forward" not in vars(module)


def pack(model: nn.Module, tied: bool = True) -> Packing:
    """Pack every linear layer of `model` in place, `nn.Linear` and GPT-2's `Conv1D`, layer by layer: each gives up its former
    weight before the next one is packed. `unpack(model)` undoes it.

    An output layer that shares its weights with the embedding cannot give them up: it is packed as well, at the price of a
    second copy (`Packing.twice`), unless `tied` is False. The packed model is for inference: weights that are changed
    afterwards are not seen. In float32 it computes what it computed before within 2e-4.

    Where torch cannot pack, nothing changes and a warning of one sentence says so. Raises ValueError for a model that is not
    on the CPU.
    """
    devices = {weight.device.type for weight in model.parameters()}
    if devices != {"cpu"}:
        raise ValueError(f"Only a model on the CPU can be packed; this one is on {', '.join(sorted(devices)) or 'no device'}.")
    layers = {name: module for name, module in model.named_modules() if _can_be_packed(module)}
    refusals = {why_not_packed(layer.weight.dtype) for layer in layers.values()} - {None}
    if refusals:
        warnings.warn(min(refusals), stacklevel=2)
        return Packing(0, 0, 0, min(refusals))
    holders, size, twice, count = _holders(model), 0, 0, 0
    for name in list(layers):
        layer = layers.pop(name)
        shared = holders[id(layer.weight)] > 1
        if shared and not tied:
            continue
        packed = PackedLinear(layer, layer.weight if shared else None).train(layer.training)
        model.set_submodule(name, packed)
        size, twice, count = size + packed.weight.nbytes, twice + shared * packed.weight.nbytes, count + 1
    return Packing(count, size, twice)


def unpack(model: nn.Module) -> int:
    """Give every packed layer of `model` its former layout back, bit for bit, ties included: how many there were."""
    packed = [name for name, module in model.named_modules() if type(module) is PackedLinear]
    for name in packed:
        model.set_submodule(name, model.get_submodule(name).unpacked())
    return len(packed)
