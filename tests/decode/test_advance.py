"""The loop: what a run writes, and when it ends."""
from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from specdec_utils import METHODS, Cfg, ModelPair, generate, greedy_generate, medusa_generate

PROMPT = torch.tensor([[5, 17, 3, 9]])
ALL = list(METHODS)


def start(*row):
    return torch.tensor([row])


def with_eos(pair, eos):
    """`pair` with a verifier of its own whose EOS is `eos`."""
    verifier = deepcopy(pair.verifier)
    verifier.generation_config.eos_token_id = eos
    return ModelPair(pair.drafter, verifier, heads=pair.heads, eagle=pair.eagle)


# -- greedy equality with transformers (the whole matrix is in test_greedy_equality.py)

@pytest.fixture(scope="module")
def expected(random_pairs):
    """expected(penalty, ngram, n, eos): the verifier's greedy continuation of PROMPT as `transformers` writes it."""
    known, verifier = {}, random_pairs["random"].verifier

    def lookup(penalty, ngram, n, eos=None):
        if (penalty, ngram, n, eos) not in known:
            known[penalty, ngram, n, eos] = verifier.generate(
                PROMPT, attention_mask=torch.ones_like(PROMPT), do_sample=False, max_new_tokens=n, pad_token_id=0,
                eos_token_id=eos, repetition_penalty=penalty, no_repeat_ngram_size=ngram)[0, 4:].tolist()
        return known[penalty, ngram, n, eos]
    return lookup


@pytest.mark.parametrize("method", ALL)
def test_drafters_are_what_their_names_say(random_pairs, method):
    cfg = Cfg(max_new_tokens=24, topk_branch=4, draft_span=3, temperature=0)
    right = generate(random_pairs["right"], PROMPT, cfg, method)
    added = [len(step.new_ids) for step in right.steps]
    if method in ("medusa_lite", "one_pass", "tree"):
        wrong = generate(random_pairs["wrong"], PROMPT, replace(cfg, temperature=0.8, top_p=0.5), method)
        assert all(branch.accepted == 0 for step in wrong.steps for branch in step.branches)
        assert added == [3 if method == "medusa_lite" else 4] * len(added)  # the cached ones add the verifier's own token


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4, 5])
@pytest.mark.parametrize("method, draft", [("medusa_lite", "auto"), ("one_pass", "branches"), ("tree", "branches"), ("tree", "paths"),
                                           ("tree", "top")])
def test_output_does_not_depend_on_the_seed(random_pairs, expected, method, draft, seed):
    cfg = Cfg(max_new_tokens=9, seed=seed, temperature=5.0, top_p=1.0, draft=draft)
    assert generate(random_pairs["random"], PROMPT, cfg, method).new_ids == expected(1.0, 0, 9)


@pytest.mark.parametrize("method", ALL)
def test_bundled_pair_equals_transformers(stories, reference, method):
    prompt = "One day, a small dog"
    out = generate(stories, prompt, Cfg(max_new_tokens=12), method)
    ids = stories.tokenizer(prompt, return_tensors="pt")["input_ids"]
    assert out.new_ids == reference(stories.verifier, ids, 12, eos_token_id=list(stories.eos_ids))
    assert out.prompt_ids == ids[0].tolist() and out.text.startswith(prompt) and str(out) == out.text
    assert out.method == method and out.seconds > 0


# -- EOS

@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("offset", range(10))
def test_eos_at_every_offset_of_a_block_ends_the_output(counting, method, offset):
    pair = counting(sharpness=9.0, heads=True, eagle=True, eos=6 + offset)  # the verifier goes on 6, 7, 8 ...
    out = generate(pair, start(5), Cfg(max_new_tokens=12, draft_span=8, topk_branch=2), method)
    assert out.new_ids == [6 + i for i in range(offset + 1)] and out.finish_reason == "eos"
    assert [token for step in out.steps for token in step.new_ids] == out.new_ids


@pytest.mark.parametrize("method", ALL)
def test_eos_as_correction_of_a_wrong_draft_ends_the_output(counting, method):
    out = generate(counting(draft=lambda token: token + 2, heads=True, eagle=True, eos=[8, 29]), start(5), Cfg(max_new_tokens=12), method)
    assert (out.new_ids, out.finish_reason) == ([6, 7, 8], "eos")
    assert out.steps[-1].extra == 8


@pytest.mark.parametrize("kind", ["random", "right", "wrong"])
@pytest.mark.parametrize("method", ALL)
def test_eos_equals_transformers_on_random_models(random_pairs, expected, kind, method):
    free = expected(1.3, 2, 24)
    for eos in dict.fromkeys(free[:9]):
        pair = with_eos(random_pairs[kind], eos)
        out = generate(pair, PROMPT,
                       Cfg(max_new_tokens=24, draft_span=8, repetition_penalty=1.3, no_repeat_ngram_size=2, top_p=0.5), method)
        assert out.new_ids == free[:free.index(eos) + 1]
        assert out.new_ids == expected(1.3, 2, 24, eos)
        assert out.finish_reason == "eos"


@pytest.mark.parametrize("method", ALL)
def test_eos_as_the_last_allowed_token_is_eos_not_length(counting, method):
    assert generate(counting(heads=True, eagle=True, eos=8), start(5), Cfg(max_new_tokens=3), method).finish_reason == "eos"


@pytest.mark.parametrize("method", ALL)
def test_eos_in_the_prompt_ends_nothing(counting, method):
    out = generate(counting(heads=True, eagle=True, eos=5), start(5, 5), Cfg(max_new_tokens=3), method)
    assert (out.new_ids, out.finish_reason) == ([6, 7, 8], "length")


# -- length and context

@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("draft", [1, 2])
@pytest.mark.parametrize("n", range(1, 10))
def test_length_is_exact(counting, method, draft, n):
    out = generate(counting(lambda token: token + draft, heads=True, eagle=True), start(5), Cfg(max_new_tokens=n, draft_span=4), method)
    assert out.new_ids == list(range(6, 6 + n)) and out.finish_reason == "length"


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("kind", ["right", "wrong"])
@pytest.mark.parametrize("length", [24, 29, 30, 31, 32])
def test_context_limit_stops_the_run_with_what_it_has(random_model, random_heads, random_eagle, reference, method, kind, length):
    verifier = random_model(1, context=32)
    drafter = verifier if kind == "right" else random_model(2, context=32)
    prompt = torch.randint(0, 29, (1, length), generator=torch.Generator().manual_seed(length))
    pair = ModelPair(drafter, verifier, heads=random_heads(), eagle=random_eagle(context=32))
    out = generate(pair, prompt, Cfg(max_new_tokens=20, draft_span=8), method)
    assert len(out.prompt_ids) + len(out.new_ids) == 32 and out.finish_reason == "context"
    assert out.new_ids == (reference(verifier, prompt, 32 - length) if length < 32 else [])


@pytest.mark.parametrize("method", ALL)
def test_prompt_of_the_whole_context_gives_no_token_and_costs_no_pass(counting, real_calls, method):
    pair = counting(context=8, heads=True, eagle=True)
    calls = real_calls(pair)
    out = generate(pair, torch.arange(8)[None], Cfg(), method)
    assert (out.new_ids, out.steps, out.finish_reason) == ([], [], "context")
    assert calls == {"drafter": 0, "verifier": 0} and (out.verifier_calls, out.drafter_calls) == (0, 0)


@pytest.mark.parametrize("method", ALL)
def test_filling_the_context_with_the_last_asked_token_is_length(counting, method):
    out = generate(counting(context=8, heads=True, eagle=True), start(0, 1, 2, 3, 4), Cfg(max_new_tokens=3), method)
    assert (out.new_ids, out.finish_reason) == ([5, 6, 7], "length")


@pytest.mark.parametrize("method", ALL)
def test_shorter_context_of_the_two_models_is_the_limit(rule_model, random_heads, random_eagle, method):
    count = [(t + 1) % 30 for t in range(30)]
    pair = ModelPair(rule_model(count, context=8), rule_model(count, context=64), heads=random_heads(width=30),
                     eagle=random_eagle(width=30, vocab_size=30, heads=1, context=8))
    assert generate(pair, start(0, 1, 2), Cfg(), method).new_ids == [3, 4, 5, 6, 7]


# -- the entry point

def test_shortcuts_are_the_methods_of_their_names_and_auto_is_the_default(random_pairs):
    pair, cfg = random_pairs["random"], Cfg(max_new_tokens=5)
    assert medusa_generate(pair, PROMPT, cfg).method == "medusa_lite" and greedy_generate(pair, PROMPT, cfg).method == "greedy"
    assert generate(pair, PROMPT, cfg).method == "auto"
    assert medusa_generate(pair, PROMPT, cfg).new_ids == greedy_generate(pair, PROMPT, cfg).new_ids


def test_default_settings_write_thirty_tokens(counting):
    assert len(generate(counting(), start(0)).new_ids) == Cfg().max_new_tokens


def test_top_drafts_draw_nothing(random_pairs):
    """Without drawing, the drafts cannot depend on the seed."""
    trees = [[step.tree.tokens for step in generate(random_pairs["random"], PROMPT, Cfg(max_new_tokens=9, seed=seed)).steps]
             for seed in (0, 1, 2)]
    assert trees[0] == trees[1] == trees[2]


def test_prompt_tensor_stays_as_it_was(random_pairs):
    prompt = PROMPT.clone()
    generate(random_pairs["random"], prompt, Cfg(max_new_tokens=3))
    assert torch.equal(prompt, PROMPT)


def test_text_is_empty_without_a_tokenizer(counting):
    assert str(generate(counting(), start(0), Cfg(max_new_tokens=2))) == ""


@pytest.mark.parametrize("change, message", [
    (dict(method="magic"), r"There is no method 'magic': use one of \['auto', 'eagle', 'greedy', 'heads', 'lookup', 'medusa_lite'"),
    (dict(cfg=Cfg(do_sample=True), method="medusa_lite"), "greedy tokens only: use do_sample=False or 'one_pass'"),
    (dict(method="heads"), "Pair 'custom' has no Medusa heads: train some, or use method 'tree'"),
    (dict(method="eagle"), "Pair 'custom' has no eagle drafter: train one, or use method 'tree'"),
    (dict(cfg=Cfg(draft="top"), method="one_pass"), "use draft='branches' or 'tree', not 'top'"),
    (dict(cfg=Cfg(do_sample=True, acceptance="with_replacement")), "does not fit how 'auto' drafts here: use one of"),
    (dict(prompt=torch.zeros(1, 0, dtype=torch.long)), "prompt is empty"),
    (dict(prompt=torch.zeros(1, 65, dtype=torch.long)), "65 tokens; pair 'custom' takes at most 64")])
def test_bad_input_is_one_sentence_before_any_model_runs(counting, real_calls, change, message):
    pair = counting()
    calls = real_calls(pair)
    with pytest.raises(ValueError, match=message) as caught:
        generate(pair, **{"prompt": start(0), **change})
    assert calls == {"drafter": 0, "verifier": 0} and "\n" not in str(caught.value)


def test_sampling_an_impossible_draft_ends_in_tokens_not_in_a_crash(counting):
    """A drafter so sure that all other tokens have probability 0: levels of the tree run dry without an error."""
    for draft in ("branches", "paths", "top"):
        for do_sample in (False, True):
            cfg = Cfg(max_new_tokens=9, draft=draft, do_sample=do_sample, draft_span=5)
            out = generate(counting(sharpness=500.0), start(0), cfg)
            assert out.new_ids == list(range(1, 10)) and all(len(step.branches) <= 1 for step in out.steps)
