"""Masks of our own forward passes: who may look at whom, as numbers."""
import torch


def bias_of(mask: torch.Tensor | None, positions: list[int] | None, n: int, end: int, like: torch.Tensor) -> torch.Tensor | None:
    """What is added to the scores [n, end] of the last `n` of `end` tokens, in the dtype and on the device of `like`: 0 where they
    may look, -inf where not; None for 0 everywhere. `mask` and `positions` mean what they do in `CachedModel.feed`, and a mask
    without positions is a ValueError."""
    if mask is not None and positions is None:
        raise ValueError("A mask needs positions: say for each token where in the text it stands.")
    if mask is None and n == 1:
        return None
    own = torch.ones(n, n, dtype=torch.bool).tril_() if mask is None else mask
    bias = like.new_zeros(n, end)  # numbers, since a mask of booleans would be turned into them in every layer
    bias[:, end - own.shape[1]:].masked_fill_(~own.to(bias.device), float("-inf"))
    return bias
