"""What the model card says of the eagle drafter, measured: acceptance by depth and cost."""
import statistics
import time
from collections.abc import Callable

import torch
from transformers import GPT2LMHeadModel, PreTrainedModel

from specdec_utils.models.eagle import EagleDrafter
from specdec_utils.run.calling import cached_model
from specdec_utils.run.eagle import cached_eagle
from specdec_utils.run.text_pieces import output_matrix

from .eagle_texts import openings
from .library import write_text


@torch.inference_mode()
def acceptance_by_depth(verifier: PreTrainedModel, eagle: EagleDrafter, texts: list[tuple[list[int], int]],
                        depth: int = 6) -> dict[str, list[float]]:
    """On `texts`, each (ids, how many of them are the opening): per depth, a right path given, how often the drafter's first choice
    is the verifier's ("greedy_equal") and the mean of sum(min(p, q)) ("sum_min_p_q"), over all drafts after the opening's end. Texts
    that end before a draft of `depth` does are left out."""
    equal, overlap, n = torch.zeros(depth), torch.zeros(depth), 0
    embeddings = verifier.get_input_embeddings().weight
    for ids, start in texts:
        if len(ids) - start < depth:
            continue
        out = verifier(torch.tensor([ids]), output_hidden_states=True, use_cache=False)
        features = torch.cat([out.hidden_states[layer] for layer in eagle.layers], dim=-1)
        p = torch.softmax(out.logits[0], dim=-1)
        length = len(ids) - depth
        for j, output in enumerate(eagle.unroll(features, torch.tensor([ids]), embeddings, depth), 1):
            q, target = torch.softmax(eagle.logits(output[0, start - 1:]), dim=-1), p[start - 1 + j:length + j]
            equal[j - 1] += (q.argmax(-1) == target.argmax(-1)).sum()
            overlap[j - 1] += torch.minimum(q, target).sum()
        n += length - start + 1
    return {"greedy_equal": (equal / n).tolist(), "sum_min_p_q": (overlap / n).tolist()}


def measured_texts(verifier: GPT2LMHeadModel, encode: Callable[[str], list[int]], benchmark: list[str], held_out: list[str], seed: int,
                   length: int = 140, count: int = 48) -> dict[str, list[tuple[list[int], int]]]:
    """What acceptance is measured on: `length` tokens by the verifier after the `benchmark`'s openings and after `count` openings of
    `held_out` stories, greedily and sampled; each as (ids, how many of them are the opening)."""
    starts = {"benchmark": [encode(text) for text in benchmark],
              "held_out": openings(held_out, encode, verifier.config.eos_token_id, seed, avoid=benchmark)[:count]}
    torch.manual_seed(seed)
    return {f"{name}_{kind}": [(write_text(verifier, torch.tensor([ids]), length, torch.tensor([temperature]))[0][0].tolist(), len(ids))
                               for ids in begun]
            for name, begun in starts.items() for kind, temperature in (("greedy", 0.0), ("sampled", 1.0))}


@torch.inference_mode()
def cost(verifier: PreTrainedModel, eagle: EagleDrafter, texts: list[list[int]], context: int = 60, span: int = 6) -> float:
    """c: the time of a draft step over that of a verifier step, on one thread, both through the lean passes and by turns. A draft step
    is a `span`th part of a whole draft, in which the drafter first reads as many new features."""
    ratios, threads, clock = [], torch.get_num_threads(), time.perf_counter
    torch.set_num_threads(1)
    for ids in texts:
        runner, capacity = cached_model(verifier, len(ids) + 1), len(ids) + span
        drafter = cached_eagle(eagle, verifier.get_input_embeddings().weight, capacity, matrix=output_matrix(verifier))
        runner.feed(ids[:context], hidden=eagle.layers)
        drafter.read(runner.hidden[:-1], ids[1:context])
        for end in range(context + span, len(ids), span):
            features, seconds = [runner.hidden[-1:]], []
            for token in ids[end - span:end]:
                began = clock()
                runner.feed([token], hidden=eagle.layers)
                seconds.append(clock() - began)
                features.append(runner.hidden)
            began = clock()
            logits = drafter.read(torch.cat(features[:-1]), ids[end - span:end])
            for _ in range(span - 1):
                logits = drafter.draft(drafter.outputs, [int(logits.argmax())])
            ratios.append((clock() - began) / span / statistics.median(seconds))
            drafter.keep(end - 1)
    torch.set_num_threads(threads)
    return statistics.median(ratios)


def measure_eagle(verifier: GPT2LMHeadModel, eagle: EagleDrafter, texts: dict[str, list[tuple[list[int], int]]]) -> dict:
    """The model card's entries: `acceptance_by_depth` on `texts` (see `measured_texts`), size in parameters and in bytes of half
    precision, and c (see `cost`)."""
    parameters = sum(weight.numel() for weight in eagle.parameters())
    return {"acceptance": {name: acceptance_by_depth(verifier, eagle, part) for name, part in texts.items()},
            "parameters": parameters, "bytes": 2 * parameters, "inner": eagle.inner,
            "c": cost(verifier, eagle, [ids for ids, _ in texts["benchmark_greedy"][:8]])}
