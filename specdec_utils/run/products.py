"""A lean pass's products with weights: as the model stores them, or read in half precision where that changes nothing and is faster."""
import time
from collections.abc import Callable, Sequence
from functools import cache

import torch
import torch.nn.functional as F

Product = Callable[[torch.Tensor], torch.Tensor]  # [n, ins] -> [n, outs]

FEW = 32  # tokens: a pass over more multiplies its weights as they are stored, which then is faster
WIDTHS = (1,), (3, 6, 9)  # tokens in the passes that are compared for each kind
TRIES = 3
SMALL, LARGE = 1 << 18, 1 << 28  # weights: in smaller models calls take the time, and of larger ones no second copy is made


def kind(n: int) -> int:
    """Of a pass over `n` tokens: 0 for one token, 1 for a few, 2 for more than `FEW`."""
    return (n > 1) + (n > FEW)


@cache
def why_not_half() -> str | None:
    """One sentence that says why half-precision weights cannot be multiplied in float32 here, or None where they can: tried on a
    small layer. The operations are private to torch, and made for processors of the x86 family."""
    x, weight, bias = torch.ones(2, 3), torch.arange(12.0).view(4, 3), torch.ones(4)
    try:
        packed = torch.ops.quantized.linear_prepack_fp16(weight, bias)
        same = torch.equal(torch.ops.quantized.linear_dynamic_fp16(x, packed), F.linear(x, weight, bias))
    except (AttributeError, RuntimeError):
        same = False
    return None if same else f"torch {torch.__version__} cannot multiply half-precision weights in float32 on this processor."


def is_half(weight: torch.Tensor) -> bool:
    """Does half precision hold every number in `weight` (float32) exactly, as where it was loaded from a half-precision file?"""
    return torch.equal(weight, weight.half().float())


def _in_half(weight: torch.Tensor, bias: torch.Tensor | None) -> Product:
    """The product with `weight` [outs, ins], which half precision must hold exactly: half as many bytes are read, each number
    becomes float32 as it is read, and sums are float32, so that the result is that of `F.linear` but for the order of sums.

    FBGEMM's, see Khudia et al. 2021, "FBGEMM: Enabling High-Performance Low-Precision Deep Learning Inference", arXiv 2101.05615.
    """
    packed, product = torch.ops.quantized.linear_prepack_fp16(weight.contiguous(), bias), torch.ops.quantized.linear_dynamic_fp16.default
    return lambda x: product(x, packed)


@torch.inference_mode()
def seconds(products: Sequence[Product], ins: Sequence[int], widths: Sequence[int]) -> float:
    """What passes over `widths` tokens take for `products` alone, which read rows of `ins` numbers, made one after the other as in
    a pass: of a few tries the best, so that a moment in which the machine did something else does not decide."""
    total = 0.0
    for n in widths:
        inputs, tries = {size: torch.ones(n, size) for size in ins}, []
        for _ in range(TRIES):
            began = time.perf_counter()
            for product, size in zip(products, ins):
                product(inputs[size])
            tries.append(time.perf_counter() - began)
        total += min(tries)
    return total


class Products:
    """The products of a lean pass, in the order in which it makes them.

    stored: how it makes them with the weights as they are. weights: (weight [outs, ins], bias [outs] or None) of each.
    halved: the same products with the weights in half precision, a second copy; empty where that cannot be done exactly: where
    a weight is not float32, or has more digits, or this processor has no such operation.
    """

    @torch.no_grad()
    def __init__(self, stored: Sequence[Product], weights: Sequence[tuple[torch.Tensor, torch.Tensor | None]]):
        self.stored, self._ins = list(stored), [weight.shape[1] for weight, _ in weights]
        fits = (SMALL <= sum(weight.numel() for weight, _ in weights) <= LARGE and why_not_half() is None
                and all(weight.dtype == torch.float32 and is_half(weight) for weight, _ in weights))
        self.halved = [_in_half(weight.detach(), bias) for weight, bias in weights] if fits else []
        self._faster: dict[int, list[bool]] = {}

    def by_width(self) -> list[list[Product]]:
        """The products for passes of each `kind`: what a measurement, once for every number of threads, found to be faster here."""
        threads = torch.get_num_threads()
        if threads not in self._faster:
            self._faster[threads] = [bool(self.halved) and seconds(self.halved, self._ins, widths) < seconds(self.stored, self._ins, widths)
                                     for widths in WIDTHS]
        return [*(self.halved if faster else self.stored for faster in self._faster[threads]), self.stored]
