"""Choose settings by trying them: each method's, and each peer's, on tuning prompts, on the machine that will be measured."""
import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..models.pair import ModelPair
from ..text.config import Cfg
from .benchmark import Peer, compare
from .ratios import per_prompt

# label -> (method or peer, the values tried for each setting): eight combinations for each, ours and `transformers`'; fewer for
# vLLM, which starts an engine for each
GRIDS: dict[str, tuple[str, dict[str, tuple]]] = {
    "one_pass": ("one_pass", {"topk_branch": (2, 4), "draft_span": (2, 3, 4, 6)}),
    "tree k=1": ("tree", {"topk_branch": (1,), "draft_span": (1, 2, 3, 4, 5, 6, 8, 10)}),
    "tree": ("tree", {"topk_branch": (2, 3), "draft_span": (2, 3, 4, 6)}),
    "tree + lookup": ("tree", {"topk_branch": (1, 2), "draft_span": (2, 3, 5, 7), "lookup_first": (3,)}),
    "lookup": ("lookup", {"draft_span": (2, 3, 4, 5, 6, 8, 10, 12)}),
    "heads": ("heads", {"topk_branch": (1, 2), "draft_span": (1, 2, 3, 4)}),
    "eagle k=1": ("eagle", {"topk_branch": (1,), "draft_span": (2, 3, 4, 5, 6, 8, 10, 12)}),
    "eagle": ("eagle", {"topk_branch": (2, 3), "draft_span": (2, 3, 4, 6)}),
    "hf-assisted tuned": ("hf-assisted-fixed", {"draft_span": (1, 2, 3, 4, 5, 6, 8, 10)}),
    "hf-lookup tuned": ("hf-lookup", {"draft_span": (2, 3, 4, 5, 6, 8, 10, 12)}),
    "vllm-draft": ("vllm-draft", {"draft_span": (2, 3, 4, 5)}),
    "vllm-ngram": ("vllm-ngram", {"draft_span": (3, 4, 5)}),
    "vllm-eagle": ("vllm-eagle", {"draft_span": (2, 3, 4, 5)}),
}
ROUNDS = ((2, 32), (4, 48), (6, 64))  # (prompts, tokens) of each round; after each the better half stays, after the last the best


def combinations(label: str) -> list[dict]:
    """The settings that are tried for `label` of `GRIDS`."""
    names, values = zip(*GRIDS[label][1].items())
    return [dict(zip(names, chosen)) for chosen in itertools.product(*values)]


@dataclass
class Tuning:
    """What was chosen, and why. chosen: label -> its settings. tried: label -> for each round {settings as text: mean speed over
    greedy}. prompts: on how many."""

    chosen: dict[str, dict]
    tried: dict[str, list[dict[str, float]]] = field(repr=False)
    prompts: int = 0


def _text(settings: Mapping) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings.items())


def tune(pair: ModelPair, prompts: Sequence, cfg: Cfg, labels: Sequence[str], progress: bool = False,
         others: Mapping[str, Peer] | None = None) -> Tuning:
    """Successive halving over the grids of `labels`: all candidates of all labels run interleaved, as arms of one comparison.

    Each round runs what is left on more prompts and more tokens (`ROUNDS`, never more than `cfg` and `prompts` have) and keeps
    the half with the better mean over prompts of speed over greedy. Karnin et al. 2013; Jamieson and Talwalkar 2016
    (arXiv 1502.07943). Every label gets the same number of prompts and tokens. others: further peers, as `compare` takes them.
    """
    left = {label: combinations(label) for label in labels}
    tried: dict[str, list[dict[str, float]]] = {label: [] for label in labels}
    for number, (count, tokens) in enumerate(ROUNDS if labels else (), 1):
        common = replace(cfg, max_new_tokens=min(tokens, cfg.max_new_tokens))
        arms = {f"{label}: {_text(settings)}": (GRIDS[label][0], replace(common, **settings))
                for label in labels for settings in left[label]}
        table = compare(pair, prompts[:count], common, arms, 1, progress and f"tuning {number}/{len(ROUNDS)}", others=others)
        base = table.row("greedy").rates
        for label in labels:
            speeds = [statistics.mean(per_prompt(table.row(f"{label}: {_text(settings)}").rates, base)) for settings in left[label]]
            tried[label].append(dict(zip(map(_text, left[label]), speeds)))
            ranked = sorted(range(len(speeds)), key=lambda i, speeds=speeds: -speeds[i])
            stay = 1 if number == len(ROUNDS) else max(1, len(ranked) // 2)
            left[label] = [left[label][i] for i in ranked[:stay]]
    return Tuning({label: settings[0] for label, settings in left.items()}, tried, min(len(prompts), ROUNDS[-1][0]))
