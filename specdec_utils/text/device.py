"""Where the models run, and how a run is made repeatable."""
import os
import random

import torch


def pick_device() -> str:
    """"mps", else "cuda", else "cpu", whichever is there first; the environment variable SPECDEC_DEVICE overrides it.

    Raises RuntimeError if SPECDEC_DEVICE names a device that this machine does not have.
    """
    wanted = os.environ.get("SPECDEC_DEVICE")
    return check_device(wanted) if wanted else _kinds()[0]


def _kinds() -> list[str]:
    """The kinds of device that this machine has, the fastest first."""
    there = {"mps": torch.backends.mps.is_available(), "cuda": torch.cuda.is_available(), "cpu": True}
    return [kind for kind in there if there[kind]]


def check_device(name: str) -> str:
    """`name` itself ("cpu", "mps", "cuda" or "cuda:1"), if this machine has that device.

    Raises RuntimeError, one sentence, if it has not.
    """
    kind, _, index = str(name).partition(":")
    have = _kinds()
    there = kind in have
    if there and index:  # only GPUs are numbered
        there = kind == "cuda" and index.isdigit() and int(index) < torch.cuda.device_count()
    if not there:
        raise RuntimeError(f"Device {name!r} is not on this machine; use one of {have}.")
    return str(name)


def wait_for_gpu() -> None:
    """Return once a GPU has done all that it was given: its calls return before. Without one, at once."""
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()


def seed_everything(seed: int) -> None:
    """Seed Python's and torch's random numbers (CPU and, where present, CUDA and MPS)."""
    random.seed(seed)
    torch.manual_seed(seed)
