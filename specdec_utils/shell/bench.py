"""`python -m specdec_utils bench`: every method and `transformers`' own in one run, the cost model's prediction beside them."""
import argparse
import json
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import torch

from ..measure.benchmark import Comparison, compare
from ..measure.suite import bench_arms, bench_labels, bench_timer, context_growth, kind_lines, predictions, ratio_lines
from ..measure.vllm import VllmPeer, vllm_peers_of
from ..models.load import PAIRS, load_pair
from ..models.pair import ModelPair
from ..run.machine import machine_line
from ..show.style import comparison_figure
from ..text.chat_prompts import CHAT_PROMPTS, CHAT_TUNING, as_chats, in_turn
from ..text.config import Cfg
from ..text.prompts import OPENINGS, TUNING, prompts_for, read_prompts
from ..text.tokens import Prompt, takes_chats


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m specdec_utils bench", description=__doc__.split(": ", 1)[1])
    parser.add_argument("--pair", help=f"one of {', '.join(PAIRS)}, or DRAFTER,VERIFIER (default: stories)")
    parser.add_argument("--prompts", type=Path, metavar="FILE", help="one prompt a line, for a chat model a user's message "
                        "(default: 32 openings of stories; for a chat model 24 messages of four kinds)")
    parser.add_argument("--tune-on", type=Path, metavar="FILE", help="other prompts, on which settings are chosen (default: 6 openings or "
                        "8 messages)")
    parser.add_argument("--count", type=int, default=len(OPENINGS), help="how many of the prompts at most (default: 32)")
    parser.add_argument("--tokens", type=int, default=128, help="new tokens a run (default 128)")
    parser.add_argument("--methods", help="comma-separated labels, methods or peers (default: all)")
    parser.add_argument("--repeats", type=int, default=2, help="runs of each method on each prompt (default 2)")
    parser.add_argument("--threads", type=int, default=1, help="torch threads (default 1)")
    parser.add_argument("--vllm", type=Path, metavar="PYTHON", help="measure vLLM's CPU build too: the Python of its environment")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured to FILE")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="write a picture of the speeds to FILE (PNG)")
    return parser


def _check(args: argparse.Namespace) -> None:
    for name in ("count", "repeats", "threads"):
        if getattr(args, name) < 1:
            raise ValueError(f"--{name} {getattr(args, name)} is not usable: it must be at least 1.")
    for path in (args.json, args.figure):
        if path is not None and (path.is_dir() or not path.resolve().parent.is_dir()):
            raise ValueError(f"{path} cannot be written: name a file in a folder that exists.")


def _prompts(pair: ModelPair, file: Path | None, openings: tuple[str, ...], chats: dict[str, tuple[str, ...]], tokens: int) -> list[Prompt]:
    """Those in `file`, for a model that takes chats users' messages; or ours."""
    if file is None:
        return prompts_for(pair, openings, chats, tokens)
    texts = read_prompts(file)
    return as_chats(texts) if takes_chats(pair) else texts


def _settings_lines(table: Comparison) -> list[str]:
    """The settings of each arm, for the eye."""
    arms = {label: {name: value for name, value in arm.items() if name != "method"} for label, arm in table.settings["arms"].items()}
    return [f"  {label:18} " + ", ".join(f"{name} {value}" for name, value in own.items()) for label, own in arms.items() if own]


def main(argv: list[str]) -> int:
    """Parse `argv`, choose settings, run, print, write. Raises ValueError and the like for input that cannot be used."""
    args = _parser().parse_args(argv)
    _check(args)
    torch.set_num_threads(args.threads)
    cfg, pair = Cfg(max_new_tokens=args.tokens), load_pair(args.pair)
    prompts = _prompts(pair, args.prompts, OPENINGS, CHAT_PROMPTS, args.tokens)[:args.count]
    tuning_prompts = _prompts(pair, args.tune_on, TUNING, CHAT_TUNING, args.tokens)
    wanted = None if args.methods is None else [name.strip() for name in args.methods.split(",")]
    bench_labels(pair, cfg, wanted, vllm_peers_of(pair) if args.vllm else ())
    with VllmPeer(args.vllm, pair) if args.vllm else nullcontext() as vllm:
        others = {peer: vllm.generate for peer in vllm_peers_of(pair)} if vllm else {}
        arms, tuning = bench_arms(pair, tuning_prompts, prompts, cfg, wanted, progress=True, others=others)
        timer = bench_timer(pair, tuning_prompts, prompts, arms, cfg)
        table = compare(pair, prompts, cfg, arms, args.repeats, "measuring", timer.spread(args.repeats * len(prompts)),
                        others)
    times = timer.fit()
    predicted, growth = predictions(table, times), {}
    if pair.context >= 475:
        growth = {"lean": context_growth(pair), "transformers": context_growth(pair, lean=False)}
    print(table, "", *ratio_lines(table), sep="\n")
    if args.prompts is None and not isinstance(prompts[0], str):
        kinds = [in_turn(CHAT_PROMPTS)[message["content"]] for message, in prompts]
        print("\nby kind of prompt, x greedy, median over its prompts", *(f"  {line}" for line in kind_lines(table, kinds)), sep="\n")
    print(f"\nsettings, chosen on {tuning.prompts} other prompts on this machine where a method has any", *_settings_lines(table), sep="\n")
    print("\npredicted / measured speed over greedy, median over prompts with its 95 % interval")
    for label, (low, guess, high) in predicted.items():
        row = table.row(label)
        measured = row.speedup[1]
        print(f"  {label:18} {guess:.2f} ({low:.2f} to {high:.2f}) / {measured:.2f} ({row.interval[0]:.2f} to {row.interval[1]:.2f}): "
              f"{guess / measured - 1:+.0%}")
    for name, ratio in growth.items():
        print(f"time of a token after 450 tokens over that after 50, {name}: {ratio:.2f}")
    facts = table.machine | (vllm.versions if vllm else {})
    print(f"\n{len(prompts)} prompts x {args.tokens} tokens x {args.repeats} repeats on {machine_line(facts)}; torch {facts['torch']}, "
          f"transformers {facts['transformers']}, Python {facts['python']}" + (f"; vLLM {facts['vllm']}" if vllm else ""))
    if args.json is not None:
        data = json.loads(table.to_json()) | {"machine": facts, "predicted": predicted, "tuning": asdict(tuning),
                                              "pass_times": asdict(times), "context_growth": growth}
        args.json.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
    if args.figure is not None:
        args.figure.write_bytes(comparison_figure(table, predicted, machine_line(facts)).png)
    return 0
