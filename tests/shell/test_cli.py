import json
import os
import subprocess
import sys

import pytest

from specdec_utils import calibrate, compare
from specdec_utils.__main__ import main
from specdec_utils.shell import bench
from specdec_utils.text.chat_prompts import CHAT_PROMPTS


@pytest.fixture
def pair(saved_models):
    """The name of a tiny pair on disk."""
    return ",".join(map(str, saved_models))


def test_shows_text_branches_and_table(pair, capsys):
    assert main(["--pair", pair, "--prompt", "hello", "--tokens", "5", "--repeats", "1"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("ModelPair(") and "medusa_lite: hello" in out
    assert "step 1, after 5 tokens" in out and "score" in out and "added" in out
    assert [line.split()[0] for line in out.splitlines() if line.endswith("yes")] == [
        "greedy", "medusa_lite", "one_pass", "tree", "lookup", "auto"]
    assert "1 prompts x 5 tokens x 1 repeats, 1 thread(s), float32 on cpu" in out


def test_three_prompts_when_none_is_given_and_greedy_alone_if_asked(pair, capsys):
    assert main(["--pair", pair, "--methods", " greedy ,", "--tokens", "2", "--repeats", "1"]) == 0
    out = capsys.readouterr().out
    assert "3 prompts x 2 tokens" in out and "medusa_lite" not in out


def test_accepted_and_refused_tokens_are_marked(counting):
    import torch

    from specdec_utils import Cfg, generate
    from specdec_utils.shell.demo import branch_lines
    pair = counting(draft=lambda token: token + (2 if token == 6 else 1), sharpness=9.0)
    lines = branch_lines(pair, generate(pair, torch.tensor([[5]]), Cfg(max_new_tokens=4, draft_span=3, topk_branch=1)), steps=1)
    assert [line.split() for line in lines] == [["step", "1,", "after", "1", "tokens"],
                                                ["*", "score", "0", "+'<6>'", "-'<8>'", "'<9>'"], ["added", "'<6>'", "'<7>'"]]


@pytest.mark.parametrize("arguments, message", [
    (["--tokens", "0"], "max_new_tokens=0 is not usable"), (["--branches", "0"], "topk_branch=0"),
    (["--span", "0"], "draft_span=0"),
    (["--repeats", "0"], "repeats=0 is not usable"), (["--methods", "magic"], "There is no method 'magic'"),
    (["--methods", ""], "There is no method"), (["--prompt", ""], "The prompt is empty"), (["--threads", "0"], "positive"),
    (["--prompt", "x" * 64], "fills the context"), (["--json", "/no/such/folder/out.json"], "cannot be written"), (["--json", "."], "cannot be written")])
def test_bad_argument_is_one_sentence_and_exit_code_2(pair, capsys, arguments, message):
    assert main(["--pair", pair, "--tokens", "2", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and "Traceback" not in error and error.count("\n") == 1


def test_unknown_pair_is_one_sentence_and_exit_code_2(capsys):
    assert main(["--pair", "nonsense"]) == 2
    assert capsys.readouterr().err.startswith("error: There is no pair 'nonsense': use one of")


@pytest.mark.parametrize("command", [[], ["bench"]])
def test_device_that_is_not_there_is_one_sentence_and_exit_code_2(monkeypatch, capsys, command):
    monkeypatch.setenv("SPECDEC_DEVICE", "nonsense")
    assert main(command) == 2
    assert capsys.readouterr().err.startswith("error: Device 'nonsense' is not on this machine; use one of ['")


def test_shell_run_writes_json(pair, tmp_path):
    target = tmp_path / "out.json"
    env = {**os.environ, "SPECDEC_PAIR": pair, "SPECDEC_DEVICE": "cpu", "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-m", "specdec_utils", "--tokens", "3", "--repeats", "1", "--json", str(target)],
                          env=env, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    data = json.loads(target.read_text(encoding="utf-8"))
    assert {row["method"]: row["tokens"] for row in data["rows"]} == dict.fromkeys(["greedy", "medusa_lite", "one_pass", "tree", "lookup", "auto"], 9)
    assert data["settings"]["max_new_tokens"] == 3 and data["machine"]["pair"] == pair


def test_bench_compares_methods_and_peers_and_writes_json_and_picture(pair, tmp_path, capsys):
    prompts, tuning, numbers, picture = (tmp_path / name for name in ("prompts.txt", "tuning.txt", "out.json", "out.png"))
    prompts.write_text("hello\n\nworld\nagain\n", encoding="utf-8")
    tuning.write_text("abc\nxyz\n", encoding="utf-8")
    arguments = ["--pair", pair, "--prompts", str(prompts), "--tune-on", str(tuning), "--count", "2", "--tokens", "4", "--repeats", "1",
                 "--methods", "tree,lookup,hf-greedy,hf-assisted,hf-lookup", "--json", str(numbers), "--figure", str(picture)]
    assert main(["bench", *arguments]) == 0
    out, data = capsys.readouterr().out, json.loads(numbers.read_text(encoding="utf-8"))
    labels = [row["method"] for row in data["rows"]]
    assert labels == ["greedy", "tree k=1", "tree", "tree + lookup", "lookup", "hf-greedy", "hf-assisted", "hf-lookup", "hf-lookup tuned"]
    assert all(row["tokens"] == 8 and row["equal_to_greedy"] for row in data["rows"])
    assert set(data["predicted"]) == {"greedy", "tree k=1", "tree", "tree + lookup", "lookup"} and data["predicted"]["greedy"] == [1, 1, 1]
    assert all(low <= middle <= high for low, middle, high in data["predicted"].values())
    assert data["settings"]["arms"]["tree k=1"]["topk_branch"] == 1 and data["machine"]["threads"] == 1 and data["machine"]["processor"] in out
    assert data["settings"]["arms"]["lookup"].get("draft_span", 3) == data["tuning"]["chosen"]["lookup"]["draft_span"]
    assert "chosen on 2 other prompts" in out and "slower than greedy on this machine:" in out
    assert "over greedy with the same forward pass" in out and "over transformers prompt lookup at its best" in out
    assert "2 prompts x 4 tokens x 1 repeats on " in out and "1 thread, float32 on cpu; torch" in out
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_bench_asks_a_chat_model_our_messages_and_says_what_is_fastest_on_which_kind(counting, byte_tokenizer, monkeypatch, capsys):
    monkeypatch.setattr(byte_tokenizer, "chat_template", "{% for message in messages %}{{ message['content'] }}?{% endfor %}")
    pair, asked = counting(size=len(byte_tokenizer), context=1024, tokenizer=byte_tokenizer), []
    monkeypatch.setattr(bench, "load_pair", lambda name: pair)
    monkeypatch.setattr(bench, "compare", lambda pair, prompts, *rest: asked.extend(prompts) or compare(pair, prompts, *rest))
    assert main(["bench", "--count", "6", "--tokens", "2", "--repeats", "1", "--methods", "lookup"]) == 0
    assert asked == [[{"role": "user", "content": text}] for text in
                     (*(part[0] for part in CHAT_PROMPTS.values()), CHAT_PROMPTS["story"][1], CHAT_PROMPTS["question"][1])]
    lines = capsys.readouterr().out.splitlines()
    at = lines.index("by kind of prompt, x greedy, median over its prompts")
    assert [line.split(":")[0].strip() for line in lines[at + 1:at + 5]] == list(CHAT_PROMPTS)
    assert all("greedy 1.00" in line and "lookup " in line for line in lines[at + 1:at + 5])


def test_a_chat_model_with_too_small_a_context_for_our_messages_is_measured_on_openings(counting, byte_tokenizer, monkeypatch, capsys):
    monkeypatch.setattr(byte_tokenizer, "chat_template", "{% for message in messages %}{{ message['content'] }}?{% endfor %}")
    pair = counting(size=len(byte_tokenizer), context=50, tokenizer=byte_tokenizer, eagle=True)
    monkeypatch.setattr(bench, "load_pair", lambda name: pair)
    assert main(["bench", "--count", "2", "--tokens", "2", "--repeats", "1", "--methods", "lookup"]) == 0
    assert "by kind of prompt" not in capsys.readouterr().out
    assert calibrate(pair, progress=False).judged["eagle"]


@pytest.mark.parametrize("arguments, message", [
    (["--methods", "magic"], "There is no method 'magic'"), (["--tokens", "0"], "max_new_tokens=0"), (["--count", "0"], "--count 0 is not usable: it must be at least 1"),
    (["--threads", "0"], "--threads 0 is not usable: it must be at least 1"), (["--repeats", "-1"], "--repeats -1 is not usable"),
    (["--prompts", "."], "cannot be read as text"), (["--tune-on", "/no/such/file"], "There is no file /no/such/file"),
    (["--json", "/no/such/folder/out.json"], "cannot be written"), (["--prompts", "/no/such/file"], "There is no file /no/such/file: name a text file")])
def test_bad_bench_argument_is_one_sentence_and_exit_code_2(pair, capsys, arguments, message):
    assert main(["bench", "--pair", pair, "--tokens", "2", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1


def test_export_writes_the_folder_and_prints_its_command(pair, tmp_path, capsys):
    assert main(["export", str(tmp_path / "out"), "--pair", pair, "--engine", "vllm", "--span", "2"]) == 0
    out = capsys.readouterr().out
    assert "drafts with 'drafter'; checked against vllm" in out and '"num_speculative_tokens": 2' in out.splitlines()[-1]
    assert out.splitlines()[-1] == json.loads((tmp_path / "out" / "export.json").read_text("utf-8"))["command"]


@pytest.mark.parametrize("arguments, message", [
    (["--engine", "magic"], "There is no engine 'magic'"), (["--draft", "magic"], "There is no way of drafting 'magic'"),
    (["--draft", "eagle"], "vllm cannot draft with 'eagle' here"), (["--span", "0"], "span=0 is not usable")])
def test_bad_export_argument_is_one_sentence_and_exit_code_2(pair, tmp_path, capsys, arguments, message):
    assert main(["export", str(tmp_path / "out"), "--pair", pair, *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and message in error and error.count("\n") == 1
