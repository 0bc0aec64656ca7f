"""The peer vLLM, played by a small script that speaks its protocol: it counts on from the last token."""
import json
import os
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from specdec_utils import Cfg, ModelPair, compare, generate
from specdec_utils.__main__ import main
from specdec_utils.measure.vllm import VLLM_PEERS, VllmPeer, vllm_peers_of

PROMPT = torch.tensor([[5, 6, 7]])
VLLM = os.environ.get("SPECDEC_VLLM")  # the Python of an environment with vLLM
FAKE = """#!{python}
import json, os, sys
from pathlib import Path
def say(line):
    print(json.dumps(line), flush=True)
say({{"vllm": "0.0.1", "vllm_torch": "9.9", "pid": os.getpid()}})
sizes = {{}}
for line in sys.stdin:
    with Path(__file__).with_name("requests").open("a") as file:
        file.write(line)
    r = json.loads(line)
    if "load" in r:
        sizes[r["load"]] = json.loads((Path(r["model"]) / "config.json").read_text())["vocab_size"]
        say({{"seconds": 1.0}})
    else:
        new = []
        while len(new) < r["tokens"] and not (new and new[-1] in r["eos"]):
            new.append(((new or r["ids"])[-1] + {step}) % sizes[r["generate"]])
        say({{"ids": new, "seconds": 0.5, "passes": 2}})
"""


@pytest.fixture
def fake(tmp_path):
    """fake(...): the path of a "Python" that answers as vLLM's process would; `fake.requests()`: what it was asked."""
    folder = tmp_path / "environment"
    folder.mkdir()

    def make(script=FAKE, step=1):
        path = folder / "python"
        path.write_text(script.format(python=sys.executable, step=step), encoding="utf-8")
        path.chmod(0o755)
        return path
    make.requests = lambda: [json.loads(line) for line in (folder / "requests").read_text("utf-8").splitlines()]
    return make


def test_it_is_compared_like_every_peer(counting, fake):
    pair, cfg = counting(), Cfg(max_new_tokens=6, draft_span=2)
    with VllmPeer(fake(), pair) as vllm:
        table = compare(pair, [PROMPT], cfg, ["greedy", *vllm_peers_of(pair)], 1, others={peer: vllm.generate for peer in VLLM_PEERS})
    assert [row.method for row in table.rows] == ["greedy", "vllm-greedy", "vllm-draft", "vllm-ngram"]
    for row in table.rows[1:]:
        assert row.equal_to_greedy and (row.tokens, row.verifier_calls, row.rates) == (6, 2, [12.0])
    assert [row.drafter_calls for row in table.rows[1:]] == [0, 4, 0] and vllm.versions["vllm"] == "0.0.1"


def test_a_text_that_differs_is_told(counting, fake):
    pair = counting()
    with VllmPeer(fake(step=2), pair) as vllm:
        table = compare(pair, [PROMPT], Cfg(max_new_tokens=6), ["vllm-greedy"], 1, others={"vllm-greedy": vllm.generate})
    assert not table.row("vllm-greedy").equal_to_greedy and "NO" in str(table)


def test_each_way_of_drafting_is_one_engine_loaded_once_with_its_settings(counting, fake):
    pair = counting()
    with VllmPeer(fake(), pair) as vllm:
        for peer, span in (("vllm-greedy", 3), ("vllm-draft", 2), ("vllm-ngram", 5), ("vllm-draft", 4), ("vllm-draft", 2), ("vllm-greedy", 1)):
            vllm.generate(pair, PROMPT, Cfg(max_new_tokens=2, draft_span=span, repetition_penalty=1.5), peer)
    loads = {request["load"]: request for request in fake.requests() if "load" in request}
    assert list(loads) == ["vllm-greedy", "vllm-draft 2", "vllm-ngram 5", "vllm-draft 4"] and len(fake.requests()) == 4 + 6
    assert loads["vllm-greedy"]["speculative"] is None and loads["vllm-greedy"]["context"] == pair.context
    drafting = loads["vllm-draft 4"]["speculative"]
    assert (drafting["method"], drafting["num_speculative_tokens"], Path(drafting["model"]).name) == ("draft_model", 4, "drafter")
    assert loads["vllm-ngram 5"]["speculative"]["num_speculative_tokens"] == 5 and fake.requests()[1]["penalty"] == 1.5


def stands_still(process, patience=5.0):
    """Is `process` stopped, at the latest in a few seconds? On a busy machine a signal takes its time."""
    end = time.monotonic() + patience
    while process.status() != psutil.STATUS_STOPPED and time.monotonic() < end:
        time.sleep(0.01)
    return process.status() == psutil.STATUS_STOPPED


def test_its_process_stands_still_while_nobody_asks_and_is_gone_at_the_end(counting, fake):
    pair = counting()
    with VllmPeer(fake(), pair) as vllm:
        process = psutil.Process(vllm.versions["pid"])
        assert stands_still(process)
        vllm.generate(pair, PROMPT, Cfg(max_new_tokens=2), "vllm-greedy")
        assert stands_still(process)
        folder = Path(fake.requests()[0]["model"])
        assert folder.is_dir()
    assert not process.is_running() and not folder.exists()


def test_it_ends_where_the_verifier_ends(counting, fake):
    pair = counting(eos=9)
    with VllmPeer(fake(), pair) as vllm:
        out = vllm.generate(pair, PROMPT, Cfg(max_new_tokens=8), "vllm-greedy")
    assert out.new_ids == generate(pair, PROMPT, Cfg(max_new_tokens=8), "greedy").new_ids == [8, 9] and out.finish_reason == "eos"


def test_only_peers_that_the_pair_can_serve_are_offered(counting, random_pairs, random_eagle):
    assert vllm_peers_of(counting()) == vllm_peers_of(random_pairs["random"]) == ["vllm-greedy", "vllm-draft", "vllm-ngram"]
    sizes = dict(hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, max_position_embeddings=64, vocab_size=29)
    verifier = LlamaForCausalLM(LlamaConfig(**sizes))
    assert vllm_peers_of(ModelPair(None, verifier, eagle=random_eagle(layers=(0, 1)))) == ["vllm-greedy", "vllm-ngram", "vllm-eagle"]
    assert vllm_peers_of(ModelPair(None, verifier, eagle=random_eagle(layers=(0, 2)))) == ["vllm-greedy", "vllm-ngram"]


def test_what_it_cannot_do_is_one_sentence(counting, fake):
    pair = counting()
    with VllmPeer(fake(), pair) as vllm:
        with pytest.raises(ValueError, match="vLLM does not serve 'vllm-eagle' on this pair: use one of"):
            vllm.generate(pair, PROMPT, Cfg(), "vllm-eagle")
        with pytest.raises(ValueError, match="vLLM does not serve 'vllm-greedy' on this pair"):
            vllm.generate(counting(), PROMPT, Cfg(), "vllm-greedy")
        with pytest.raises(ValueError, match="vLLM has no NoRepeatNGramLogitsProcessor: compare it without that setting"):
            vllm.generate(pair, PROMPT, Cfg(no_repeat_ngram_size=2), "vllm-greedy")
        with pytest.raises(ValueError, match="Peers are compared by their greedy output"):
            compare(pair, [PROMPT], Cfg(do_sample=True), ["vllm-greedy"], 1, others={"vllm-greedy": vllm.generate})


@pytest.mark.parametrize("script, message", [
    ("#!{python}\nimport sys\nsys.exit('Illegal instruction')\n", "vLLM's process gave no answer: Illegal instruction"),
    ("#!{python}\n", "vLLM's process gave no answer: it said nothing"),
    ("#!{python}\nprint('{{\"error\": \"python cannot import vLLM: no module\"}}', flush=True)\n", "python cannot import vLLM: no module"),
    (FAKE.replace("if \"load\" in r:", "if \"load\" in r:\n        sys.exit('killed')"), "vLLM's process gave no answer: killed")])
def test_an_environment_without_vllm_is_one_sentence(counting, fake, script, message):
    pair = counting()
    with pytest.raises(RuntimeError) as raised, VllmPeer(fake(script), pair) as vllm:
        vllm.generate(pair, PROMPT, Cfg(), "vllm-greedy")
    assert str(raised.value) == message


def test_a_path_that_is_no_python_is_one_sentence(counting, capsys):
    with pytest.raises(OSError, match="There is no Python at /no/such/python: give that of an environment with vLLM's CPU build"):
        VllmPeer("/no/such/python", counting())


def test_the_real_worker_says_that_vllm_is_missing(counting, monkeypatch):
    empty = "import sys; sys.modules['vllm'] = None; exec(open(sys.argv[1]).read())"
    from specdec_utils.measure import vllm
    started = vllm.subprocess.Popen
    monkeypatch.setattr(vllm.subprocess, "Popen", lambda command, **options: started([command[0], "-c", empty, command[2]], **options))
    with pytest.raises(RuntimeError, match="cannot import vLLM"):
        VllmPeer(sys.executable, counting())


def test_bench_measures_it_where_it_is_asked_for(counting, byte_tokenizer, fake, tmp_path, monkeypatch, capsys):
    pair = counting(size=len(byte_tokenizer), tokenizer=byte_tokenizer)
    monkeypatch.setattr("specdec_utils.shell.bench.load_pair", lambda name: pair)
    prompts, tuning, numbers = (tmp_path / name for name in ("prompts.txt", "tuning.txt", "out.json"))
    prompts.write_text("hello\nworld\n", encoding="utf-8")
    tuning.write_text("abc\nxyz\n", encoding="utf-8")
    arguments = ["bench", "--prompts", str(prompts), "--tune-on", str(tuning), "--tokens", "3", "--repeats", "1", "--json", str(numbers)]
    assert main([*arguments, "--methods", "lookup,vllm-greedy,vllm-draft,vllm-ngram", "--vllm", str(fake())]) == 0
    out, data = capsys.readouterr().out, json.loads(numbers.read_text(encoding="utf-8"))
    assert [row["method"] for row in data["rows"]] == ["greedy", "lookup", "vllm-greedy", "vllm-draft", "vllm-ngram"]
    assert all(row["equal_to_greedy"] for row in data["rows"])
    assert "lookup over vLLM greedy (vllm-greedy)" in out and "lookup over vLLM's best speculative mode (vllm-" in out
    assert out.rstrip().endswith("vLLM 0.0.1") and data["machine"]["vllm"] == "0.0.1"
    assert data["tuning"]["chosen"]["vllm-draft"]["draft_span"] in (2, 3, 4, 5) and set(data["predicted"]) == {"greedy", "lookup"}
    tested = [request["ids"] for request in fake.requests() if request.get("generate") == "vllm-draft 5"]
    assert byte_tokenizer("abc")["input_ids"] in tested  # settings were chosen on other prompts
    assert main([*arguments, "--methods", "vllm-greedy"]) == 2
    assert "There is no method 'vllm-greedy'" in capsys.readouterr().err


@pytest.mark.skipif(VLLM is None, reason="SPECDEC_VLLM does not name the Python of an environment with vLLM")
def test_the_real_one_writes_greedys_text_with_one_engine_after_another(stories):
    """Three engines in one process, two of which look up n-grams: what the first of them leaves there must not stop the next one."""
    cfg = Cfg(max_new_tokens=12)
    wanted = generate(stories, PROMPT, cfg, "greedy").new_ids
    with VllmPeer(VLLM, stories) as vllm:
        for peer, span in (("vllm-ngram", 2), ("vllm-ngram", 3), ("vllm-draft", 3)):
            run = vllm.generate(stories, PROMPT, replace(cfg, draft_span=span), peer)
            assert run.new_ids == wanted and (peer != "vllm-draft" or run.verifier_calls < 12)
