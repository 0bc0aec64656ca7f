"""The settings of one run."""
import math
from dataclasses import dataclass
from numbers import Integral, Real

ACCEPTANCES = ("auto", "single_draft", "with_replacement", "without_replacement", "deterministic", "typical_lossy")
DRAFTS = ("auto", "branches", "paths", "top")


def _require(ok: bool, field: str, value: object, wanted: str) -> None:
    if not ok:
        raise ValueError(f"{field}={value!r} is not usable: it must be {wanted}.")


def _is_int(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_real(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


class Default(int):
    """The value of a setting that nobody has chosen: a whole number like any other, that method "auto" need not take as a limit."""


@dataclass(frozen=True)
class Cfg:
    """Settings of one generation; every field is checked on construction.

    max_new_tokens: tokens to write at most (>= 1). temperature, top_p: the distribution that first draft tokens are drawn
    from (and, with `do_sample`, the verifier's own); top_p is the nucleus mass of Holtzman et al. 2020, section 3.1.
    repetition_penalty (> 0) and no_repeat_ngram_size act on the verifier as they do in `transformers`; at their defaults, 1 and
    0, what the verifier's generation_config says about them holds.
    topk_branch: branches a step. draft_span: tokens a branch. To method "auto" both are upper limits, and a draft_span that is left
    at its default is none. do_sample: write what the verifier samples (at temperature and top_p) in place of its greedy text.
    seed: each run draws from a generator of its own, seeded with it; torch's global random numbers are neither read nor moved.
    debug: keep the verifier's full distribution at every node in the records, and print each step.

    Whatever else the verifier's generation_config asks for is honoured in every method, at each node of a tree behind its own
    path, or refused in one sentence when a run begins (see `processors.check_settings`).

    draft: how the drafter's tokens are found. "branches": first tokens drawn without replacement, each continued greedily,
    as in the original notebook. "paths": `topk_branch` independent samples of the drafter. "top": at each depth the
    `topk_branch` most probable continuations, nothing drawn. "auto": "top" for methods "tree", "eagle" and "auto" with a greedy
    verifier, else "branches", and for method "auto" a single one of the "paths". acceptance: the rule of `accept.RULES` that
    judges a sampled run; "auto" takes the one that fits the draft and is the only choice that cannot be wrong; "typical_lossy"
    is not exact. adaptive_span: let the span follow the acceptance seen so far, from 1 to twice draft_span. draft_confidence:
    draft no further where the drafter's probability of the whole path would fall below it (in [0, 1)). lookup_first: with
    methods "tree" and "eagle", where the last so many tokens stood in the text before, take what followed them as the draft and
    leave the drafter alone (0 = off). text_pieces: let an eagle drafter that can write a part of the vocabulary draft what else stands in
    the text too (see `run.text_pieces`). lean: take the lean forward pass for models that it knows.

    Raises ValueError naming the field, the value and the range.
    """

    max_new_tokens: int = 30
    temperature: float = 0.8
    top_p: float = 0.9
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    topk_branch: int = 4
    draft_span: int = Default(3)
    do_sample: bool = False
    acceptance: str = "auto"
    seed: int = 42
    debug: bool = False
    draft: str = "auto"
    adaptive_span: bool = False
    draft_confidence: float = 0.0
    lookup_first: int = 0
    text_pieces: bool = True
    lean: bool = True

    def __post_init__(self) -> None:
        for field in ("max_new_tokens", "topk_branch", "draft_span"):
            value = getattr(self, field)
            _require(_is_int(value) and value >= 1, field, value, "a whole number of at least 1")
        for field in ("do_sample", "debug", "adaptive_span", "text_pieces", "lean"):
            _require(isinstance(getattr(self, field), bool), field, getattr(self, field), "True or False")
        if self.do_sample:
            _require(_is_real(self.temperature) and self.temperature > 0, "temperature", self.temperature,
                     "a number above 0 when do_sample=True")
        _require(_is_real(self.temperature) and self.temperature >= 0, "temperature", self.temperature,
                 "a number of at least 0")
        _require(_is_real(self.top_p) and 0 < self.top_p <= 1, "top_p", self.top_p, "a number in (0, 1]")
        _require(_is_real(self.repetition_penalty) and self.repetition_penalty > 0, "repetition_penalty",
                 self.repetition_penalty, "a number above 0 (1 leaves it to the verifier's generation_config)")
        _require(_is_int(self.no_repeat_ngram_size) and self.no_repeat_ngram_size >= 0, "no_repeat_ngram_size",
                 self.no_repeat_ngram_size, "a whole number of at least 0 (0 leaves it to the verifier's generation_config)")
        _require(_is_real(self.draft_confidence) and 0 <= self.draft_confidence < 1, "draft_confidence", self.draft_confidence,
                 "a number in [0, 1)")
        _require(_is_int(self.lookup_first) and self.lookup_first >= 0, "lookup_first", self.lookup_first,
                 "a whole number of at least 0 (0 switches it off)")
        for field, known in (("acceptance", ACCEPTANCES), ("draft", DRAFTS)):
            _require(getattr(self, field) in known, field, getattr(self, field), f"one of {list(known)}")
        _require(self.do_sample or self.acceptance == "auto", "acceptance", self.acceptance, "'auto' unless do_sample=True")
        _require(_is_int(self.seed) and self.seed >= 0, "seed", self.seed, "a whole number of at least 0")
