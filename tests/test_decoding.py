from copy import deepcopy

import pytest
import torch

from specdec_utils import (
    METHODS,
    Cfg,
    ModelPair,
    count_calls,
    generate,
    greedy_generate,
    last_token_logits,
    medusa_generate,
    medusa_step,
    safe_top_p_filter,
)

PROMPT = torch.tensor([[5, 17, 3, 9]])
ALL = list(METHODS)


def start(*row):
    return torch.tensor([row])


# -- greedy equality with transformers

@pytest.fixture(scope="module")
def expected(random_pairs):
    """expected(penalty, ngram, n): the verifier's greedy continuation of PROMPT as `transformers` writes it."""
    known, verifier = {}, random_pairs["random"].verifier

    def lookup(penalty, ngram, n):
        if (penalty, ngram, n) not in known:
            known[penalty, ngram, n] = verifier.generate(
                PROMPT, attention_mask=torch.ones_like(PROMPT), do_sample=False, max_new_tokens=n, pad_token_id=0,
                repetition_penalty=penalty, no_repeat_ngram_size=ngram)[0, 4:].tolist()
        return known[penalty, ngram, n]
    return lookup


@pytest.mark.parametrize("span", [1, 3, 8])
@pytest.mark.parametrize("branches", [1, 4])
@pytest.mark.parametrize("n", [1, 2, 9, 24])
@pytest.mark.parametrize("penalty, ngram", [(1.0, 0), (1.0, 2), (1.3, 0), (1.3, 2)])
@pytest.mark.parametrize("drafter", ["random", "right", "wrong"])
def test_medusa_lite_equals_transformers(random_pairs, expected, drafter, penalty, ngram, n, branches, span):
    cfg = Cfg(max_new_tokens=n, repetition_penalty=penalty, no_repeat_ngram_size=ngram, topk_branch=branches, draft_span=span,
              top_p=0.5)
    out = generate(random_pairs[drafter], PROMPT, cfg, "medusa_lite")
    assert out.new_ids == expected(penalty, ngram, n)
    assert (len(out.new_ids), out.finish_reason) == (n, "length")


@pytest.mark.parametrize("n", [1, 2, 9, 24])
@pytest.mark.parametrize("penalty, ngram", [(1.0, 0), (1.0, 2), (1.3, 0), (1.3, 2)])
def test_greedy_equals_transformers(random_pairs, expected, penalty, ngram, n):
    cfg = Cfg(max_new_tokens=n, repetition_penalty=penalty, no_repeat_ngram_size=ngram)
    assert generate(random_pairs["random"], PROMPT, cfg, "greedy").new_ids == expected(penalty, ngram, n)


def test_penalties_change_what_the_random_verifier_writes(expected):
    """The matrix above proves something only if its settings lead to different outputs."""
    assert len({tuple(expected(penalty, ngram, 24)) for penalty in (1.0, 1.3) for ngram in (0, 2)}) >= 3


def test_drafters_are_what_their_names_say(random_pairs):
    cfg = Cfg(max_new_tokens=24, topk_branch=4, draft_span=3, top_p=0.5)
    wrong = generate(random_pairs["wrong"], PROMPT, cfg)
    assert all(branch.accepted == 0 for step in wrong.steps for branch in step.branches)
    right = generate(random_pairs["right"], PROMPT, Cfg(max_new_tokens=24, draft_span=3, temperature=0))
    assert [len(step.new_ids) for step in right.steps] == [3] * 8


@pytest.mark.parametrize("seed", [0, 1, 2, 3, 4, 5])
def test_output_does_not_depend_on_the_seed(random_pairs, expected, seed):
    cfg = Cfg(max_new_tokens=9, seed=seed, temperature=5.0, top_p=1.0)
    assert generate(random_pairs["random"], PROMPT, cfg).new_ids == expected(1.0, 0, 9)


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
    pair = counting(sharpness=9.0)
    pair.verifier.generation_config.eos_token_id = 6 + offset  # the verifier goes on 6, 7, 8 ...
    pair = ModelPair(pair.drafter, pair.verifier)
    out = generate(pair, start(5), Cfg(max_new_tokens=12, draft_span=8, topk_branch=2), method)
    assert out.new_ids == [6 + i for i in range(offset + 1)] and out.finish_reason == "eos"
    assert [token for step in out.steps for token in step.new_ids] == out.new_ids


@pytest.mark.parametrize("method", ALL)
def test_eos_as_correction_of_a_wrong_draft_ends_the_output(counting, method):
    pair = counting(draft=lambda token: token + 2)
    pair.verifier.generation_config.eos_token_id = [8, 29]
    out = generate(ModelPair(pair.drafter, pair.verifier), start(5), Cfg(max_new_tokens=12), method)
    assert (out.new_ids, out.finish_reason) == ([6, 7, 8], "eos")


@pytest.mark.parametrize("kind", ["random", "right", "wrong"])
@pytest.mark.parametrize("method", ALL)
def test_eos_equals_transformers_on_random_models(random_pairs, expected, reference, kind, method):
    free, verifier = expected(1.3, 2, 24), deepcopy(random_pairs[kind].verifier)
    for eos in dict.fromkeys(free[:9]):
        verifier.generation_config.eos_token_id = eos
        out = generate(ModelPair(random_pairs[kind].drafter, verifier), PROMPT,
                       Cfg(max_new_tokens=24, draft_span=8, repetition_penalty=1.3, no_repeat_ngram_size=2, top_p=0.5), method)
        assert out.new_ids == free[:free.index(eos) + 1]
        assert out.new_ids == reference(verifier, PROMPT, 24, repetition_penalty=1.3, no_repeat_ngram_size=2)
        assert out.finish_reason == "eos"


@pytest.mark.parametrize("method", ALL)
def test_eos_as_the_last_allowed_token_is_eos_not_length(counting, method):
    pair = counting()
    pair.verifier.generation_config.eos_token_id = 8
    assert generate(ModelPair(pair.drafter, pair.verifier), start(5), Cfg(max_new_tokens=3), method).finish_reason == "eos"


@pytest.mark.parametrize("method", ALL)
def test_eos_in_the_prompt_ends_nothing(counting, method):
    pair = counting()
    pair.verifier.generation_config.eos_token_id = 5
    out = generate(ModelPair(pair.drafter, pair.verifier), start(5, 5), Cfg(max_new_tokens=3), method)
    assert (out.new_ids, out.finish_reason) == ([6, 7, 8], "length")


# -- length and context

@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("draft", [1, 2])
@pytest.mark.parametrize("n", range(1, 10))
def test_length_is_exact(counting, method, draft, n):
    out = generate(counting(lambda token: token + draft), start(5), Cfg(max_new_tokens=n, draft_span=4), method)
    assert out.new_ids == list(range(6, 6 + n)) and out.finish_reason == "length"


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("kind", ["right", "wrong"])
@pytest.mark.parametrize("length", [24, 29, 30, 31, 32])
def test_context_limit_stops_the_run_with_what_it_has(random_model, reference, method, kind, length):
    verifier = random_model(1, context=32)
    drafter = verifier if kind == "right" else random_model(2, context=32)
    prompt = torch.randint(0, 29, (1, length), generator=torch.Generator().manual_seed(length))
    out = generate(ModelPair(drafter, verifier), prompt, Cfg(max_new_tokens=20, draft_span=8), method)
    assert len(out.prompt_ids) + len(out.new_ids) == 32 and out.finish_reason == "context"
    assert out.new_ids == (reference(verifier, prompt, 32 - length) if length < 32 else [])


@pytest.mark.parametrize("method", ALL)
def test_prompt_of_the_whole_context_gives_no_token_and_costs_no_pass(counting, real_calls, method):
    pair = counting(context=8)
    calls = real_calls(pair)
    out = generate(pair, torch.arange(8)[None], Cfg(), method)
    assert (out.new_ids, out.steps, out.finish_reason) == ([], [], "context")
    assert calls == {"drafter": 0, "verifier": 0} and (out.verifier_calls, out.drafter_calls) == (0, 0)


@pytest.mark.parametrize("method", ALL)
def test_filling_the_context_with_the_last_asked_token_is_length(counting, method):
    out = generate(counting(context=8), start(0, 1, 2, 3, 4), Cfg(max_new_tokens=3), method)
    assert (out.new_ids, out.finish_reason) == ([5, 6, 7], "length")


@pytest.mark.parametrize("method", ALL)
def test_shorter_context_of_the_two_models_is_the_limit(rule_model, method):
    count = [(t + 1) % 30 for t in range(30)]
    pair = ModelPair(rule_model(count, context=8), rule_model(count, context=64))
    assert generate(pair, start(0, 1, 2), Cfg(), method).new_ids == [3, 4, 5, 6, 7]


# -- calls and records

@pytest.mark.parametrize("kind", ["random", "right", "wrong"])
@pytest.mark.parametrize("method", ALL)
def test_reported_calls_are_the_real_forward_passes(random_pairs, real_calls, kind, method):
    pair = random_pairs[kind]
    calls = real_calls(pair)
    out = generate(pair, PROMPT, Cfg(max_new_tokens=9, draft_span=4, top_p=0.5), method)
    assert {"drafter": out.drafter_calls, "verifier": out.verifier_calls} == calls
    assert sum(step.verifier_calls for step in out.steps) == calls["verifier"]
    assert sum(step.drafter_calls for step in out.steps) == calls["drafter"]


def test_greedy_costs_one_pass_a_token_and_reads_each_token_once(random_pairs, monkeypatch):
    pair, lengths = random_pairs["random"], []
    forward = pair.verifier.forward
    monkeypatch.setattr(pair.verifier, "forward", lambda ids, **kw: lengths.append(ids.shape[1]) or forward(ids, **kw))
    out = greedy_generate(pair, PROMPT, Cfg(max_new_tokens=6))
    assert lengths == [4, 1, 1, 1, 1, 1] and (out.verifier_calls, out.drafter_calls, out.method) == (6, 0, "greedy")


@pytest.mark.parametrize("k, span", [(1, 1), (4, 3), (3, 8)])
def test_step_of_wrong_drafts_costs_one_verifier_pass_a_branch(random_pairs, k, span):
    pair = random_pairs["wrong"]
    _, step = medusa_step(pair, PROMPT, Cfg(topk_branch=k, draft_span=span, temperature=5.0, top_p=0.5))
    assert len(step.branches) == k
    assert (step.verifier_calls, step.drafter_calls) == (k, 1 + k * (span - 1))


def test_count_calls_removes_its_hooks(counting):
    pair = counting()
    with count_calls(pair) as calls:
        pair.verifier(start(1))
        pair.verifier(start(1))
        pair.drafter(start(1))
    pair.verifier(start(1))
    assert calls == {"drafter": 1, "verifier": 2}
    with pytest.raises(KeyError), count_calls(pair):
        raise KeyError
    assert not pair.verifier._forward_hooks and not pair.drafter._forward_hooks


def test_step_records_the_verifiers_view_of_every_branch(counting):
    pair = counting(draft=lambda token: token + (2 if token == 7 else 1), sharpness=9.0)
    ids, step = medusa_step(pair, start(5), Cfg(topk_branch=1, draft_span=4))
    (branch,) = step.branches
    assert branch.tokens == [6, 7, 9, 10] and branch.choices == [6, 7, 8]
    assert (branch.accepted, branch.mismatched, branch.score) == (2, True, 1)
    assert len(branch.draft_probs) == 4 and all(0 < q <= 1.0001 for q in branch.draft_probs)
    assert branch.choice_probs == pytest.approx([1, 1, 1], abs=1e-3)
    assert branch.verifier_probs == pytest.approx([1, 1, 0], abs=1e-3)
    assert (step.context, step.best, step.new_ids, step.extra) == (1, 0, [6, 7, 8], 8)
    assert ids.tolist() == [[5, 6, 7, 8]] and branch.distributions == []


@pytest.mark.parametrize("temperature, top_p", [(0.5, 0.9), (0.8, 0.4), (3.0, 0.6)])
def test_drafts_come_from_the_temperature_and_nucleus_that_were_asked_for(counting, temperature, top_p):
    pair = counting()
    probs = torch.softmax(last_token_logits(pair.drafter, start(5)) / temperature, dim=-1)
    nucleus = safe_top_p_filter(probs, top_p)
    _, step = medusa_step(pair, start(5), Cfg(topk_branch=30, draft_span=1, temperature=temperature, top_p=top_p))
    drafted = {branch.tokens[0]: branch.draft_probs[0] for branch in step.branches}
    assert drafted == pytest.approx({int(t): (probs[t] / probs[nucleus].sum()).item() for t in nucleus})


def test_best_branch_wins_and_the_first_of_equals(counting):
    _, step = medusa_step(counting(), start(5), Cfg(topk_branch=4, draft_span=3, temperature=3.0, top_p=1.0))
    scores = [branch.score for branch in step.branches]
    assert len(scores) == 4 and step.best == scores.index(max(scores))
    for branch in step.branches:  # only a branch that starts with the verifier's token can win
        assert branch.score == (3 if branch.tokens[0] == 6 else -1)


def test_fully_accepted_branch_has_no_extra_token(counting):
    _, step = medusa_step(counting(sharpness=9.0), start(5), Cfg(draft_span=3))
    assert (step.new_ids, step.extra) == ([6, 7, 8], None)


@pytest.mark.parametrize("cfg, room, added", [(dict(draft_span=8), 64, 8), (dict(draft_span=8, max_new_tokens=2), 64, 2),
                                              (dict(draft_span=8), 3, 3)])
def test_step_adds_no_more_than_span_length_and_context_allow(counting, cfg, room, added):
    _, step = medusa_step(counting(context=1 + room if room < 64 else 64, sharpness=9.0), start(5), Cfg(**cfg))
    assert len(step.new_ids) == added


def test_step_in_a_full_context_is_refused(counting):
    with pytest.raises(ValueError, match="The context is full: 8 of 8 positions are taken"):
        medusa_step(counting(context=8), torch.arange(8)[None], Cfg())


@pytest.mark.parametrize("method", ALL)
def test_steps_join_up_to_the_output(random_pairs, method):
    out = generate(random_pairs["random"], PROMPT, Cfg(max_new_tokens=13), method)
    written = 4
    for step in out.steps:
        assert step.context == written and step.new_ids
        written += len(step.new_ids)
    assert [token for step in out.steps for token in step.new_ids] == out.new_ids and out.prompt_ids == [5, 17, 3, 9]


def test_debug_prints_steps_and_keeps_full_distributions(random_pairs, capsys):
    pair = random_pairs["random"]
    out = generate(pair, PROMPT, Cfg(max_new_tokens=4, debug=True))
    branch = out.steps[0].branches[0]
    torch.testing.assert_close(branch.distributions[0], torch.softmax(last_token_logits(pair.verifier, PROMPT), dim=-1))
    assert len(branch.distributions) == len(branch.choices)
    assert capsys.readouterr().out.count("step ") == len(out.steps)
    generate(pair, PROMPT, Cfg(max_new_tokens=4))
    assert capsys.readouterr().out == ""


# -- the entry point

def test_shortcuts_are_the_methods_of_their_names(random_pairs):
    pair, cfg = random_pairs["random"], Cfg(max_new_tokens=5)
    assert medusa_generate(pair, PROMPT, cfg).method == generate(pair, PROMPT, cfg).method == "medusa_lite"
    assert medusa_generate(pair, PROMPT, cfg).new_ids == greedy_generate(pair, PROMPT, cfg).new_ids


def test_default_settings_write_thirty_tokens(counting):
    assert len(generate(counting(), start(0)).new_ids) == Cfg().max_new_tokens


def test_run_repeats_with_its_seed_and_leaves_the_callers_random_numbers_alone(random_pairs):
    pair, cfg = random_pairs["random"], Cfg(max_new_tokens=6, temperature=5.0, top_p=1.0)
    torch.manual_seed(1)
    untouched = torch.rand(3)
    torch.manual_seed(1)
    first = generate(pair, PROMPT, cfg)
    assert torch.equal(torch.rand(3), untouched)
    drafts = [[branch.tokens for branch in step.branches] for step in first.steps]
    again = generate(pair, PROMPT, cfg)
    assert [[branch.tokens for branch in step.branches] for step in again.steps] == drafts


def test_prompt_tensor_stays_as_it_was(random_pairs):
    prompt = PROMPT.clone()
    generate(random_pairs["random"], prompt, Cfg(max_new_tokens=3))
    assert torch.equal(prompt, PROMPT)


def test_text_is_empty_without_a_tokenizer(counting):
    assert str(generate(counting(), start(0), Cfg(max_new_tokens=2))) == ""


@pytest.mark.parametrize("change, message", [
    (dict(method="magic"), r"There is no method 'magic': use one of \['greedy', 'medusa_lite'"),
    (dict(cfg=Cfg(do_sample=True)), "use do_sample=False"), (dict(prompt=torch.zeros(1, 0, dtype=torch.long)), "prompt is empty"),
    (dict(prompt=torch.zeros(1, 65, dtype=torch.long)), "65 tokens; pair 'custom' takes at most 64")])
def test_bad_input_is_one_sentence_before_any_model_runs(counting, real_calls, change, message):
    pair = counting()
    calls = real_calls(pair)
    with pytest.raises(ValueError, match=message) as caught:
        generate(pair, **{"prompt": start(0), **change})
    assert calls == {"drafter": 0, "verifier": 0} and "\n" not in str(caught.value)
