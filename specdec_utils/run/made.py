"""What is made of a model's weights: once for as long as none of them changes."""
import weakref
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch
from torch import nn

T = TypeVar("T")
_MADE = weakref.WeakKeyDictionary()  # model -> (which weights these were, what was made of them)


def made_once(model: nn.Module, weights: Sequence[torch.Tensor], make: Callable[[], T]) -> T:
    """What `make()` gives for `model`: made anew when one of `weights` has been changed, in place or otherwise, since it was last made."""
    which = [(id(weight), weight.data_ptr(), weight._version) for weight in weights]
    known = _MADE.get(model)
    if known is None or known[0] != which:
        with torch.no_grad():
            known = _MADE[model] = which, make()
    return known[1]
