"""Where the models run, and how a run is made repeatable."""
import os
import random

import torch


def pick_device() -> str:
    """"mps", else "cuda", else "cpu", whichever is there first; the environment variable SPECDEC_DEVICE overrides it.

    Raises RuntimeError if SPECDEC_DEVICE names a device that this machine does not have.
    """
    wanted = os.environ.get("SPECDEC_DEVICE")
    if wanted:
        return check_device(wanted)
    if torch.backends.mps.is_available():
        return "mps"
    if torch.cuda.is_available():
        return "cuda"
    return "cpu"


def check_device(name: str) -> str:
    """`name` itself ("cpu", "mps", "cuda" or "cuda:1"), if this machine has that device.

    Raises RuntimeError, one sentence, if it has not.
    """
    kind, _, index = str(name).partition(":")
    number = int(index) if index.isdigit() else 0
    there = {"cpu": not index, "mps": torch.backends.mps.is_available() and not index,
             "cuda": torch.cuda.is_available() and (not index or (index.isdigit() and number < torch.cuda.device_count()))}
    if not there.get(kind, False):
        have = [kind for kind in ("mps", "cuda", "cpu") if there[kind] or kind == "cpu"]
        raise RuntimeError(f"Device {name!r} is not on this machine; use one of {have}.")
    return str(name)


def seed_everything(seed: int) -> None:
    """Seed Python's and torch's random numbers (CPU and, where present, CUDA and MPS)."""
    random.seed(seed)
    torch.manual_seed(seed)
