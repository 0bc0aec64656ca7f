"""The course's benchmark: which arms run, what the cost model expects of each, what the run says in the end."""
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch

from ..decode.calibrate import calibrate
from ..decode.methods import METHODS, methods_of
from ..decode.pass_times import PassTimer, measure_pass_times, timed_arms
from ..decode.passes import PassTimes
from ..models.pair import ModelPair
from ..text.config import Cfg
from ..text.tokens import encode_prompt
from .benchmark import Comparison, Peer
from .cost import predict
from .peers import PEERS, peers_of
from .ratios import per_prompt
from .tune import GRIDS, Tuning, tune

# label -> (method or peer, what differs from the common settings) of arms that have no grid in `tune.GRIDS`: nothing to choose,
# or run as their authors set them
FIXED: dict[str, tuple[str, dict]] = {
    "greedy": ("greedy", {}),
    "medusa_lite": ("medusa_lite", {}),
    "auto": ("auto", {}),
    "hf-greedy": ("hf-greedy", {}),
    "hf-assisted": ("hf-assisted", {}),
    "hf-lookup": ("hf-lookup", {"draft_span": 10}),
    "vllm-greedy": ("vllm-greedy", {}),
}
LABELS = ("greedy", "medusa_lite", "one_pass", "tree k=1", "tree", "tree + lookup", "lookup", "heads", "eagle k=1", "eagle",
          "auto", "hf-greedy", "hf-assisted", "hf-assisted tuned", "hf-lookup", "hf-lookup tuned")
TIMED_PROMPTS = 2  # of the tuning prompts, at each of two lengths


def bench_labels(pair: ModelPair, cfg: Cfg, wanted: Sequence[str] | None = None, others: Sequence[str] = ()) -> dict[str, str]:
    """label -> method or peer of the arms that `pair` can serve: all, or those that `wanted` names as labels, methods or peers.

    others: further peers that can run (vLLM's); the label of each is its name.

    Raises ValueError for a name that is none of them, or if nothing is left.
    """
    methods = {label: (FIXED.get(label) or GRIDS[label])[0] for label in (*LABELS, *others)}
    known = {*methods, *METHODS, *PEERS}
    unknown = [name for name in wanted or [] if name not in known]
    if unknown:
        raise ValueError(f"There is no method {unknown[0]!r}: use some of {sorted(known)}.")
    can = {*methods_of(pair, cfg), *peers_of(pair), *others}
    chosen = {label: method for label, method in methods.items()
              if method in can and (wanted is None or label in wanted or method in wanted)}
    if not chosen:
        raise ValueError(f"Pair {pair.name!r} serves none of {list(wanted or [])}: use some of {sorted(can)}.")
    return chosen


def bench_arms(pair: ModelPair, tuning_prompts: Sequence, test_prompts: Sequence, cfg: Cfg, wanted: Sequence[str] | None = None,
               progress: bool = False, others: Mapping[str, Peer] | None = None) -> tuple[dict[str, tuple[str, Cfg]], Tuning]:
    """(the arms of `bench_labels` with their settings, as `compare` takes them, how these were chosen).

    Settings are chosen by `tune` on `tuning_prompts`; what "auto" goes by is measured by `calibrate`. Raises ValueError if one of
    the former is among `test_prompts`.
    """
    methods = bench_labels(pair, cfg, wanted, tuple(others or ()))
    if "auto" in methods.values():
        calibrate(pair, cfg, progress=progress)
    both = {str(prompt) for prompt in tuning_prompts} & {str(prompt) for prompt in test_prompts}
    if both:
        raise ValueError(f"{min(both)!r} is a tuning prompt and a test prompt: settings must be chosen on other prompts.")
    tuning = tune(pair, tuning_prompts, cfg, [label for label in methods if label in GRIDS], progress, others)
    own = {label: FIXED[label][1] if label in FIXED else tuning.chosen[label] for label in methods}
    return {label: (method, replace(cfg, **own[label])) for label, method in methods.items()}, tuning


def best_of(table: Comparison, methods: set[str]) -> str | None:
    """The label of the fastest arm (median over prompts of its speed over greedy) among arms of `methods`."""
    labels = [label for label, arm in table.settings["arms"].items() if arm["method"] in methods]
    return max(labels, key=lambda label: table.row(label).speedup[1], default=None)


def losers(table: Comparison) -> list[str]:
    """Labels of ours that are slower than greedy (median over prompts), the slowest first."""
    speeds = {label: table.row(label).speedup[1] for label, arm in table.settings["arms"].items() if arm["method"] in METHODS}
    return sorted((label for label, speed in speeds.items() if speed < 1), key=speeds.get)


def bench_timer(pair: ModelPair, tuning_prompts: Sequence, test_prompts: Sequence, arms: Mapping[str, tuple[str, Cfg]],
                cfg: Cfg) -> PassTimer:
    """A timer for the cached methods among `arms`, on tuning prompts that are brought to the lengths of the shortest and the
    longest test prompt."""
    methods = {"greedy", *(method for method, _ in arms.values())} & set(METHODS) - {"medusa_lite"}
    timed = [arm for arm in (*timed_arms(pair, cfg), *arms.values()) if arm[0] in methods]
    lengths = sorted(encode_prompt(pair, prompt).shape[1] for prompt in test_prompts)
    return PassTimer(pair, tuning_prompts[:TIMED_PROMPTS], cfg, timed, sorted({lengths[0], lengths[-1]}))


def predictions(table: Comparison, times: PassTimes) -> dict[str, tuple[float, float, float]]:
    """label -> (low, median, high) speed over greedy as `cost.predict` foretells it, for every cached method in `table`."""
    arms = {"greedy": {"method": "greedy"}} | table.settings["arms"]
    return {label: predict(table, times, label) for label, arm in arms.items() if arm["method"] in times.beside}


def context_growth(pair: ModelPair, short: int = 50, long: int = 450, lean: bool = True) -> float:
    """The time of one cached verifier pass after `long` tokens over that after `short` ones."""
    cfg, text = Cfg(max_new_tokens=24, lean=lean), torch.tensor([[t for t in range(60) if t not in pair.eos_ids]])
    cost = measure_pass_times(pair, [text], cfg, [("greedy", cfg)] * 4, (short, long)).verifier["alone"]
    return cost(1, long) / cost(1, short)


def kind_lines(table: Comparison, kinds: Sequence[str]) -> list[str]:
    """By kind of prompt, `kinds` naming that of each: the median over its prompts of each arm's speed over greedy, the fastest first."""
    base, lines = table.row("greedy").rates, []
    for kind in dict.fromkeys(kinds):
        speeds = {row.method: statistics.median(speed for speed, of in zip(per_prompt(row.rates, base), kinds, strict=True) if of == kind)
                  for row in table.rows}
        lines.append(f"{kind}: " + ", ".join(f"{label} {speeds[label]:.2f}" for label in sorted(speeds, key=speeds.get, reverse=True)))
    return lines


def ratio_lines(table: Comparison) -> list[str]:
    """The best of ours against greedy and against the best of each kind of peer, with 95 % intervals; and what loses."""
    ours = best_of(table, set(METHODS) - {"greedy"})
    rivals = {"greedy with the same forward pass": "greedy", "transformers greedy": best_of(table, {"hf-greedy"}),
              "transformers assisted at its best": best_of(table, {"hf-assisted", "hf-assisted-fixed"}),
              "transformers prompt lookup at its best": best_of(table, {"hf-lookup"}),
              "vLLM greedy": best_of(table, {"vllm-greedy"}),
              "vLLM's best speculative mode": best_of(table, {"vllm-draft", "vllm-ngram", "vllm-eagle"})}
    lines = ["{} over {} ({}): {:.2f} ({:.2f} to {:.2f})".format(ours, what, label, *(table.ratio(ours, label)[i] for i in (1, 0, 2)))
             for what, label in rivals.items() if ours and label]
    if rivals["transformers greedy"]:
        low, middle, high = table.ratio("greedy", rivals["transformers greedy"])
        lines.append(f"our greedy over transformers greedy: {middle:.2f} ({low:.2f} to {high:.2f})")
    slower = [f"{label} ({table.row(label).speedup[1]:.2f})" for label in losers(table)]
    return [*lines, f"slower than greedy on this machine: {', '.join(slower) or 'none of our methods'}"]
