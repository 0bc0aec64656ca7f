"""Models with sliding windows: the whole text stays in the cache, and the window stands in the mask."""
import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from .cached import CachedModel


class WindowedModel(CachedModel):
    """A model some or all of whose layers see only the last positions, behind a cache that keeps all of them.

    Of their own, such layers drop what has left the window, and a rollback could not bring it back. Here nothing is dropped: the
    model's own mask hides it, and where a tree brings a mask along, `bias` does. A window counts positions in the text, and in a
    tree these are not the places in the cache.
    """

    kinds = {DynamicLayer, DynamicSlidingWindowLayer}

    @staticmethod
    def knows(model) -> bool:
        """Is it a model with sliding windows (and not with chunks, which `transformers` keeps in the same kind of layer)?"""
        config = model.config.get_text_config(decoder=True)
        layers = DynamicCache(config=config).layers
        return (DynamicSlidingWindowLayer in map(type, layers) and getattr(config, "attention_chunk_size", None) is None)

    def __init__(self, model, capacity: int):
        super().__init__(model, capacity)
        sizes = [getattr(layer, "sliding_window", None) for layer in self.cache.layers]
        names = getattr(model.config.get_text_config(decoder=True), "layer_types", None) or [None] * len(sizes)
        self.windows = dict(zip(names, sizes))  # name of a type of layer, as in the configuration -> its window, or None
        self.positions: list[int] = []  # where in the text each position of the cache stands
        self.cache = DynamicCache()

    def feed(self, tokens: list[int], wanted: int = 1, positions: list[int] | None = None,
             mask: torch.Tensor | None = None, hidden: tuple[int, ...] = ()) -> torch.Tensor:
        """See `CachedModel.feed`."""
        in_order = mask is None or positions is None
        self.positions[self.length:] = range(self.length, self.length + len(tokens)) if in_order else positions
        return super().feed(tokens, wanted, positions, mask, hidden)

    def bias(self, visible: torch.Tensor) -> torch.Tensor | dict[str, torch.Tensor]:
        """As `CachedModel.bias`, each layer's window applied: one for all layers, or, as models with several types of layer
        take it, one for each type by name."""
        places = torch.tensor(self.positions, device=visible.device)
        distance = places[-len(visible):, None] - places
        found = {}
        for name, window in self.windows.items():
            found[name] = super().bias(visible if window is None else visible & (distance < window))
        return found if len(found) > 1 else found.popitem()[1]

    def keep(self, prefix: int, slots: list[int]) -> None:
        """See `CachedModel.keep`."""
        super().keep(prefix, slots)
        self.positions = self.positions[:prefix] + [self.positions[slot] for slot in slots]
