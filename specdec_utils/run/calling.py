"""How a model is called: the table of forward passes, each behind one interface."""
from .cached import CachedModel
from .lean_gpt2 import LeanGPT2
from .lean_llama import LeanLlama
from .unfolded import UnfoldedModel
from .windowed import WindowedModel

# The first lean pass that knows a model runs it, else the first special one that does, else `CachedModel`. A new one is a class
# with the interface of `CachedModel` (`feed`, `keep`, `length`, `calls`, `hidden`) and a `knows(model)`, in a file of its own, and
# an entry here.
LEAN = (LeanGPT2, LeanLlama)
SPECIAL = (UnfoldedModel, WindowedModel)


def cached_model(model, capacity: int, lean: bool = True) -> CachedModel | LeanGPT2 | LeanLlama:
    """`model` ready to be fed: through a lean pass if `lean` and if one knows its architecture, else as `transformers` runs it.

    `capacity`: positions that will be needed at most.
    """
    for way in (*(LEAN if lean else ()), *SPECIAL):
        if way.knows(model):
            return way(model, capacity)
    return CachedModel(model, capacity)
