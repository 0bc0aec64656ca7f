"""What a verifier's `generation_config` asks for: each setting is honoured, without effect, or refused.

`penalize` in `sampling.py` is the course's own telling of two of these settings, repetition_penalty and no_repeat_ngram_size.
A run takes both, and all the others, from `transformers`' own classes, which do the same to the last digit.
"""
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import transformers as hf
from transformers import GenerationConfig, LogitsProcessorList

from .config import Cfg

# Values that a setting may have, beside None, without asking for anything.
NEUTRAL: dict[str, tuple] = {
    "repetition_penalty": (1.0,), "no_repeat_ngram_size": (0,), "encoder_repetition_penalty": (1.0,),
    "encoder_no_repeat_ngram_size": (0,), "min_length": (0,), "min_new_tokens": (0,), "remove_invalid_values": (False,),
    "top_k": (0, 50),  # `transformers` takes 50 where nothing is said; here nothing said means no cut
    "typical_p": (1.0,), "epsilon_cutoff": (0.0,), "eta_cutoff": (0.0,),
    "num_beams": (1,), "num_beam_groups": (1,), "num_return_sequences": (1,), "penalty_alpha": (0.0,), "guidance_scale": (1,),
    "use_mtp": (False,), "is_assistant": (False,), "token_healing": (False,)}


@dataclass(frozen=True)
class _Text:
    """The run that processors are made for: its prompt [1, T], its end in positions, its EOS ids or None."""

    prompt: torch.Tensor
    end: int
    eos: torch.Tensor | None
    forced_bos: bool

    @property
    def start(self) -> int:
        return self.prompt.shape[1]

    @property
    def begin(self) -> int:
        """Where the text begins that `begin_suppress_tokens` is about: behind a beginning that is forced."""
        bos_comes = self.forced_bos and self.start == 1  # `transformers` forces it as the second token of a text, or never
        return self.start + bos_comes


# Honoured, in the order in which `generate` applies them: how the processor for a value is made.
HONOURED: dict[str, Callable] = {
    "sequence_bias": lambda value, text: hf.SequenceBiasLogitsProcessor(value),
    "encoder_repetition_penalty": lambda value, text: hf.EncoderRepetitionPenaltyLogitsProcessor(value, text.prompt),
    "repetition_penalty": lambda value, text: hf.RepetitionPenaltyLogitsProcessor(value),
    "no_repeat_ngram_size": lambda value, text: hf.NoRepeatNGramLogitsProcessor(value),
    "encoder_no_repeat_ngram_size": lambda value, text: hf.EncoderNoRepeatNGramLogitsProcessor(value, text.prompt),
    "bad_words_ids": lambda value, text: hf.NoBadWordsLogitsProcessor(value, text.eos),
    "min_length": lambda value, text: hf.MinLengthLogitsProcessor(value, text.eos, text.prompt.device),
    "min_new_tokens": lambda value, text: hf.MinNewTokensLengthLogitsProcessor(text.start, value, text.eos, text.prompt.device),
    "forced_bos_token_id": lambda value, text: hf.ForcedBOSTokenLogitsProcessor(value),
    "forced_eos_token_id": lambda value, text: hf.ForcedEOSTokenLogitsProcessor(text.end, value, text.prompt.device),
    "remove_invalid_values": lambda value, text: hf.InfNanRemoveLogitsProcessor(),
    "exponential_decay_length_penalty": lambda value, text: hf.ExponentialDecayLengthPenalty(value, text.eos, text.start),
    "suppress_tokens": lambda value, text: hf.SuppressTokensLogitsProcessor(value, text.prompt.device),
    "begin_suppress_tokens": lambda value, text: hf.SuppressTokensAtBeginLogitsProcessor(value, text.begin, text.prompt.device)}
ABOUT_EOS = ("min_length", "min_new_tokens", "exponential_decay_length_penalty")  # nothing to do where there is none

# Refused when set: what each asks for.
REFUSED: dict[str, str] = {
    **dict.fromkeys(("num_beams", "num_beam_groups", "constraints", "force_words_ids"), "a search over several texts"),
    **dict.fromkeys(("penalty_alpha", "dola_layers", "guidance_scale"), "another way of decoding than the verifier's own choice"),
    **dict.fromkeys(("use_mtp", "prompt_lookup_num_tokens", "assistant_early_exit", "is_assistant"), "speculation by `transformers`"),
    **dict.fromkeys(("max_time", "stop_strings"), "an end that is not decided by tokens alone"),
    "num_return_sequences": "several texts at once", "token_healing": "a changed prompt", "watermarking_config": "a watermark"}

# Refused when set and do_sample=True: cuts of the distribution beside those that `Cfg` states. Greedy decoding has no use for them.
CUTS = ("top_k", "min_p", "top_h", "typical_p", "epsilon_cutoff", "eta_cutoff")

# Without effect on what is written. Said by `Cfg` or, for the EOS, by `ModelPair.eos_ids`; how `generate` keeps its cache and
# compiles; what it returns; what matters only beside a setting that is refused.
UNUSED = {
    "max_new_tokens", "max_length", "do_sample", "temperature", "top_p", "eos_token_id",
    "use_cache", "cache_implementation", "cache_config", "max_cache_len", "prefill_chunk_size", "low_memory", "compile_config",
    "disable_compile", "continuous_batching_config",
    "output_attentions", "output_hidden_states", "output_scores", "output_logits", "return_dict_in_generate",
    "pad_token_id", "bos_token_id", "decoder_start_token_id", "renormalize_logits", "transformers_version",
    "early_stopping", "length_penalty", "diversity_penalty",
    "num_assistant_tokens", "num_assistant_tokens_schedule", "assistant_confidence_threshold", "max_matching_ngram_size",
    "assistant_lookbehind", "target_lookbehind", "assistant_ensemble_weight", "speculation_type"}


def eos_ids(config: GenerationConfig) -> list[int]:
    """The ids that end a text: none, one or several."""
    eos = config.eos_token_id
    if eos is None:
        return []
    return [eos] if isinstance(eos, int) else list(eos)


def _is_set(field: str, value: object) -> bool:
    return value is not None and value not in NEUTRAL.get(field, ())


def _settings(config: GenerationConfig) -> dict[str, object]:
    """What `config` asks for, by field."""
    public = {field: value for field, value in vars(config).items() if not field.startswith("_")}
    return {field: value for field, value in public.items() if _is_set(field, value)}


def check_settings(config: GenerationConfig, cfg: Cfg) -> None:
    """Raise ValueError, one sentence, if the verifier's `config` asks for what a run under `cfg` would not do."""
    for field, value in _settings(config).items():
        found = f"The verifier's generation_config sets {field}={value!r}"
        if field in REFUSED:
            raise ValueError(f"{found}, which asks for {REFUSED[field]}: set it to None.")
        if field in CUTS and cfg.do_sample:
            raise ValueError(f"{found}, but a sampled run draws from temperature and top_p alone, as Cfg says: set it to None.")
        if not (field in HONOURED or field in CUTS or field in UNUSED):
            raise ValueError(f"{found}, which is unknown here, so that its effect cannot be kept: set it to None.")
    if config.cache_implementation == "quantized":
        raise ValueError("The verifier's generation_config asks for a quantized cache, which changes its output: set "
                         "cache_implementation to None.")


def logits_processors(config: GenerationConfig, cfg: Cfg, prompt: list[int], end: int, device="cpu") -> LogitsProcessorList:
    """The processors of `config` for a run from `prompt` to `end` (positions in the text), as `generate` would make them.

    A repetition_penalty or no_repeat_ngram_size of `cfg` replaces that of `config`, unless it is `Cfg`'s default (off).
    """
    wanted, eos = _settings(config), eos_ids(config)
    for field in ("repetition_penalty", "no_repeat_ngram_size"):
        if _is_set(field, getattr(cfg, field)):
            wanted[field] = getattr(cfg, field)
    if config.min_new_tokens is not None:  # even 0, as in `generate`
        wanted.pop("min_length", None)
    if not eos:
        for field in ABOUT_EOS:
            wanted.pop(field, None)
    text = _Text(
        prompt=torch.tensor([prompt], dtype=torch.long, device=device),
        end=end,
        eos=torch.tensor(eos, device=device) if eos else None,
        forced_bos="forced_bos_token_id" in wanted)
    ordered = [field for field in HONOURED if field in wanted]
    return LogitsProcessorList(HONOURED[field](wanted[field], text) for field in ordered)


def process_logits(logits: torch.Tensor, contexts: Iterable[list[int]], processors: LogitsProcessorList) -> torch.Tensor:
    """Logits [n, V], each row processed behind its own context: n lists of ids, a node's path in the tree included."""
    if not processors:
        return logits
    if logits.dtype in (torch.float16, torch.bfloat16):
        logits = logits.float()  # as `generate` does
    rows = []
    for row, context in zip(logits, contexts):
        ids = torch.tensor([context], device=logits.device)
        rows.append(processors(ids, row[None]))
    return torch.cat(rows)
