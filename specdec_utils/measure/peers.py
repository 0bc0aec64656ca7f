"""The same work done by `transformers` itself: what our methods are measured against."""
import time

import torch
from transformers.utils import logging as transformers_logging

from ..decode.original import count_calls
from ..decode.records import Generation
from ..models.pair import ModelPair
from ..text.config import Cfg
from ..text.processors import check_settings
from ..text.tokens import Prompt, decode_output, encode_prompt

PEERS: dict[str, str] = {
    "hf-greedy": "transformers, the verifier alone",
    "hf-assisted": "transformers, assisted generation at its defaults",
    "hf-assisted-fixed": "transformers, assisted generation with a fixed draft of `cfg.draft_span` tokens",
    "hf-lookup": "transformers, prompt lookup with a draft of `cfg.draft_span` tokens",
}
ASSISTED = {"hf-assisted", "hf-assisted-fixed"}


def peers_of(pair: ModelPair) -> list[str]:
    """The names of `PEERS` that `pair` can serve: without a drafter none that assists."""
    return [peer for peer in PEERS if pair.drafter is not None or peer not in ASSISTED]


def peer_generate(pair: ModelPair, prompt: Prompt, cfg: Cfg, peer: str) -> Generation:
    """Continue `prompt` greedily with one of `PEERS`: a `Generation` without steps, its calls counted by hooks.

    Assisted generation: Gante 2023; the options are those of `GenerationConfig`. Raises ValueError for an unknown peer
    and for a generation_config of the verifier that `check_settings` refuses.
    """
    if peer not in PEERS:
        raise ValueError(f"There is no peer {peer!r}: use one of {sorted(PEERS)}.")
    if peer not in peers_of(pair):
        raise ValueError(f"Pair {pair.name!r} has no drafter model to assist: use one of {peers_of(pair)}.")
    check_settings(pair.verifier.generation_config, cfg)
    ids = encode_prompt(pair, prompt)
    options = dict(attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=cfg.max_new_tokens,
                   pad_token_id=min(pair.eos_ids, default=0), return_dict_in_generate=False)
    if cfg.repetition_penalty != 1:  # else what the verifier's generation_config says
        options["repetition_penalty"] = cfg.repetition_penalty
    if cfg.no_repeat_ngram_size:
        options["no_repeat_ngram_size"] = cfg.no_repeat_ngram_size
    drafting = (pair.drafter or pair.verifier).generation_config
    fixed = dict(num_assistant_tokens=cfg.draft_span, num_assistant_tokens_schedule="constant", assistant_confidence_threshold=0.0)
    before, verbosity = {name: getattr(drafting, name) for name in fixed}, transformers_logging.get_verbosity()
    if peer == "hf-lookup":
        options["prompt_lookup_num_tokens"] = cfg.draft_span
        if not pair.eos_ids:  # which it fails without: an id that no text holds
            options["eos_token_id"] = pair.vocab_size
    elif peer != "hf-greedy":
        options["assistant_model"] = pair.drafter
        if peer == "hf-assisted-fixed":
            drafting.update(**fixed)
    transformers_logging.set_verbosity_error()  # it warns of what it does itself when it calls the assistant
    try:
        with count_calls(pair) as calls:
            began = time.perf_counter()
            out = pair.verifier.generate(ids, **options)[0].tolist()
            seconds = time.perf_counter() - began
    finally:
        transformers_logging.set_verbosity(verbosity)
        drafting.update(**before)  # the schedule of the defaults also moves the length from call to call: start afresh
    start = ids.shape[1]
    reason = "eos" if out[-1] in pair.eos_ids else "length" if len(out) - start == cfg.max_new_tokens else "context"
    text = decode_output(pair, prompt, out, start)
    return Generation(text, out[:start], out[start:], [], calls["verifier"], calls["drafter"], seconds, reason, peer)
