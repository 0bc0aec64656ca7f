"""`python -m specdec_utils bench`: every method and `transformers`' own in one run, the cost model's prediction beside them."""
import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

from .benchmark import Comparison, compare
from .config import Cfg
from .cost import measure_drafting, measure_overhead, measure_pass_times, predict_from_records
from .decoding import METHODS, methods_of
from .models import PAIRS, ModelPair, load_pair
from .peers import PEERS
from .plots import comparison_figure
from .prompts import OPENINGS

# label -> (method or peer, what differs from the common settings): good settings for `stories`, found by a sweep
ARMS: dict[str, tuple[str, dict]] = {
    "greedy": ("greedy", {}),
    "medusa_lite": ("medusa_lite", {}),
    "one_pass": ("one_pass", {}),
    "tree": ("tree", {"topk_branch": 2, "draft_span": 5}),
    "tree k=1": ("tree", {"topk_branch": 1, "draft_span": 5}),
    "tree + lookup": ("tree", {"topk_branch": 2, "draft_span": 5, "lookup_first": 3}),
    "tree k=1 + lookup": ("tree", {"topk_branch": 1, "draft_span": 5, "lookup_first": 3}),
    "lookup": ("lookup", {"draft_span": 5}),
    "heads": ("heads", {"topk_branch": 2, "draft_span": 3}),
    "hf-greedy": ("hf-greedy", {}),
    "hf-assisted": ("hf-assisted", {}),
    "hf-assisted 3": ("hf-assisted-fixed", {"draft_span": 3}),
    "hf-assisted 5": ("hf-assisted-fixed", {"draft_span": 5}),
    "hf-lookup 5": ("hf-lookup", {"draft_span": 5}),
    "hf-lookup 10": ("hf-lookup", {"draft_span": 10}),
}


def bench_arms(pair: ModelPair, cfg: Cfg, methods: list[str] | None = None) -> dict[str, tuple[str, Cfg]]:
    """The arms of `ARMS` that `pair` can serve, with their settings, as `compare` takes them; all, or those of `methods`.

    Raises ValueError for a name that is neither a label, nor a method, nor a peer.
    """
    known = {*ARMS, *METHODS, *PEERS}
    unknown = [name for name in methods or [] if name not in known]
    if unknown:
        raise ValueError(f"There is no method {unknown[0]!r}: use some of {sorted(known)}.")
    can = {*methods_of(pair, cfg), *PEERS}
    return {label: (method, replace(cfg, **own)) for label, (method, own) in ARMS.items()
            if method in can and (methods is None or label in methods or method in methods)}


def best_of(table: Comparison, methods: set[str]) -> str | None:
    """The label of the fastest arm (median over prompts of its speed over greedy) among arms of `methods`."""
    labels = [label for label, arm in table.settings["arms"].items() if arm["method"] in methods]
    return max(labels, key=lambda label: table.row(label).speedup[1], default=None)


def predictions(pair: ModelPair, table: Comparison, arms: dict[str, tuple[str, Cfg]]) -> dict[str, float]:
    """label -> speed over greedy as the cost model predicts it, for every cached method among `arms`: from single pass times,
    the tree sizes and acceptances in the records, and what a step takes beside its passes."""
    runs = table.generations["greedy"]
    prompt = torch.tensor([runs[-1].prompt_ids], device=pair.device)
    context = round(sum(len(run.prompt_ids) + len(run.new_ids) / 2 for run in runs) / len(runs))
    times = measure_pass_times(pair, context=min(context, pair.context - 24))
    overhead = measure_overhead(pair, prompt, times, arms["greedy"][1])
    return {label: predict_from_records(table.generations[label], times, overhead,
                                        0.0 if method == "greedy" else measure_drafting(pair, prompt, times, cfg, method))
            for label, (method, cfg) in arms.items() if method in METHODS and method != "medusa_lite"}


def context_growth(pair: ModelPair, short: int = 50, long: int = 450, lean: bool = True) -> float:
    """The time of one cached verifier pass behind `long` tokens over that behind `short` ones."""
    runs = [measure_pass_times(pair, (1, 2), context, 60, lean).verifier[1] for context in (short, long, long, short)]
    return (runs[1] + runs[2]) / (runs[0] + runs[3])


def ratio_lines(table: Comparison) -> list[str]:
    """The best of ours against greedy and against the best of each kind of peer, with 95 % intervals."""
    ours = best_of(table, set(METHODS) - {"greedy"})
    rivals = {"greedy with the same forward pass": "greedy", "transformers greedy": best_of(table, {"hf-greedy"}),
              "transformers assisted at its best": best_of(table, {"hf-assisted", "hf-assisted-fixed"}),
              "transformers prompt lookup at its best": best_of(table, {"hf-lookup"})}
    lines = ["{} over {} ({}): {:.2f} ({:.2f} to {:.2f})".format(ours, what, label, *(table.ratio(ours, label)[i] for i in (1, 0, 2)))
             for what, label in rivals.items() if ours and label]
    if rivals["transformers greedy"]:
        low, middle, high = table.ratio("greedy", rivals["transformers greedy"])
        lines.append(f"our greedy over transformers greedy: {middle:.2f} ({low:.2f} to {high:.2f})")
    return lines


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
