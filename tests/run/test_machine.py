import pytest

from specdec_utils.run.machine import cache_sizes, machine_facts, machine_line, processor_name

FACTS = {"processor": "Fast 9000", "cores": 2, "caches": {"L1": 32 * 1024, "L3": 32 * 1024**2}, "instructions": "AVX2", "threads": 1,
         "dtype": "float32", "device": "cpu", "accelerator": None}


def test_the_machine_in_one_line():
    assert machine_line(FACTS) == "Fast 9000, 2 cores, L1 cache 32 KB, L3 cache 32 MB, AVX2, 1 thread, float32 on cpu"
    assert machine_line(FACTS | {"caches": {}, "threads": 2, "accelerator": "Card 7", "device": "cuda:0"}) == (
        "Fast 9000, 2 cores, AVX2, 2 threads, float32 on Card 7")


def test_this_machine_has_a_name_and_cores(random_pairs):
    facts = machine_facts(random_pairs["random"])
    assert facts["processor"] and facts["cores"] >= 1 and facts["threads"] >= 1 and facts["device"] == "cpu"
    assert all(size >= 1024 for size in facts["caches"].values()) and facts["processor"] in machine_line(facts)


@pytest.mark.parametrize("system, said, name", [
    ("Linux", {}, "AMD EPYC"), ("Darwin", {"sysctl": "Apple M9"}, "Apple M9"), ("Darwin", {}, "generic"), ("Windows", {}, "generic")])
def test_the_processors_name_as_each_system_tells_it(tmp_path, monkeypatch, system, said, name):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text("processor\t: 0\nmodel\t\t: 1\nmodel name\t: AMD EPYC\nmodel name\t: other\n")
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.processor", lambda: "generic")
    monkeypatch.setattr("specdec_utils.run.machine._said", lambda command, *_: said.get(command, ""))
    assert processor_name(cpuinfo) == name


def test_an_arm_processors_name_stands_in_lscpu_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("specdec_utils.run.machine._said", lambda *_: "CPU(s):      4\nModel name:  Neoverse-N1\nStepping: r3p1")
    assert processor_name(tmp_path / "missing") == "Neoverse-N1"


def test_a_system_that_tells_nothing_gives_the_architecture(tmp_path, monkeypatch):
    for name, answer in (("system", "Linux"), ("processor", ""), ("machine", "riscv64")):
        monkeypatch.setattr(f"platform.{name}", lambda answer=answer: answer)
    monkeypatch.setattr("specdec_utils.run.machine._said", lambda *_: "")
    assert processor_name(tmp_path / "missing") == "riscv64"


def test_data_caches_by_level(tmp_path, monkeypatch):
    monkeypatch.setattr("platform.system", lambda: "Linux")
    for number, told in enumerate([("Data", "1", "32K"), ("Instruction", "1", "64K"), ("Unified", "2", "1M"), ("Unified", "3", "odd")]):
        folder = tmp_path / f"index{number}"
        folder.mkdir()
        for name, text in zip(("type", "level", "size"), told):
            (folder / name).write_text(text + "\n")
    (tmp_path / "index9").mkdir()  # says nothing
    assert cache_sizes(tmp_path) == {"L1": 32 * 1024, "L2": 1024**2}
    assert cache_sizes(tmp_path / "missing") == {}
