"""A drafter and a verifier over one vocabulary."""
import copy

from ..text.processors import eos_ids
from .eagle import EagleDrafter
from .fit import check_fit, context_of
from .medusa_heads import MedusaHeads


class ModelPair:
    """A drafter and a verifier over one vocabulary, or a verifier alone (`drafter` is None) for methods that need no drafter.

    `drafter` and `verifier` are causal language models of `transformers` on the same device; both are switched to eval
    mode. Without a tokenizer prompts are token tensors and generated `.text` is empty. `heads` are Medusa heads trained on
    this verifier, for method "heads"; `eagle` is a drafter that reads this verifier's hidden states, for method "eagle".

    Attributes: drafter, verifier, tokenizer, name, heads, eagle, device (str), vocab_size, context (positions that all models have;
    2**20 where none has a limit), eos_ids (frozenset of int, from the verifier's generation config).
    Raises ValueError if the vocabularies differ in size, the models lie on different devices, one of them does not fit (see
    `check_fit`), or `eagle` was made for a verifier of another size.
    """

    def __init__(self, drafter, verifier, tokenizer=None, name: str = "custom", heads: MedusaHeads | None = None,
                 eagle: EagleDrafter | None = None):
        other = verifier if drafter is None else drafter
        sizes = other.config.vocab_size, verifier.config.vocab_size
        if sizes[0] != sizes[1]:
            raise ValueError(f"Drafter and verifier must share one vocabulary; theirs have {sizes[0]} and {sizes[1]} tokens.")
        if other.device != verifier.device:
            raise ValueError(f"Drafter and verifier must lie on one device; they are on {other.device} and {verifier.device}.")
        for model in (other, verifier):
            check_fit(model)
        if drafter is verifier:  # one model in both roles: a second module over the same weights, so that passes count by role
            drafter = copy.deepcopy(verifier, {id(t): t for t in (*verifier.parameters(), *verifier.buffers())})
        self.drafter, self.verifier = None if drafter is None else drafter.eval(), verifier.eval()
        self.tokenizer, self.name = tokenizer, name
        self.heads, self.eagle = heads, eagle
        self.device, self.vocab_size = str(verifier.device), sizes[1]
        self.context = min(context_of(other), context_of(verifier), context_of(verifier) if eagle is None else eagle.context)
        if eagle is not None:
            width = verifier.get_input_embeddings().embedding_dim
            if (eagle.width, eagle.vocab_size) != (width, sizes[1]):
                raise ValueError(f"The eagle drafter was made for a verifier of width {eagle.width} and {eagle.vocab_size} tokens; "
                                 f"this one has {width} and {sizes[1]}.")

    @property
    def eos_ids(self) -> frozenset[int]:
        """The ids that end a text, as the verifier's generation config says now."""
        return frozenset(eos_ids(self.verifier.generation_config))

    def __repr__(self) -> str:
        def size(model) -> str:
            return "none" if model is None else f"{sum(p.numel() for p in model.parameters()) / 1e6:.1f} M"
        return (f"ModelPair({self.name!r}: drafter {size(self.drafter)}, verifier {size(self.verifier)} parameters, "
                f"{self.vocab_size} tokens, context {self.context}, on {self.device})")
