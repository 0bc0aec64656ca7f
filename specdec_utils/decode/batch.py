"""Batches: several prompts at once, each drafted, judged and ended on its own, with the passes of all made together."""
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from ..models.pair import ModelPair
from ..run.asking import Ask, made_together
from ..text.config import Cfg
from ..text.tokens import Prompt
from .advance import writing
from .methods import check_method
from .records import Generation

ALONE = {"medusa_lite": "has no cached passes that could be made together: use 'one_pass'",
         "auto": "goes by what passes take for one prompt: name the method that is to draft"}


@dataclass
class Batch:
    """What `generate_batch` wrote.

    generations: one for each prompt, in order, as if written alone: `verifier_calls` and `drafter_calls` count the passes that it
    had a part in, `seconds` lasts to its own end. rounds: for each time that passes were made, (drafter's? True or False, tokens of
    each prompt that had a part in it). seconds: for all.
    """

    generations: list[Generation]
    rounds: list[tuple[bool, list[int]]]
    seconds: float

    @property
    def tokens(self) -> int:
        """Tokens written in all."""
        return sum(len(run.new_ids) for run in self.generations)


def _tokens(ask: Ask) -> int:
    return len(ask.args[0] if ask.call == "feed" else ask.args[1])


@torch.inference_mode()
def generate_batch(pair: ModelPair, prompts: Sequence[Prompt], cfg: Cfg | None = None, method: str = "eagle",
                   seeds: Sequence[int] | None = None) -> Batch:
    """Continue all `prompts` at once with one of the cached `METHODS`: each as `generate` would continue it alone.

    In every round each unfinished prompt drafts; then one verifier pass checks all drafts. Each prompt accepts as many tokens as
    it may and goes on from there: there is no padding, and no prompt waits for another to accept. What is multiplied with weights
    is multiplied for all at once, wherever a lean pass serves the model; each prompt attends to its own cache.
    Selective batching as in Orca (Yu et al. 2022, OSDI, section 3.2).

    seeds: of each prompt (default: `cfg.seed`, `cfg.seed` + 1, ...), for sampling. In float32 a prompt's tokens are those of
    `generate(pair, prompt, replace(cfg, seed=its seed), method)`.

    Raises ValueError for no prompts, as many seeds as there are not prompts, methods "medusa_lite" and "auto", and whatever
    `generate` refuses.
    """
    cfg = Cfg() if cfg is None else cfg
    if isinstance(prompts, (str, torch.Tensor)) or not len(prompts):
        raise ValueError("A batch needs a list of prompts with at least one in it.")
    seeds = range(cfg.seed, cfg.seed + len(prompts)) if seeds is None else seeds
    if len(seeds) != len(prompts):
        raise ValueError(f"There are {len(seeds)} seeds for {len(prompts)} prompts: give each prompt one.")
    check_method(pair, cfg, method)
    if method in ALONE:
        raise ValueError(f"Method {method!r} {ALONE[method]}.")
    began, rounds = time.perf_counter(), []
    works = [writing(pair, prompt, replace(cfg, seed=seed), method) for prompt, seed in zip(prompts, seeds)]
    ended: dict[int, Generation] = {}
    asks: dict[int, Ask] = {}

    def go_on(number: int, logits: torch.Tensor | None) -> None:
        try:
            asks[number] = works[number].send(logits)
        except StopIteration as end:
            ended[number] = end.value
    for number in range(len(works)):
        go_on(number, None)
    while asks:
        drafts = [number for number, ask in asks.items() if ask.drafts]
        due = drafts or list(asks)  # drafts first, so that the verifier's pass is one for all
        rounds.append((bool(drafts), [_tokens(asks[number]) for number in due]))
        for number, logits in zip(due, made_together([asks.pop(number) for number in due])):
            go_on(number, logits)
    return Batch([ended[number] for number in range(len(works))], rounds, time.perf_counter() - began)
