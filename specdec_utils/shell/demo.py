"""`python -m specdec_utils`: generate, show the branches of the first steps, then the A/B table."""
import argparse
from pathlib import Path

import torch

from ..decode.advance import generate
from ..decode.methods import METHODS, methods_of
from ..measure.benchmark import compare
from ..models.load import PAIRS, load_pair
from ..text.config import Cfg
from ..text.prompts import OPENINGS
from ..text.tokens import decode_token

PROMPTS = OPENINGS[:3]


def branch_lines(pair, generation, steps: int = 3) -> list[str]:
    """The branches of the first steps as text: accepted tokens marked +, the first rejected one -, unchecked ones as they are."""
    lines = []
    for number, step in enumerate(generation.steps[:steps], 1):
        lines.append(f"step {number}, after {step.context} tokens")
        for i, branch in enumerate(step.branches):
            marks = ["+"] * branch.accepted + ["-"] * branch.mismatched + [" "] * len(branch.tokens)
            words = [f"{mark}{decode_token(pair.tokenizer, token)!r}" for mark, token in zip(marks, branch.tokens)]
            lines.append(f"  {'*' if i == step.best else ' '} score {branch.score:2d}  {'  '.join(words)}")
        lines.append("    added " + " ".join(repr(decode_token(pair.tokenizer, token)) for token in step.new_ids))
    return lines


def main(argv: list[str]) -> int:
    """Generate once, print the branches, compare the methods. Raises ValueError and the like for unusable input."""
    parser = argparse.ArgumentParser(prog="python -m specdec_utils", description=__doc__.split(": ", 1)[1])
    parser.add_argument("--pair", help=f"one of {', '.join(PAIRS)}, or DRAFTER,VERIFIER (default: stories)")
    parser.add_argument("--prompt", help="text to continue (default: three openings)")
    parser.add_argument("--methods", help=f"comma-separated, of: {', '.join(METHODS)} (default: all that the pair can serve)")
    parser.add_argument("--tokens", type=int, default=60, help="new tokens a run (default 60)")
    parser.add_argument("--branches", type=int, default=Cfg.topk_branch)
    parser.add_argument("--span", type=int, default=Cfg.draft_span)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="torch threads (default 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the measurements to FILE")
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    cfg = Cfg(max_new_tokens=args.tokens, topk_branch=args.branches, draft_span=args.span)
    methods = list(METHODS) if args.methods is None else [method.strip() for method in args.methods.split(",") if method.strip()]
    unknown = [method for method in methods if method not in METHODS]
    if unknown or not methods:
        raise ValueError(f"There is no method {', '.join(unknown)!r}: use some of {sorted(METHODS)}.")
    if args.json is not None and (args.json.is_dir() or not args.json.resolve().parent.is_dir()):
        raise ValueError(f"{args.json} cannot be written: name a JSON file in a folder that exists.")
    pair = load_pair(args.pair)
    prompts = PROMPTS if args.prompt is None else (args.prompt,)
    if args.methods is None:
        methods = methods_of(pair, cfg)
    shown = next((method for method in methods if method != "greedy"), "greedy")
    example = generate(pair, prompts[0], cfg, shown)
    print(pair, f"\n\n{shown}: {example.text}\n", sep="")
    print("\n".join(branch_lines(pair, example)), end="\n\n")
    table = compare(pair, prompts, cfg, methods, args.repeats, progress=True)
    print(table)
    print(f"\n{len(prompts)} prompts x {args.tokens} tokens x {args.repeats} repeats, "
          f"{table.machine['threads']} thread(s), {table.machine['dtype']} on {table.machine['device']}")
    if args.json is not None:
        args.json.write_text(table.to_json() + "\n", encoding="utf-8")
    return 0
