"""What every way of drafting offers to the loop."""
import torch
from transformers import LogitsProcessorList

from ...models.pair import ModelPair
from ...run.asking import Asking
from ...text.config import Cfg
from ..records import StepPrice
from ..tree import TokenTree


class Drafter:
    """One way of drafting, for one run. This one drafts nothing: the verifier alone.

    A new way is a subclass in a file of its own and a line in `methods.DRAFTERS`. What it states about itself, as class
    attributes: about, one line for `METHODS`; part, the attribute of `ModelPair` that it needs, or None; hidden, which
    of the verifier's hidden states it needs (see `CachedModel.feed`). What it does: `laws`, `propose`, `advance`.

    pair, cfg: of the run. capacity: positions that a cache will need at most. most: tokens that one draft may hold at most.
    processors: what the verifier's logits go through, and so the drafter's. generator: where random numbers come from. model: the
    cached model that it drafts with, or None where it has none. source: what the last draft was found with ("drafter", "eagle",
    "heads", "lookup"; None for nothing). price: what the last draft was expected to earn, where that was asked.
    """

    about = "the verifier alone, one cached pass per token"
    part: str | None = None
    hidden: tuple[int, ...] = ()
    source: str | None = None
    price: StepPrice | None = None

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        if "propose" in vars(cls) and "proposing" not in vars(cls):  # the last word on what is proposed is its own
            cls.proposing = Drafter.proposing

    def __init__(self, pair: ModelPair, cfg: Cfg, capacity: int, most: int, processors: LogitsProcessorList,
                 generator: torch.Generator):
        self.pair, self.cfg, self.capacity, self.most = pair, cfg, capacity, most
        self.processors, self.generator, self.model = processors, generator, None

    @classmethod
    def settings(cls, cfg: Cfg) -> Cfg:
        """`cfg` as a run of this method follows it."""
        return cfg

    @classmethod
    def laws(cls, cfg: Cfg) -> set[str]:
        """The rules of `accept.RULES` that fit how its first tokens are found under `cfg`: one for each way that may occur."""
        return set()

    @property
    def ready(self) -> bool:
        """Can it draft already, from what the verifier's passes have shown so far?"""
        return True

    def propose(self, ids: list[int], span: int) -> TokenTree:
        """A draft of at most `span` levels after `ids`, with what each node's children were drawn from; empty for no draft."""
        return TokenTree()

    def proposing(self, ids: list[int], span: int) -> Asking[TokenTree]:
        """`propose` as work that stops at each of its passes; a drafter that has none proposes at once."""
        return self.propose(ids, span)
        yield

    def advance(self, base: int, path: list[int], hidden: torch.Tensor | None) -> None:
        """After a step: `path` holds the accepted nodes of the draft after `base` tokens. `hidden` [m + len(path), width]: the
        verifier's states at the m tokens of the context that it read in this step, the last one among them, and at each accepted
        node, where the class asks for them."""
        if self.model is None:
            return
        known = self.model.length  # the last level of a draft was never read
        slots = [base + node for node in path]
        self.model.keep(min(base, known), [slot for slot in slots if slot < known])

    @property
    def models(self) -> list:
        """The cached models that it drafts with."""
        return [] if self.model is None else [self.model]

    @property
    def calls(self) -> int:
        """Forward passes of drafter models so far."""
        return sum(model.calls for model in self.models)


def next_span(span: int, accepted: int, drafted: int, most: int) -> int:
    """The span of the next step: one more where the whole draft was accepted, one less where it was not, from 1 to `most`."""
    return min(most, span + 1) if accepted == drafted else max(1, span - 1)
