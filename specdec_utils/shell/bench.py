"""`python -m specdec_utils bench`: every method and `transformers`' own in one run, the cost model's prediction beside them."""
import argparse
import json
from pathlib import Path

import torch

from ..measure.benchmark import compare
from ..measure.suite import bench_arms, context_growth, predictions, ratio_lines
from ..models.load import PAIRS, load_pair
from ..show.style import comparison_figure
from ..text.config import Cfg
from ..text.prompts import OPENINGS


def main(argv: list[str]) -> int:
    """Parse `argv`, run, print, write. Raises ValueError and the like for input that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m specdec_utils bench", description=__doc__.split(": ", 1)[1])
    parser.add_argument("--pair", help=f"one of {', '.join(PAIRS)}, or DRAFTER,VERIFIER (default: stories)")
    parser.add_argument("--prompts", type=Path, metavar="FILE", help="one prompt a line (default: 32 openings of stories)")
    parser.add_argument("--count", type=int, default=len(OPENINGS), help="how many of the prompts (default: 32)")
    parser.add_argument("--tokens", type=int, default=128, help="new tokens a run (default 128)")
    parser.add_argument("--methods", help="comma-separated labels, methods or peers (default: all)")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="torch threads (default 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything measured to FILE")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="write a picture of the speeds to FILE (PNG)")
    args = parser.parse_args(argv)
    for path in (args.json, args.figure):
        if path is not None and (path.is_dir() or not path.resolve().parent.is_dir()):
            raise ValueError(f"{path} cannot be written: name a file in a folder that exists.")
    torch.set_num_threads(args.threads)
    cfg = Cfg(max_new_tokens=args.tokens)
    lines = OPENINGS if args.prompts is None else args.prompts.read_text(encoding="utf-8").splitlines()
    prompts = [line for line in lines if line.strip()][:args.count]
    pair = load_pair(args.pair)
    wanted = None if args.methods is None else [name.strip() for name in args.methods.split(",")]
    arms = {"greedy": ("greedy", cfg)} | bench_arms(pair, cfg, wanted)
    table = compare(pair, prompts, cfg, arms, args.repeats, progress=True)
    predicted, growth = predictions(pair, table, arms), {}
    if pair.context >= 475:
        growth = {"lean": context_growth(pair), "transformers": context_growth(pair, lean=False)}
    print(table, "", *ratio_lines(table), sep="\n")
    print("\npredicted / measured speed over greedy")
    for label, guess in predicted.items():
        print(f"  {label:18} {guess:.2f} / {table.row(label).speedup[1]:.2f} ({guess / table.row(label).speedup[1] - 1:+.0%})")
    for name, ratio in growth.items():
        print(f"time of a token behind 450 tokens over that behind 50, {name}: {ratio:.2f}")
    facts = table.machine
    print(f"\n{len(prompts)} prompts x {args.tokens} tokens x {args.repeats} repeats; {facts['threads']} thread(s), {facts['dtype']} on "
          f"{facts['device']}, torch {facts['torch']}, transformers {facts['transformers']}, Python {facts['python']}")
    if args.json is not None:
        args.json.write_text(json.dumps(json.loads(table.to_json()) | {"predicted": predicted, "context_growth": growth}, indent=2)
                             + "\n", encoding="utf-8")
    if args.figure is not None:
        args.figure.write_bytes(comparison_figure(table, predicted).png)
    return 0
