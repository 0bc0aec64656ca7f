"""A pass that a run asks of a model: made at once, or in one with those that other runs ask for."""
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, TypeVar

import torch

T = TypeVar("T")


class Ask(NamedTuple):
    """One pass of a cached model: `call` names the method ("feed" of a language model, "read" or "draft" of an eagle drafter), `args`
    are its arguments. drafts: is it a drafter's?"""

    model: Any
    call: str
    args: tuple
    drafts: bool = False

    def made(self) -> torch.Tensor:
        """The pass made alone: its logits."""
        return getattr(self.model, self.call)(*self.args)


Asking = Generator[Ask, torch.Tensor, T]  # work that stops at each of its passes until it is sent the logits, and returns a T


def alone(asking: Asking[T]) -> T:
    """What `asking` returns, each of its passes made when it asks for it."""
    logits = None
    try:
        while True:
            logits = asking.send(logits).made()
    except StopIteration as end:
        return end.value


def made_together(asks: Sequence[Ask]) -> list[torch.Tensor]:
    """The logits of each of `asks`, which are to caches of their own. Those of the same kind, over the same weights, are made in one
    pass where the model's class can (`together`), the others one by one."""
    groups: dict[tuple, list[int]] = {}
    for number, ask in enumerate(asks):
        groups.setdefault((type(ask.model), ask.call, id(getattr(ask.model, "weights", ask.model))), []).append(number)
    logits: list = [None] * len(asks)
    for (kind, call, _), numbers in groups.items():
        if len(numbers) > 1 and hasattr(kind, "together"):
            made = kind.together([asks[number].model for number in numbers], call, [asks[number].args for number in numbers])
        else:
            made = [asks[number].made() for number in numbers]
        for number, rows in zip(numbers, made):
            logits[number] = rows
    return logits
