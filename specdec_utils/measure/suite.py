"""The course's benchmark: which arms run, what the cost model expects of each, what the run says in the end."""
from dataclasses import replace

import torch

from ..decode.methods import METHODS, methods_of
from ..models.pair import ModelPair
from ..text.config import Cfg
from .benchmark import Comparison
from .cost import measure_drafting, measure_overhead, measure_pass_times, predict_from_records
from .peers import PEERS, peers_of

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
    can = {*methods_of(pair, cfg), *peers_of(pair)}
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
