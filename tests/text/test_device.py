import random

import pytest
import torch

from specdec_utils import pick_device, seed_everything, time_it
from specdec_utils.text.device import wait_for_gpu


@pytest.fixture
def machine(monkeypatch):
    """machine(mps=..., cuda=number of devices): make this machine look like another one."""
    monkeypatch.delenv("SPECDEC_DEVICE", raising=False)

    def pretend(mps=False, cuda=0):
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
    return pretend


@pytest.mark.parametrize("mps, cuda, picked", [(True, 1, "mps"), (False, 1, "cuda"), (True, 0, "mps"), (False, 0, "cpu")])
def test_picks_mps_then_cuda_then_cpu(machine, mps, cuda, picked):
    machine(mps, cuda)
    assert pick_device() == picked


@pytest.mark.parametrize("wanted", ["cpu", "cuda", "cuda:1", "mps"])
def test_environment_variable_wins(machine, monkeypatch, wanted):
    machine(mps=True, cuda=2)
    monkeypatch.setenv("SPECDEC_DEVICE", wanted)
    assert pick_device() == wanted


def test_empty_environment_variable_counts_as_unset(machine, monkeypatch):
    machine()
    monkeypatch.setenv("SPECDEC_DEVICE", "")
    assert pick_device() == "cpu"


@pytest.mark.parametrize("wanted", ["cuda", "mps", "cuda:0", "cuda:x", "tpu", "cpu:0"])
def test_absent_device_is_one_sentence_with_what_is_there(machine, monkeypatch, wanted):
    machine()
    monkeypatch.setenv("SPECDEC_DEVICE", wanted)
    with pytest.raises(RuntimeError, match=rf"^Device '{wanted}' is not on this machine; use one of \['cpu'\]\.$"):
        pick_device()


def test_absent_second_gpu_is_refused(machine, monkeypatch):
    machine(cuda=1)
    monkeypatch.setenv("SPECDEC_DEVICE", "cuda:1")
    with pytest.raises(RuntimeError, match="Device 'cuda:1' is not on this machine"):
        pick_device()


@pytest.mark.parametrize("there", [True, False])
def test_a_gpu_is_waited_for_before_the_clock_stops(monkeypatch, there):
    done = []
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: there)
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda: done.append("waited"))
    wait_for_gpu()
    time_it(done.append, "called")
    assert done == (["waited", "called", "waited"] if there else ["called"])


def test_seed_everything_repeats_python_and_torch():
    draws = []
    for _ in range(2):
        seed_everything(7)
        draws.append((random.random(), torch.rand(1).item()))
    assert draws[0] == draws[1]
