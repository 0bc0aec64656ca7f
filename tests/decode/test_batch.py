"""Batches: each prompt's tokens are those of its run alone, whatever the others do, and the passes of all are made together."""
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specdec_utils import METHODS, Cfg, LeanGPT2, generate, generate_batch

PROMPTS = [torch.tensor([row]) for row in ([5, 6, 7], [9], [3, 3, 4, 1, 9, 3, 3], [11, 2])]
TOGETHER = sorted(set(METHODS) - {"medusa_lite", "auto"})


def alone(pair, prompts, cfg, method, seeds):
    return [generate(pair, prompt, replace(cfg, seed=seed), method) for prompt, seed in zip(prompts, seeds)]


@pytest.mark.parametrize("drafter", ["random", "right", "wrong"])
@pytest.mark.parametrize("lean", [True, False], ids=["lean", "stock"])
@pytest.mark.parametrize("do_sample", [False, True], ids=["greedy", "sampled"])
@pytest.mark.parametrize("method", TOGETHER)
def test_each_prompt_is_continued_as_if_alone(random_pairs, method, do_sample, lean, drafter):
    cfg = Cfg(max_new_tokens=17, topk_branch=2, draft_span=3, do_sample=do_sample, temperature=1.5, top_p=1.0, lean=lean)
    batch = generate_batch(random_pairs[drafter], PROMPTS, cfg, method)
    for together, single in zip(batch.generations, alone(random_pairs[drafter], PROMPTS, cfg, method, range(42, 46))):
        assert together.new_ids == single.new_ids and together.prompt_ids == single.prompt_ids
        assert [step.path for step in together.steps] == [step.path for step in single.steps]
        assert (together.verifier_calls, together.drafter_calls, together.finish_reason) == (
            single.verifier_calls, single.drafter_calls, single.finish_reason)
    assert batch.tokens == 4 * 17


@settings(max_examples=25, deadline=None)
@given(rows=st.lists(st.lists(st.integers(1, 28), min_size=1, max_size=9), min_size=1, max_size=5), span=st.integers(1, 5),
       width=st.integers(1, 3), tokens=st.integers(1, 20), data=st.data())
def test_prompts_of_any_lengths_and_seeds_are_continued_as_if_alone(random_pairs, rows, span, width, tokens, data):
    cfg = Cfg(max_new_tokens=tokens, topk_branch=width, draft_span=span, do_sample=True, temperature=1.3)
    seeds = data.draw(st.lists(st.integers(0, 99), min_size=len(rows), max_size=len(rows)))
    prompts = [torch.tensor([row]) for row in rows]
    for method in ("eagle", "lookup"):
        batch = generate_batch(random_pairs["random"], prompts, cfg, method, seeds)
        assert [run.new_ids for run in batch.generations] == [
            run.new_ids for run in alone(random_pairs["random"], prompts, cfg, method, seeds)]


@pytest.mark.parametrize("method", ["greedy", "lookup", "heads", "eagle"])
def test_a_round_checks_the_drafts_of_all_in_one_pass(random_pairs, monkeypatch, method):
    passes = []
    together, feed = LeanGPT2.together, LeanGPT2.feed
    monkeypatch.setattr(LeanGPT2, "together", lambda *args: passes.append(len(args[0])) or together(*args))
    monkeypatch.setattr(LeanGPT2, "feed", lambda *args: passes.append(1) or feed(*args))
    batch = generate_batch(random_pairs["right"], PROMPTS, Cfg(max_new_tokens=12, draft_span=3, topk_branch=1), method)
    verifying = [len(tokens) for drafting, tokens in batch.rounds if not drafting]
    assert passes == verifying and verifying[0] == 4 and len(verifying) == max(run.verifier_calls for run in batch.generations)


def test_a_prompt_that_ends_leaves_the_others_going(random_pairs):
    pair = random_pairs["random"]
    long = generate_batch(pair, PROMPTS, Cfg(max_new_tokens=30), "greedy")
    eos = long.generations[0].new_ids[4]
    verifier = pair.verifier
    before = verifier.generation_config.eos_token_id
    verifier.generation_config.eos_token_id = eos
    try:
        short = generate_batch(pair, PROMPTS, Cfg(max_new_tokens=30), "eagle")
        single = alone(pair, PROMPTS, Cfg(max_new_tokens=30), "eagle", range(42, 46))
    finally:
        verifier.generation_config.eos_token_id = before
    assert [run.new_ids for run in short.generations] == [run.new_ids for run in single]
    assert short.generations[0].finish_reason == "eos" and len(short.generations[0].new_ids) <= 5
    assert [run.finish_reason for run in short.generations] == [run.finish_reason for run in single]


def test_the_bundled_pair_writes_each_story_as_transformers_does(stories):
    prompts = ["The old clock in the hall had stopped, and", "Once upon a time", "Grandpa gave Sue a small key"]
    batch = generate_batch(stories, prompts, Cfg(max_new_tokens=40, topk_branch=1, draft_span=4), "eagle")
    for prompt, run in zip(prompts, batch.generations):
        ids = stories.tokenizer(prompt, return_tensors="pt")["input_ids"]
        written = stories.verifier.generate(ids, max_new_tokens=40, do_sample=False, attention_mask=torch.ones_like(ids), pad_token_id=0)
        assert run.new_ids == written[0, ids.shape[1]:].tolist() and str(run) == run.text
    assert sum(not drafting for drafting, _ in batch.rounds) < 20


@pytest.mark.parametrize("options, sentence", [
    ({"prompts": []}, "A batch needs a list of prompts with at least one in it."),
    ({"prompts": "Once"}, "A batch needs a list of prompts with at least one in it."),
    ({"seeds": [1, 2]}, "There are 2 seeds for 4 prompts: give each prompt one."),
    ({"method": "auto"}, "Method 'auto' goes by what passes take for one prompt: name the method that is to draft."),
    ({"method": "medusa_lite"}, "Method 'medusa_lite' has no cached passes that could be made together: use 'one_pass'."),
    ({"method": "nonsense"}, "There is no method 'nonsense'"),
])
def test_what_a_batch_cannot_do_is_one_sentence(random_pairs, options, sentence):
    arguments = {"prompts": PROMPTS, "cfg": Cfg(max_new_tokens=4), "method": "eagle"} | options
    with pytest.raises(ValueError, match=sentence.replace("(", r"\(")):
        generate_batch(random_pairs["random"], **arguments)
