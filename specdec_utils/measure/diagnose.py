"""Diagnose: where two greedy outputs part, and whether that is rounding or a fault."""
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ..decode.records import Generation
from ..models.pair import ModelPair
from ..text.config import Cfg
from ..text.processors import check_settings, logits_processors, process_logits
from ..text.sampling import last_token_logits
from ..text.tokens import decode_token, encode_prompt

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4, torch.float16: 0.1, torch.bfloat16: 0.5}  # for logits up to 32


@dataclass(frozen=True)
class Diagnosis:
    """What `diagnose` found; `str()` of it is one sentence.

    verdict: "equal", "near tie", "defect", or "prefix" (one output stops early and nothing differs before that). position:
    index into the new tokens of the first that differs, or that only one output has; None if equal. tokens: the two ids
    there, None for an output that has ended. best: the verifier's two best ids there; margin: how far apart their logits are;
    behind: how far the logit of the worse of `tokens` lies below the best one. tolerance: the largest `behind` that rounding
    explains. dtype: the verifier's, such as "float32". Without two tokens to compare the last five are None.
    """

    verdict: str
    position: int | None
    tokens: tuple[int | None, int | None]
    best: tuple[int, int] | None
    margin: float | None
    behind: float | None
    tolerance: float | None
    dtype: str | None
    text: str

    def __str__(self) -> str:
        return self.text


def _new_ids(output: Generation | Sequence[int], prompt_ids: list[int]) -> list[int]:
    if not isinstance(output, Generation):
        return [int(token) for token in output]
    if output.prompt_ids != prompt_ids:
        raise ValueError("An output continues another prompt than the one given: compare runs of one prompt.")
    return output.new_ids


def diagnose(pair: ModelPair, one: Generation | Sequence[int], other: Generation | Sequence[int], prompt: str | torch.Tensor,
             cfg: Cfg | None = None) -> Diagnosis:
    """Compare two greedy outputs, Generations or lists of new ids, behind one `prompt`; `cfg` is what they ran with: its penalties
    and, where the verifier's generation_config forces the last token, its max_new_tokens.

    Both should hold the verifier's best token at every place. Where they differ the verifier is asked again, in one uncached
    pass. "near tie": both tokens lie within the tolerance of the best logit, so that the order of summation decides between
    them, which changes with batch, cache, kernel and machine; two tokens, as a rule, and then the two best. Else "defect":
    no rounding makes a worse token win. An output that goes on behind an EOS token is a defect as well.

    The tolerance is for the distance of two logits, each of which may have moved. float64: 1e-9, far above what was ever
    seen (4e-14). float32: 1e-4, half precision: 0.1 (float16) and 0.5 (bfloat16, which keeps 8 bits: numbers between 16 and 32
    lie 0.125 apart), about 1.5 to 2 times what a 16-layer GPT-2 with logits up to 20 showed between one pass and token by
    token: two logits, each moved by up to 2.3e-5, 0.03 and 0.19. Rounding grows with what is rounded, so where the best logit
    is larger than 32 the tolerance grows in proportion.

    Raises ValueError for a Generation of another prompt, and what `encode_prompt` and `check_settings` raise.
    """
    cfg, ids, config = Cfg() if cfg is None else cfg, encode_prompt(pair, prompt), pair.verifier.generation_config
    check_settings(config, cfg)
    end = min(ids.shape[1] + cfg.max_new_tokens, pair.context)
    processors = logits_processors(config, cfg, ids[0].tolist(), end, pair.device)
    one, other = (_new_ids(output, ids[0].tolist()) for output in (one, other))
    both = min(len(one), len(other))
    at = next((i for i in range(both) if one[i] != other[i]), both)
    tokens = tuple(output[at] if at < len(output) else None for output in (one, other))
    if at == both:
        unasked = (None,) * 5
        if len(one) == len(other):
            return Diagnosis("equal", None, tokens, *unasked, f"Both outputs hold the same {both} tokens.")
        if both and one[both - 1] in pair.eos_ids:
            return Diagnosis("defect", at, tokens, *unasked, f"One output goes on behind the EOS token {one[both - 1]} at new_ids"
                                                             f"[{both - 1}], which ends the other: a defect.")
        return Diagnosis("prefix", at, tokens, *unasked, f"The outputs agree for {both} tokens, where one ends and the other has "
                                                         f"{max(len(one), len(other)) - both} more.")
    ids = torch.cat([ids, torch.tensor([one[:at]], dtype=ids.dtype, device=ids.device)], dim=1)
    logits = process_logits(last_token_logits(pair.verifier, ids)[None], [ids[0].tolist()], processors)[0].double()
    top = logits.topk(2)
    highest, second = top.values.tolist()
    behind = highest - min(logits[list(tokens)].tolist())
    tolerance = TOLERANCE[pair.verifier.dtype] * max(1.0, abs(highest) / 32)
    verdict = "near tie" if behind <= tolerance else "defect"
    first, then = (f"{decode_token(pair.tokenizer, token)!r} (id {token})" for token in tokens)
    dtype = str(pair.verifier.dtype).removeprefix("torch.")
    reason = "rounding decides between them" if verdict == "near tie" else "rounding cannot explain it"
    text = (f"new_ids[{at}] is {first} in one output and {then} in the other, the worse of them {behind:.2g} below the verifier's best "
            f"logit, whose lead over the second is {highest - second:.2g}, in {dtype} with a tolerance of {tolerance:.2g}: "
            f"a {verdict}, {reason}.")
    return Diagnosis(verdict, at, tokens, tuple(top.indices.tolist()), highest - second, behind, tolerance, dtype, text)
