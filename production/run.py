"""From the course to an engine: serve a pair with vLLM over HTTP, ask it with the `openai` client, and compare with our own run.

    python production/run.py

makes an environment with vLLM's CPU build (once, production/requirements.txt), exports the pair, starts vLLM's server on it, first
alone and then with our drafter, sends prompts, and checks that each text is ours and that vLLM's own count of accepted tokens by
position, from its /metrics, is ours within 0.05. It prints tokens a second beside ours; `--record FILE` keeps all of it with command,
versions and machine. Linux, Python 3.11 or newer.
"""
import argparse
import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import torch

from specdec_utils import Cfg, Generation, ModelPair, acceptance_by_position, export, generate, load_pair
from specdec_utils.models.export import DRAFTS, served_name, vllm_settings
from specdec_utils.run.machine import machine_facts, machine_line
from specdec_utils.text.chat_prompts import CHAT_PROMPTS
from specdec_utils.text.prompts import OPENINGS, prompts_for
from specdec_utils.text.tokens import those_that_fit

HERE = Path(__file__).parent
METHODS = {"eagle": "eagle", "drafter": "tree", "lookup": "lookup"}  # the export's way of drafting -> our method
CPU = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
SERVER = ("-m", "vllm.entrypoints.openai.api_server", "--model")  # what `vllm serve` starts: the CPU wheel's own `vllm` finds no version
TOLERANCE = 0.05  # between two shares of accepted drafts
ROUNDS = 3  # of all prompts; the fastest counts, since others may use the machine as well
STARTING = 600  # seconds that the server may take


def make_environment(folder: Path) -> Path:
    """The Python of an environment with vLLM's CPU build in `folder`, made if it is not there: some 2 GB, a few minutes."""
    python = folder / "bin" / "python"
    if subprocess.run([python, "-c", "import vllm, openai"], capture_output=True).returncode if python.exists() else True:
        print(f"+ making {folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        torch_pin = next(line for line in (HERE / "requirements.txt").read_text("utf-8").splitlines() if line.startswith("torch=="))
        if subprocess.run([*pip, torch_pin], capture_output=True).returncode:  # PyPI has the CUDA build alone
            subprocess.run([*pip, torch_pin, "--index-url", "https://download.pytorch.org/whl/cpu"], check=True)
        subprocess.run([*pip, "-r", HERE / "requirements.txt"], check=True)
    return python


@contextmanager
def serving(python: Path, command: str, folder: Path, threads: int):
    """The address of the server that `command` starts in `folder`, on a free port of this machine; ended with its children."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    words = [python, *SERVER, *shlex.split(command)[2:], "--host", "127.0.0.1", "--port", address.rpartition(":")[2]]
    log = folder / "server.log"
    with log.open("w") as said:
        server = subprocess.Popen(words, cwd=folder, env=os.environ | CPU | {"OMP_NUM_THREADS": str(threads)}, stdout=said, stderr=said,
                                  start_new_session=True)
    try:
        for _ in range(STARTING):
            if server.poll() is not None:
                break
            try:
                urllib.request.urlopen(f"{address}/health", timeout=5).close()
                break
            except OSError:
                time.sleep(1)
        if server.poll() is not None:
            raise subprocess.CalledProcessError(server.returncode, words)
        yield address
    except subprocess.CalledProcessError as error:  # the server or the client
        said = log.read_text(errors="replace").splitlines()
        faults = [line for line in said if re.search(r"\b\w*Error\b: ", line)] or said[-30:]
        raise RuntimeError("vLLM did not serve; it said:\n" + "\n".join(faults)[:3000]) from error
    finally:
        try:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def counters(address: str) -> tuple[float, dict[int, float]]:
    """vLLM's own counts since it started: drafts, and at each place of a draft the tokens accepted there."""
    text = urllib.request.urlopen(f"{address}/metrics", timeout=30).read().decode()
    drafts = sum(float(n) for n in re.findall(r"^vllm:spec_decode_num_drafts_total\{.*\} (\S+)$", text, re.MULTILINE))
    places = re.findall(r'^vllm:spec_decode_num_accepted_tokens_per_pos_total\{.*position="(\d+)".*\} (\S+)$', text, re.MULTILINE)
    return drafts, {int(place): float(n) for place, n in places}


def served(python: Path, command: str, folder: Path, pair: ModelPair, prompts: list, cfg: Cfg, at_once: list[int], threads: int) -> dict:
    """vLLM on `prompts`: texts, tokens a second with so many requests at once (the fastest of `ROUNDS` rounds), and where it drafts
    `cfg.draft_span` tokens, acceptance by position."""
    with serving(python, f"{command} --enforce-eager --max-num-seqs {max(at_once)}", folder, threads) as address:
        def ask(some: list, many: int) -> dict:
            wanted = json.dumps({"prompts": some, "tokens": cfg.max_new_tokens, "at_once": many})
            done = subprocess.run([python, HERE / "client.py", f"{address}/v1", served_name(pair)], input=wanted, stdout=subprocess.PIPE,
                                  text=True, check=True)
            return json.loads(done.stdout)

        ask(prompts[:max(at_once)], max(at_once))  # the first requests warm the server up
        drafts, kept = counters(address)
        rounds = {many: [ask(prompts, many) for _ in range(ROUNDS)] for many in at_once}
        all_drafts, all_kept = counters(address)
    found = {"texts": rounds[at_once[0]][0]["texts"],
             "rates": {str(many): max(reply["tokens"] / reply["seconds"] for reply in replies) for many, replies in rounds.items()}}
    if all_drafts > drafts:
        found["acceptance"] = [(all_kept.get(place, 0) - kept.get(place, 0)) / (all_drafts - drafts) for place in range(cfg.draft_span)]
    return found


def earliest_match(ids: list[int], span: int) -> list[int]:
    """vLLM's lookup: what followed the last three tokens of `ids`, else the last two, where they stand first. (Ours takes the latest.)"""
    for size in (3, 2):
        for end in range(size, len(ids)):
            if ids[end - size:end] == ids[-size:]:
                return ids[end:end + span]
    return []


def looked_up(run: Generation, tokens: int, span: int) -> list[int]:
    """How many tokens of each of vLLM's lookup drafts are right on the first `tokens` that `run` wrote."""
    text, at, kept = run.prompt_ids + run.new_ids, len(run.prompt_ids), []
    while at < min(len(run.prompt_ids) + tokens, len(text)):
        draft = earliest_match(text[:at], span)
        right = len([*takewhile(bool, (a == b for a, b in zip(draft, text[at:])))])
        kept += [right] if draft else []
        at += right + 1
    return kept


def own_acceptance(pair: ModelPair, draft: str, runs: list[Generation], tokens: int, span: int) -> list[float]:
    """Our acceptance by position of the very drafts that vLLM makes on these texts: its first one stands behind its first token (ours too
    with eagle, else behind the prompt), and those at a text's end are as long as all. Its lookup finds other matches than ours: they
    are counted on our text."""
    given = 0 if draft == "eagle" else 1
    cfg = Cfg(max_new_tokens=tokens - given + span, topk_branch=1, draft_span=span, text_pieces=False)
    begun = [run.prompt_ids + run.new_ids[:given] for run in runs if len(run.new_ids) > 1]
    again = [generate(pair, torch.tensor([ids]), cfg, METHODS[draft]) for ids in begun]
    if draft == "lookup":
        kept = [right for run in again for right in looked_up(run, tokens - given, span)]
        return [sum(right > place for right in kept) / max(len(kept), 1) for place in range(span)]
    cut = [replace(run, steps=[step for step in run.steps if step.context < len(run.prompt_ids) + tokens - given]) for run in again]
    return acceptance_by_position(cut, span)


def ours(pair: ModelPair, prompts: list, cfg: Cfg, draft: str | None) -> dict:
    """The same from our engine: greedy (`draft` None), or with the same drafter, its own pieces alone, and chains of the same length."""
    method = METHODS[draft] if draft else "greedy"
    generate(pair, prompts[0], cfg, method)
    rounds = [[generate(pair, prompt, cfg, method) for prompt in prompts] for _ in range(ROUNDS)]
    runs = rounds[0]
    found = {"texts": [pair.tokenizer.decode(run.new_ids, skip_special_tokens=True) for run in runs],
             "rates": {"1": max(sum(len(run.new_ids) for run in part) / sum(run.seconds for run in part) for part in rounds)}}
    return found | ({"acceptance": own_acceptance(pair, draft, runs, cfg.max_new_tokens, cfg.draft_span)} if draft else {})


def shares(values: list[float]) -> str:
    return " ".join(f"{share:.3f}" for share in values)


def report(span: int, own: dict, engine: dict) -> tuple[list[str], bool]:
    """(one run of both beside one another, in lines, whether texts and acceptance agree)."""
    same = [a == b for a, b in zip(own["texts"], engine["texts"], strict=True)]
    rates = ", ".join(f"{rate:.1f} with {many} at once" for many, rate in engine["rates"].items())
    lines = [f"{f'{span} tokens a draft' if span else 'greedy'}: {sum(same)} of {len(same)} texts are ours, token for token; "
             f"tokens a second: vLLM over HTTP {rates}; ours {own['rates']['1']:.1f}"]
    lines += [f"  text {i} differs:\n    ours {own['texts'][i]!r}\n    vLLM {engine['texts'][i]!r}" for i, ok in enumerate(same) if not ok]
    ours, theirs = (run.get("acceptance", [0.0] * span) for run in (own, engine))
    apart = max((abs(a - b) for a, b in zip(ours, theirs, strict=True)), default=0.0)
    if span:
        lines.append(f"  accepted by position: vLLM {shares(theirs)}; ours {shares(ours)}; at most {apart:.3f} apart")
    return lines, all(same) and apart <= TOLERANCE


def main() -> int:
    """Run as `--help` says; 0 if all agree."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pair", default="stories", help="as load_pair takes it (default: stories)")
    parser.add_argument("--draft", choices=DRAFTS, help="how to draft (default: the first that vLLM and the pair share)")
    parser.add_argument("--span", type=int, nargs="+", default=[4], help="tokens in a draft, one server for each number (default 4)")
    parser.add_argument("--count", type=int, default=8, help="prompts (default 8)")
    parser.add_argument("--tokens", type=int, default=64, help="new tokens each (default 64)")
    parser.add_argument("--at-once", type=int, nargs="+", default=[1], help="requests under way at a time, one run for each (default 1)")
    parser.add_argument("--threads", type=int, default=2, help="threads for both (default 2)")
    parser.add_argument("--environment", type=Path, default=HERE.parent / ".venv-vllm", help="where vLLM is or goes (default: .venv-vllm)")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the result to FILE as JSON")
    args = parser.parse_args()
    python = make_environment(args.environment.absolute())
    torch.set_num_threads(args.threads)
    pair = load_pair(args.pair, device="cpu")
    room = args.tokens + max(args.span)
    prompts = those_that_fit(pair, prompts_for(pair, OPENINGS, CHAT_PROMPTS, room), room)[:args.count]
    cfg, found, agreed = Cfg(max_new_tokens=args.tokens, topk_branch=1, text_pieces=False), {"ours": {}, "vllm": {}}, True
    with tempfile.TemporaryDirectory() as folder:
        made = export(pair, Path(folder) / "export", "vllm", args.draft, args.span[-1])
        alone, option, _ = made.command.partition(" --speculative-config ")
        for span in (0, *args.span):  # 0: no draft
            cfg = replace(cfg, draft_span=span or cfg.draft_span)
            command = alone + option + shlex.quote(json.dumps(vllm_settings(made.draft, span))) if span else alone
            own = ours(pair, prompts, cfg, made.draft if span else None)
            engine = served(python, command, Path(folder) / "export", pair, prompts, cfg, args.at_once, args.threads)
            lines, same = report(span, own, engine)
            print(f"+ {command}", *lines, sep="\n", flush=True)
            found["ours"][str(span)], found["vllm"][str(span)], agreed = own, engine, agreed and same
    facts = machine_facts(pair) | json.loads(subprocess.run(
        [python, "-c", "import json, openai, vllm; print(json.dumps({'vllm': vllm.__version__, 'openai': openai.__version__}))"],
        stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1])
    print(f"{'all agree' if agreed else 'they DIFFER'}: {len(prompts)} prompts x {args.tokens} tokens, {made.draft}, "
          f"on {machine_line(facts)}; vLLM {facts['vllm']}, openai {facts['openai']}, torch {facts['torch']}")
    if args.record:
        command = ["python", "production/run.py", "--pair", args.pair, "--draft", made.draft, "--span", *args.span, "--count", len(prompts),
                   "--tokens", args.tokens, "--at-once", *args.at_once, "--threads", args.threads]
        kept = {"command": shlex.join(map(str, command)), "server": made.command, "draft": made.draft,
                "tokens": args.tokens, "prompts": prompts, "agreed": agreed, **found, "machine": facts}
        args.record.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return 0 if agreed else 1


if __name__ == "__main__":
    raise SystemExit(main())
