"""Calibrate: what is measured, how long it is kept, and what a file of it must match."""
import json
import random
from dataclasses import replace

import pytest
import torch
from machines import invented

from specdec_utils import Cfg, ModelPair, PassTimes, calibrate, generate
from specdec_utils.decode import calibrate as module
from specdec_utils.decode.pass_times import PassTimer
from specdec_utils.decode.passes import known_times
from specdec_utils.decode.price import CENTRES

CFG = Cfg(max_new_tokens=8)


@pytest.fixture
def measured(monkeypatch):
    """A list that grows by a pair whenever one is measured, which then takes no time."""
    pairs = []

    def measure(pair, cfg, progress):
        pairs.append(pair)
        return invented(verifier=(4.0 + len(pairs), 0.2))
    monkeypatch.setattr(module, "_measure", measure)
    return pairs


def test_every_way_of_the_pair_is_measured_and_counted(random_pairs):
    pair = random_pairs["random"]
    times = calibrate(pair, progress=False)
    assert isinstance(times, PassTimes) and known_times(pair, CFG) is times and times.threads == torch.get_num_threads()
    assert set(times.drafter) == set(times.eagle) == {"prompt", "first", "next"}
    assert {"prompt", "alone", "after drafter", "after eagle", "after heads"} == set(times.verifier)
    assert set(times.judged) >= {"drafter", "eagle", "heads"}
    assert all(len(counts) == len(CENTRES) for ranks in times.judged.values() for counts in ranks.values())
    assert times.v(8) > 0 < times.c


def test_a_pair_of_a_verifier_alone_can_be_calibrated(random_model):
    pair = ModelPair(None, random_model(3))
    times = calibrate(pair, progress=False)
    assert times.drafter == times.eagle == {} and set(times.verifier) == {"prompt", "alone"}
    assert generate(pair, torch.tensor([[5, 6]]), CFG, "auto").new_ids == generate(pair, torch.tensor([[5, 6]]), CFG, "greedy").new_ids


def test_times_are_kept_by_pair_threads_and_forward_pass(measured, random_model):
    pair, other = (ModelPair(None, random_model(seed)) for seed in (3, 4))
    times = calibrate(pair)
    assert known_times(pair, CFG) is times and known_times(other, CFG) is None and known_times(pair, Cfg(lean=False)) is None
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        assert known_times(pair, CFG) is None
    finally:
        torch.set_num_threads(threads)


def test_a_pair_that_has_got_heads_is_measured_anew(measured, random_model, random_heads):
    pair = ModelPair(None, random_model(3))
    calibrate(pair)
    pair.heads = random_heads()
    assert known_times(pair, CFG) is None
    calibrate(pair)
    assert len(measured) == 2 and known_times(pair, CFG) is not None


def test_a_file_is_read_where_it_fits_and_written_where_it_does_not(measured, random_model, tmp_path):
    pair, file = ModelPair(None, random_model(3)), tmp_path / "times.json"
    first = calibrate(pair, file=file)
    assert len(measured) == 1 and calibrate(pair, file=file) == first and len(measured) == 1
    for stale in ({"torch": "1.0"}, {"threads": 99}, {"processor": "another"}, {"lean": False}, {"pair": "another"}):
        data = json.loads(file.read_text())
        file.write_text(json.dumps(data | {"machine": data["machine"] | stale}))
        before = len(measured)
        assert calibrate(pair, file=str(file)) != first and len(measured) == before + 1
        assert json.loads(file.read_text())["machine"] == json.loads(json.dumps(data["machine"]))


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"machine": 1}', "no JSON"])
def test_a_file_that_holds_something_else_is_left_alone_and_named(measured, random_model, tmp_path, content):
    file = tmp_path / "notes.txt"
    file.write_text(content)
    with pytest.raises(ValueError, match="notes.txt holds no calibration: name another file, or delete it."):
        calibrate(ModelPair(None, random_model(3)), file=file)
    assert file.read_text() == content and not measured


@pytest.mark.parametrize("unrests, kept, written", [([1.1], 1.1, True), ([1.6, 1.2], 1.2, True), ([1.7, 9.0], 1.7, False), ([9.0, 1.7], 1.7, False)])
def test_a_busy_machine_is_measured_once_more_and_the_calmer_result_taken(monkeypatch, random_model, tmp_path, unrests, kept, written):
    found = iter([replace(invented(), unrest=unrest) for unrest in unrests])
    monkeypatch.setattr(module, "_measure", lambda *of: next(found))
    pair, file = ModelPair(None, random_model(3)), tmp_path / "times.json"
    assert calibrate(pair, file=file).unrest == known_times(pair, CFG).unrest == kept
    assert file.exists() == written and next(found, None) is None


@pytest.mark.parametrize("disturbed", [0.0, 0.5])
def test_unrest_tells_a_busy_machine_from_an_idle_one(monkeypatch, random_model, disturbed):
    clock, chance = [0.0], random.Random(1)

    def tick():  # a second from one look at the clock to the next, and 20 where something else runs
        clock[0] += 20.0 if chance.random() < disturbed else 1.0
        return clock[0]
    monkeypatch.setattr("specdec_utils.decode.pass_times.time.perf_counter", tick)
    timer = PassTimer(ModelPair(None, random_model(3)), [torch.tensor([[5, 6, 7]])], CFG, [("greedy", Cfg(max_new_tokens=40))])
    for _ in range(timer.turns):
        timer.take()
    assert (timer.fit().unrest > module.CALM) == (disturbed > 0)


def test_a_file_that_cannot_be_written_is_one_sentence(measured, random_model, tmp_path):
    with pytest.raises(ValueError, match="cannot be written: name a file in a folder that exists."):
        calibrate(ModelPair(None, random_model(3)), file=tmp_path / "missing" / "times.json")
