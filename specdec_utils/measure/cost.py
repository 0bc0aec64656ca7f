"""Predict: what speculative decoding should gain, from an acceptance rate and from the time of single passes."""
import statistics
import time
from bisect import bisect
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from ..decode.advance import Run, cached_step
from ..decode.methods import DRAFTERS
from ..decode.records import Generation
from ..decode.tree import ROOT, TokenTree
from ..models.pair import ModelPair
from ..run.calling import cached_model
from ..text.config import Cfg
from ..text.tokens import encode_prompt


def expected_tokens(alpha: float, gamma: int) -> float:
    """Tokens a step of a chain of `gamma` drafts, each accepted with probability `alpha` in [0, 1] once the one before was:
    (1 - alpha^(gamma + 1)) / (1 - alpha). Leviathan et al. 2023 (arXiv 2211.17192), equation 1."""
    if not 0 <= alpha <= 1 or gamma < 0:
        raise ValueError(f"alpha={alpha!r}, gamma={gamma!r} are not usable: alpha lies in [0, 1] and gamma is at least 0.")
    return float(sum(alpha**i for i in range(gamma + 1)))


def predicted_speedup(alpha: float, gamma: int, c: float, v: Callable[[int], float] = lambda n: 1.0) -> float:
    """E / (gamma c + v(gamma + 1)): the speed of a chain of `gamma` drafts over that of the verifier alone.

    `c`: a draft step's time over a verifier step's. `v(n)`: the time of verifying n tokens over that of one; the default,
    1, is the case of Leviathan et al. 2023 (arXiv 2211.17192), theorem 3.8: a gain only if alpha > c.
    """
    return expected_tokens(alpha, gamma) / (gamma * c + v(gamma + 1))


def best_gamma(alpha: float, c: float, v: Callable[[int], float] = lambda n: 1.0, most: int = 16) -> int:
    """The draft length from 0 (do not draft) to `most` with the highest `predicted_speedup`; the shortest of equals."""
    return max(range(most + 1), key=lambda gamma: predicted_speedup(alpha, gamma, c, v))


def tree_tokens(tree: TokenTree, acceptances: Sequence[float]) -> float:
    """Tokens a step of `tree`: 1 + the sum over nodes of the product of the acceptances on its path.

    acceptances[i] = P(node i accepted | its parent accepted), earlier siblings included. Chen et al. 2024 (Sequoia, arXiv
    2402.12374), section 3.
    """
    reach = []
    for node, parent in enumerate(tree.parents):
        reach.append(acceptances[node] * (1.0 if parent == ROOT else reach[parent]))
    return 1.0 + sum(reach)


def acceptance_rate(runs: Sequence[Generation]) -> float:
    """Alpha: drafted levels of which a token was kept, over levels that were judged (those after a rejected one were not).

    In a chain every level is one token. In a tree it is all tokens at one depth, so that alpha answers: given that the path
    is right so far, how often does it go on inside the tree? Raises ValueError if no run has drafted anything.
    """
    kept = rejected = 0
    for run in runs:
        for step in run.steps:
            drafted = max((len(branch.tokens) for branch in step.branches), default=0)
            accepted = max((branch.accepted for branch in step.branches), default=0)
            kept += accepted
            rejected += accepted < drafted and step.extra is not None  # else the text ended here, at an EOS
    if kept + rejected == 0:
        raise ValueError("No draft was judged in these runs: give runs of a method that drafts.")
    return kept / (kept + rejected)


@dataclass
class PassTimes:
    """Seconds of one cached pass by the number of tokens in it, for both models; behind `context` tokens."""

    verifier: dict[int, float]
    drafter: dict[int, float]
    context: int

    @property
    def c(self) -> float:
        """A drafter step's time over a verifier step's."""
        return self.drafter[1] / self.verifier[1]

    def v(self, n: float) -> float:
        """The time of verifying `n` tokens in one pass over that of one; between measured sizes a straight line."""
        return _between(self.verifier, n) / self.verifier[1]


def _between(times: dict[int, float], n: float) -> float:
    sizes = sorted(times)
    above = min(max(bisect(sizes, n), 1), len(sizes) - 1)
    low, high = sizes[above - 1], sizes[above]
    return times[low] + (times[high] - times[low]) * (n - low) / (high - low)


def _read(logits: torch.Tensor) -> list[int]:
    """What follows a pass in every step, and is timed with it."""
    return torch.softmax(logits, dim=-1).max(dim=-1).indices.tolist()


def measure_pass_times(pair: ModelPair, sizes: Sequence[int] = (1, 2, 3, 4, 6, 8, 12, 16, 24), context: int = 80,
                       repeats: int = 40, lean: bool = True) -> PassTimes:
    """Time of one cached pass over n new tokens behind `context` tokens, for n in `sizes`, both models interleaved.

    The lower quartile of `repeats` passes: whatever else the machine does can only make a pass slower. What a pass is followed
    by in every step, a softmax and a read of the best tokens, is timed with it.
    """
    roles = [role for role in ("verifier", "drafter") if getattr(pair, role) is not None]
    models = {role: cached_model(getattr(pair, role), context + max(sizes), lean) for role in roles}
    special = {getattr(pair, role).config.pad_token_id for role in models} | pair.eos_ids  # `transformers` warns of padding
    plain = [token for token in range(pair.vocab_size) if token not in special]
    tokens = [plain[i % len(plain)] for i in range(context + max(sizes))]
    times = {role: {n: [] for n in sizes} for role in models}
    for model in models.values():
        model.feed(tokens[:context])
    for _ in range(repeats + 1):
        for n in sizes:
            for role, model in models.items():
                began = time.perf_counter()
                _read(model.feed(tokens[:n], n))
                times[role][n].append(time.perf_counter() - began)
                model.keep(context, [])
    quiet = {role: {n: sorted(runs[1:])[(len(runs) - 1) // 4] for n, runs in of_role.items()} for role, of_role in times.items()}
    return PassTimes(quiet["verifier"], quiet.get("drafter", {}), context)


def _drafter_widths(tree: TokenTree, calls: int) -> list[int]:
    """Tokens that each of `calls` drafter passes reads: the newest one, then the levels of `tree`, the last one unread."""
    widths = {}
    for depth in tree.depths():
        widths[depth] = widths.get(depth, 0) + 1
    return [1, *(widths[depth] for depth in range(len(widths)))][:calls]


def predict_from_records(runs: Sequence[Generation], times: PassTimes, overhead: float = 0.0, drafting: float = 0.0) -> float:
    """The speed over greedy that the tokens, passes and tree sizes of `runs` give with these pass times.

    Every step costs one verifier pass over its nodes and one token more, one drafter pass a level over the level's nodes,
    and beside them `overhead` + `drafting` seconds; greedy costs one verifier pass and the same overhead a token. Prompts are
    left out.
    """
    tokens = spent = 0
    for run in runs:
        for step in run.steps:
            passes = sum(_between(times.drafter, n) for n in _drafter_widths(step.tree, step.drafter_calls))
            spent += _between(times.verifier, 1 + len(step.tree)) + passes + overhead + drafting
        tokens += len(run.new_ids)
    return tokens * (times.verifier[1] + overhead) / spent


class _Watched:
    """Stands in for a cached model's `feed`. `last`: seconds of the last pass, timed as `measure_pass_times` does. `taken`: of all
    passes, and what the watching itself took."""

    def __init__(self, model):
        self.feed, self.last, self.taken, model.feed = model.feed, 0.0, 0.0, self

    def __call__(self, *args, **options) -> torch.Tensor:
        began = time.perf_counter()
        logits = self.feed(*args, **options)
        fed = time.perf_counter()
        _read(logits)
        done = time.perf_counter()
        self.last = done - began
        self.taken += self.last + (done - fed)  # the step will read these logits once more
        return logits


@torch.inference_mode()
def _beside_passes(pair: ModelPair, prompt, times: PassTimes, cfg: Cfg, method: str) -> float:
    """Seconds that a step of `method` takes beside its passes: median over a run, from its second step on.

    Each step is measured against its own verifier pass, so that a machine that is busier now than it was when `times` were
    taken does not count.
    """
    if method not in DRAFTERS:
        raise ValueError(f"Method {method!r} has no cached passes to tell apart: use one of {sorted(DRAFTERS)}.")
    ids, beside = encode_prompt(pair, prompt)[0].tolist(), []
    end = min(len(ids) + cfg.max_new_tokens, pair.context)
    run = Run(pair, ids, cfg, method, end)
    watched = [_Watched(model) for model in (run.verifier, run.draft.model) if model is not None]
    while (room := end - len(run.ids)) > 0:
        taken, began = sum(model.taken for model in watched), time.perf_counter()
        step = cached_step(run, room)
        rest = time.perf_counter() - began - (sum(model.taken for model in watched) - taken)
        beside.append(rest * _between(times.verifier, 1 + len(step.tree)) / watched[0].last)
        run.ids += step.new_ids
    return max(0.0, statistics.median(beside[1:] or beside))


def measure_overhead(pair: ModelPair, prompt, times: PassTimes, cfg: Cfg) -> float:
    """Seconds that a greedy step takes beside its pass: median over a run, on the clock of `times`."""
    return _beside_passes(pair, prompt, times, cfg, "greedy")


def measure_drafting(pair: ModelPair, prompt, times: PassTimes, cfg: Cfg, method: str) -> float:
    """Seconds that drafting adds to a step beside its passes: choosing tokens, growing the tree, its mask, Medusa heads.

    Median over a run less that of a greedy run, at least 0, on the clock of `times`. Raises ValueError for a method without
    cached passes.
    """
    return max(0.0, _beside_passes(pair, prompt, times, cfg, method) - measure_overhead(pair, prompt, times, cfg))
