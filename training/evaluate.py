"""What the model card says, measured."""
import statistics
import time
from dataclasses import replace

import torch
from transformers import GPT2LMHeadModel

from specdec_utils.decode.pass_times import measure_pass_times
from specdec_utils.models.medusa_heads import MedusaHeads
from specdec_utils.models.pair import ModelPair
from specdec_utils.text.config import Cfg
from specdec_utils.text.prompts import OPENINGS

from .heads import head_accuracy
from .library import write_text
from .verifier import validation_loss

NAMED = OPENINGS[-6:]  # the openings whose continuations the model card shows


@torch.inference_mode()
def agreement(verifier: GPT2LMHeadModel, drafter: GPT2LMHeadModel, ids: torch.Tensor, start: int) -> dict[str, float]:
    """Over positions `start`.. of `ids` [B, T]: how often the drafter's first choice (and top 4) is the verifier's, and the
    acceptance sum(min(p, q)) of Leviathan et al. 2023 (arXiv 2211.17192), section 3.1, mean and by quarter of the text."""
    p = torch.softmax(verifier(ids, use_cache=False).logits[:, start - 1:-1], dim=-1)
    q = torch.softmax(drafter(ids, use_cache=False).logits[:, start - 1:-1], dim=-1)
    best = p.argmax(-1, keepdim=True)
    overlap = torch.minimum(p, q).sum(-1)
    return {"greedy_equal": (q.argmax(-1, keepdim=True) == best).float().mean().item(),
            "greedy_in_top_4": (q.topk(4).indices == best).any(-1).float().mean().item(),
            "sum_min_p_q": overlap.mean().item(),
            "sum_min_p_q_by_quarter": [part.mean().item() for part in overlap.chunk(4, dim=1)]}


def validation_openings(stories: list[list[int]], eos: int, length: int = 16) -> torch.Tensor:
    """[N, length]: EOS and the first tokens of each story that is long enough."""
    return torch.tensor([[eos, *story[:length - 1]] for story in stories if len(story) >= length])


@torch.inference_mode()
def pass_times(model: GPT2LMHeadModel, sizes: tuple[int, ...], context: int = 100, repeats: int = 60) -> dict[int, float]:
    """Median milliseconds of one cached forward pass over n new tokens behind `context` cached ones, for n in `sizes`."""
    prefix = torch.ones(1, context, dtype=torch.long)
    cache = model(prefix, use_cache=True).past_key_values
    runs: dict[int, list[float]] = {n: [] for n in sizes}
    for _ in range(repeats):
        for n in sizes:  # interleaved, so that drift of the machine hits all sizes alike
            block = torch.ones(1, n, dtype=torch.long)
            began = time.perf_counter()
            model(block, past_key_values=cache, use_cache=True)
            runs[n].append(1000 * (time.perf_counter() - began))
            cache.crop(-n)
    return {n: statistics.median(times) for n, times in runs.items()}


def repeated_sentence(text: str) -> bool:
    """Does a sentence of `text` occur twice, word for word?"""
    sentences = [s.strip() for s in text.replace("!", ".").replace("?", ".").split(".") if len(s.split()) > 1]
    return len(set(sentences)) < len(sentences)


def evaluate(verifier: GPT2LMHeadModel, drafter: GPT2LMHeadModel, heads: MedusaHeads, tokenizer, stories: list[list[int]],
             windows: torch.Tensor, seed: int) -> dict:
    """Every measurement of the model card. `stories`: validation stories as ids; `windows` [N, 512]: the same, packed.

    The openings of the benchmark are continued as they are and, as stories begin in training, behind an end-of-text token.
    """
    losses = validation_loss(verifier, windows)
    half = windows.shape[1] // 2
    torch.manual_seed(seed)
    openings = validation_openings(stories, verifier.config.eos_token_id)
    length, rows = 128, len(openings)
    greedy, greedy_hidden = write_text(verifier, openings, length, torch.zeros(rows))
    sampled, _ = write_text(verifier, openings, length, torch.ones(rows))
    eos, texts, begun = torch.tensor([[verifier.config.eos_token_id]]), {}, []
    for opening in OPENINGS:
        ids = tokenizer(opening, return_tensors="pt")["input_ids"]
        texts[opening] = tokenizer.decode(write_text(verifier, ids, 60, torch.zeros(1))[0][0])
        begun.append(tokenizer.decode(write_text(verifier, torch.cat([eos, ids], dim=1), 60, torch.zeros(1))[0][0, 1:]))
    short = write_text(verifier, openings[:, :9], 60, torch.zeros(rows))[0]
    held_out = [tokenizer.decode(row[1:]) for row in short]
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    rounds = [(pass_times(verifier, (1, 2, 4, 5, 8, 16)), pass_times(drafter, (1,))[1]) for _ in range(7)]
    times = {n: statistics.median(of_verifier[n] for of_verifier, _ in rounds) for n in rounds[0][0]}
    draft = statistics.median(of_drafter for _, of_drafter in rounds)
    ratios = [of_drafter / of_verifier[1] for of_verifier, of_drafter in rounds]
    cfg = Cfg(max_new_tokens=length, lean=False)
    chain = replace(cfg, topk_branch=1, draft_span=4)
    in_turn = measure_pass_times(ModelPair(drafter, verifier), list(openings[:2, None]), cfg, [("greedy", cfg), ("tree", chain)]).c
    torch.set_num_threads(threads)
    return {
        "loss": statistics.mean(losses), "loss_0_255": statistics.mean(losses[:half - 1]),
        "loss_256_511": statistics.mean(losses[half - 1:]),
        "greedy_text": agreement(verifier, drafter, greedy, openings.shape[1]),
        "sampled_text": agreement(verifier, drafter, sampled, openings.shape[1]),
        "head_accuracy": head_accuracy(verifier, heads, greedy, greedy_hidden, openings.shape[1]),
        "verifier_ms": times, "drafter_ms": draft, "c": statistics.median(ratios), "c_range": [min(ratios), max(ratios)],
        "c_in_turn": in_turn,
        "v": {n: t / times[1] for n, t in times.items()},
        "openings": {opening: texts[opening] for opening in NAMED},
        "openings_without_repeat": sum(not repeated_sentence(texts[opening]) for opening in NAMED),
        "all_openings": len(texts), "all_without_repeat": sum(not repeated_sentence(text) for text in texts.values()),
        "all_begun_without_repeat": sum(not repeated_sentence(text) for text in begun),
        "held_out_openings": rows, "held_out_without_repeat": sum(not repeated_sentence(text) for text in held_out),
    }
