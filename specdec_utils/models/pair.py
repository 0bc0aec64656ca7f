"""A drafter and a verifier over one vocabulary."""
import copy

from ..text.processors import eos_ids
from .medusa_heads import MedusaHeads


class ModelPair:
    """A drafter and a verifier over one vocabulary.

    `drafter` and `verifier` are causal language models of `transformers` on the same device; both are switched to eval
    mode. Without a tokenizer prompts are token tensors and generated `.text` is empty. `heads` are Medusa heads trained on
    this verifier, for method "heads".

    Attributes: drafter, verifier, tokenizer, name, heads, device (str), vocab_size, context (positions that both models have),
    eos_ids (frozenset of int, from the verifier's generation config).
    Raises ValueError if the vocabularies differ in size or the models lie on different devices.
    """

    def __init__(self, drafter, verifier, tokenizer=None, name: str = "custom", heads: MedusaHeads | None = None):
        sizes = drafter.config.vocab_size, verifier.config.vocab_size
        if sizes[0] != sizes[1]:
            raise ValueError(f"Drafter and verifier must share one vocabulary; theirs have {sizes[0]} and {sizes[1]} tokens.")
        if drafter.device != verifier.device:
            raise ValueError(f"Drafter and verifier must lie on one device; they are on {drafter.device} and {verifier.device}.")
        if drafter is verifier:  # one model in both roles: a second module over the same weights, so that passes count by role
            drafter = copy.deepcopy(verifier, {id(t): t for t in (*verifier.parameters(), *verifier.buffers())})
        self.drafter, self.verifier, self.tokenizer, self.name = drafter.eval(), verifier.eval(), tokenizer, name
        self.heads = heads
        self.device, self.vocab_size = str(verifier.device), sizes[1]
        self.context = min(drafter.config.max_position_embeddings, verifier.config.max_position_embeddings)

    @property
    def eos_ids(self) -> frozenset[int]:
        """The ids that end a text, as the verifier's generation config says now."""
        return frozenset(eos_ids(self.verifier.generation_config))

    def __repr__(self) -> str:
        size = {role: sum(p.numel() for p in getattr(self, role).parameters()) / 1e6 for role in ("drafter", "verifier")}
        return (f"ModelPair({self.name!r}: drafter {size['drafter']:.1f} M, verifier {size['verifier']:.1f} M parameters, "
                f"{self.vocab_size} tokens, context {self.context}, on {self.device})")
