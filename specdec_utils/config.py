"""The settings of one run."""
from dataclasses import dataclass
from numbers import Integral, Real


def _require(ok: bool, field: str, value: object, wanted: str) -> None:
    if not ok:
        raise ValueError(f"{field}={value!r} is not usable: it must be {wanted}.")


def _is_int(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _is_real(value: object) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and value == value and abs(value) != float("inf")


@dataclass(frozen=True)
class Cfg:
    """Settings of one generation; every field is checked on construction.

    max_new_tokens: tokens to write at most (>= 1). temperature, top_p: the distribution that first draft tokens are drawn
    from (and, with `do_sample`, the verifier's own); top_p is the nucleus mass of Holtzman et al. 2020, section 3.1.
    repetition_penalty (> 0, 1 = off) and no_repeat_ngram_size (0 = off) act on the verifier as they do in `transformers`.
    topk_branch: branches a step. draft_span: tokens a branch. acceptance: "auto". debug: keep the verifier's full
    distribution at every node in the records, and print each step.

    Raises ValueError naming the field, the value and the range.
    """

    max_new_tokens: int = 30
    temperature: float = 0.8
    top_p: float = 0.9
    repetition_penalty: float = 1.0
    no_repeat_ngram_size: int = 0
    topk_branch: int = 4
    draft_span: int = 3
    do_sample: bool = False
    acceptance: str = "auto"
    seed: int = 42
    debug: bool = False

    def __post_init__(self) -> None:
        for field in ("max_new_tokens", "topk_branch", "draft_span"):
            value = getattr(self, field)
            _require(_is_int(value) and value >= 1, field, value, "a whole number of at least 1")
        for field in ("do_sample", "debug"):
            _require(isinstance(getattr(self, field), bool), field, getattr(self, field), "True or False")
        if self.do_sample:
            _require(_is_real(self.temperature) and self.temperature > 0, "temperature", self.temperature,
                     "a number above 0 when do_sample=True")
        _require(_is_real(self.temperature) and self.temperature >= 0, "temperature", self.temperature,
                 "a number of at least 0")
        _require(_is_real(self.top_p) and 0 < self.top_p <= 1, "top_p", self.top_p, "a number in (0, 1]")
        _require(_is_real(self.repetition_penalty) and self.repetition_penalty > 0, "repetition_penalty",
                 self.repetition_penalty, "a number above 0 (1 switches it off)")
        _require(_is_int(self.no_repeat_ngram_size) and self.no_repeat_ngram_size >= 0, "no_repeat_ngram_size",
                 self.no_repeat_ngram_size, "a whole number of at least 0 (0 switches it off)")
        _require(self.acceptance == "auto", "acceptance", self.acceptance, "'auto'")
        _require(_is_int(self.seed) and self.seed >= 0, "seed", self.seed, "a whole number of at least 0")
