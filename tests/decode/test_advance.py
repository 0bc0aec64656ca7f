from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from specdec_utils import (
    METHODS,
    Cfg,
    LeanGPT2,
    ModelPair,
    Step,
    TokenTree,
    count_calls,
    generate,
    greedy_generate,
    last_token_logits,
    medusa_generate,
    medusa_step,
    safe_top_p_filter,
)
from specdec_utils.decode.methods import check_method, methods_of
from specdec_utils.decode.records import finish_record

PROMPT = torch.tensor([[5, 17, 3, 9]])
ALL = list(METHODS)
CACHED = [method for method in ALL if method != "medusa_lite"]


def start(*row):
    return torch.tensor([row])


def with_eos(pair, eos):
    """`pair` with a verifier of its own whose EOS is `eos`."""
    verifier = deepcopy(pair.verifier)
    verifier.generation_config.eos_token_id = eos
    return ModelPair(pair.drafter, verifier, heads=pair.heads)


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
    pair = counting(sharpness=9.0, heads=True, eos=6 + offset)  # the verifier goes on 6, 7, 8 ...
    out = generate(pair, start(5), Cfg(max_new_tokens=12, draft_span=8, topk_branch=2), method)
    assert out.new_ids == [6 + i for i in range(offset + 1)] and out.finish_reason == "eos"
    assert [token for step in out.steps for token in step.new_ids] == out.new_ids


@pytest.mark.parametrize("offset", range(8))
@pytest.mark.parametrize("method", ["one_pass", "tree"])
def test_step_that_an_eos_cut_says_so(counting, method, offset):
    """All 8 drafted tokens and the verifier's own were accepted; what stands behind the EOS is dropped from the record."""
    pair = counting(sharpness=9.0, eos=6 + offset)
    (step,) = generate(pair, start(5), Cfg(max_new_tokens=12, draft_span=8, topk_branch=1), method).steps
    (branch,) = step.branches
    assert branch.tokens == list(range(6, 14)) and branch.accepted == offset + 1 and not branch.mismatched
    assert branch.choices == step.new_ids == list(range(6, 7 + offset)) and step.extra is None
    assert len(branch.choice_probs) == offset + 1


@pytest.mark.parametrize("method", ["medusa_lite", "one_pass", "tree"])
def test_correction_behind_an_eos_is_no_part_of_the_record(counting, method):
    pair = counting(draft=lambda token: token + (2 if token == 7 else 1), sharpness=9.0, eos=6)
    (step,) = generate(pair, start(5), Cfg(max_new_tokens=9, topk_branch=1, draft_span=4), method).steps  # 6 7 and, for 9, 8
    assert (step.new_ids, step.extra) == ([6], None)


@pytest.mark.parametrize("method", ALL)
def test_eos_as_correction_of_a_wrong_draft_ends_the_output(counting, method):
    out = generate(counting(draft=lambda token: token + 2, heads=True, eos=[8, 29]), start(5), Cfg(max_new_tokens=12), method)
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
    assert generate(counting(heads=True, eos=8), start(5), Cfg(max_new_tokens=3), method).finish_reason == "eos"


@pytest.mark.parametrize("method", ALL)
def test_eos_in_the_prompt_ends_nothing(counting, method):
    out = generate(counting(heads=True, eos=5), start(5, 5), Cfg(max_new_tokens=3), method)
    assert (out.new_ids, out.finish_reason) == ([6, 7, 8], "length")


# -- length and context

@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("draft", [1, 2])
@pytest.mark.parametrize("n", range(1, 10))
def test_length_is_exact(counting, method, draft, n):
    out = generate(counting(lambda token: token + draft, heads=True), start(5), Cfg(max_new_tokens=n, draft_span=4), method)
    assert out.new_ids == list(range(6, 6 + n)) and out.finish_reason == "length"


@pytest.mark.parametrize("method", ALL)
@pytest.mark.parametrize("kind", ["right", "wrong"])
@pytest.mark.parametrize("length", [24, 29, 30, 31, 32])
def test_context_limit_stops_the_run_with_what_it_has(random_model, random_heads, reference, method, kind, length):
    verifier = random_model(1, context=32)
    drafter = verifier if kind == "right" else random_model(2, context=32)
    prompt = torch.randint(0, 29, (1, length), generator=torch.Generator().manual_seed(length))
    out = generate(ModelPair(drafter, verifier, heads=random_heads()), prompt, Cfg(max_new_tokens=20, draft_span=8), method)
    assert len(out.prompt_ids) + len(out.new_ids) == 32 and out.finish_reason == "context"
    assert out.new_ids == (reference(verifier, prompt, 32 - length) if length < 32 else [])


@pytest.mark.parametrize("method", ALL)
def test_prompt_of_the_whole_context_gives_no_token_and_costs_no_pass(counting, real_calls, method):
    pair = counting(context=8, heads=True)
    calls = real_calls(pair)
    out = generate(pair, torch.arange(8)[None], Cfg(), method)
    assert (out.new_ids, out.steps, out.finish_reason) == ([], [], "context")
    assert calls == {"drafter": 0, "verifier": 0} and (out.verifier_calls, out.drafter_calls) == (0, 0)


@pytest.mark.parametrize("method", ALL)
def test_filling_the_context_with_the_last_asked_token_is_length(counting, method):
    out = generate(counting(context=8, heads=True), start(0, 1, 2, 3, 4), Cfg(max_new_tokens=3), method)
    assert (out.new_ids, out.finish_reason) == ([5, 6, 7], "length")


@pytest.mark.parametrize("method", ALL)
def test_shorter_context_of_the_two_models_is_the_limit(rule_model, random_heads, method):
    count = [(t + 1) % 30 for t in range(30)]
    pair = ModelPair(rule_model(count, context=8), rule_model(count, context=64), heads=random_heads(width=30))
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


@pytest.mark.parametrize("method, draft", [("greedy", "auto"), ("one_pass", "branches"), ("tree", "branches"), ("tree", "paths"),
                                           ("tree", "top"), ("lookup", "auto"), ("heads", "auto")])
@pytest.mark.parametrize("kind", ["random", "right", "wrong"])
def test_lean_runs_report_the_passes_that_ordinary_ones_really_make(random_pairs, real_calls, kind, method, draft):
    pair, cfg = random_pairs[kind], Cfg(max_new_tokens=12, draft_span=4, draft=draft, adaptive_span=True)
    assert LeanGPT2.knows(pair.verifier) and LeanGPT2.knows(pair.drafter)
    lean = generate(pair, PROMPT, cfg, method)
    calls = real_calls(pair)  # replaces both models' forward, so that no lean pass can be taken
    assert not LeanGPT2.knows(pair.verifier) and not LeanGPT2.knows(pair.drafter)
    ordinary = generate(pair, PROMPT, cfg, method)
    assert {"drafter": lean.drafter_calls, "verifier": lean.verifier_calls} == calls
    assert [(s.verifier_calls, s.drafter_calls, s.new_ids) for s in lean.steps] == [
        (s.verifier_calls, s.drafter_calls, s.new_ids) for s in ordinary.steps]
    assert [s.tree.tokens for s in lean.steps] == [s.tree.tokens for s in ordinary.steps]


def test_lean_false_takes_the_ordinary_pass(random_pairs, monkeypatch):
    monkeypatch.setattr(LeanGPT2, "feed", lambda *args, **kwargs: pytest.fail("a lean pass was taken"))
    generate(random_pairs["random"], PROMPT, Cfg(max_new_tokens=6, lean=False), "tree")
    with pytest.raises(pytest.fail.Exception):
        generate(random_pairs["random"], PROMPT, Cfg(max_new_tokens=6), "tree")


def test_hook_in_a_model_sees_every_pass_of_a_run(random_pairs):
    pair = random_pairs["random"]
    for method in CACHED:
        with count_calls(pair) as calls:
            out = generate(pair, PROMPT, Cfg(max_new_tokens=6), method)
        assert calls == {"drafter": out.drafter_calls, "verifier": out.verifier_calls}


@pytest.mark.parametrize("method", ["one_pass", "tree", "lookup", "heads"])
def test_cached_methods_cost_one_verifier_pass_a_step_and_one_drafter_pass_a_level(random_pairs, method):
    out = generate(random_pairs["random"], PROMPT, Cfg(max_new_tokens=16, draft_span=4), method)
    drafts = method in ("one_pass", "tree")
    for step in out.steps:
        levels = min(4, 4 + 16 - step.context - 1)  # the verifier's own token needs room too
        assert (step.verifier_calls, step.drafter_calls) == (1, levels if drafts else 0)


def test_greedy_costs_one_pass_a_token_and_reads_each_token_once(random_pairs, monkeypatch):
    pair, lengths = random_pairs["random"], []
    forward = pair.verifier.forward
    monkeypatch.setitem(vars(pair.verifier), "forward", lambda ids, **kw: lengths.append(ids.shape[1]) or forward(ids, **kw))
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


@pytest.mark.parametrize("method", ["one_pass", "tree"])
def test_cached_step_records_the_same_view_of_a_branch(counting, method):
    pair = counting(draft=lambda token: token + (2 if token == 7 else 1), sharpness=9.0)
    step = generate(pair, start(5), Cfg(max_new_tokens=9, topk_branch=1, draft_span=4), method).steps[0]
    (branch,) = step.branches
    assert branch.tokens == [6, 7, 9, 10] and branch.choices == [6, 7, 8]
    assert (branch.accepted, branch.mismatched, branch.score) == (2, True, 1)
    assert branch.draft_probs == pytest.approx([1, 1, 1, 1], abs=1e-3)
    assert branch.choice_probs == pytest.approx([1, 1, 1], abs=1e-3)
    assert branch.verifier_probs == pytest.approx([1, 1, 0], abs=1e-3)
    assert (step.context, step.best, step.new_ids, step.extra) == (1, 0, [6, 7, 8], 8)
    assert (step.tree.tokens, step.path, step.choices) == ([6, 7, 9, 10], [0, 1], [6, 7, 8, 10, 11])
    assert step.new_probs == pytest.approx([1, 1, 1], abs=1e-3) and step.distributions == branch.distributions == []


@pytest.mark.parametrize("method", ["one_pass", "tree"])
def test_fully_accepted_branch_of_a_cached_step_is_extended_by_the_verifier(counting, method):
    step = generate(counting(sharpness=9.0), start(5), Cfg(max_new_tokens=9, draft_span=3, topk_branch=1), method).steps[0]
    assert (step.new_ids, step.extra, step.branches[0].choices) == ([6, 7, 8, 9], 9, [6, 7, 8, 9])
    assert (step.branches[0].accepted, step.branches[0].mismatched, step.branches[0].score) == (3, False, 3)


@pytest.mark.parametrize("do_sample", [False, True])
@pytest.mark.parametrize("method", CACHED)
def test_records_of_cached_steps_agree_with_their_trees(random_pairs, method, do_sample):
    pair = random_pairs["right"]
    cfg = Cfg(max_new_tokens=14, draft_span=3, temperature=3.0, top_p=1.0, do_sample=do_sample, debug=True)
    out = generate(pair, PROMPT, cfg, method)
    context = out.prompt_ids
    for step in out.steps:
        tree, n = step.tree, len(step.new_ids)
        assert step.new_ids == [*(tree.tokens[node] for node in step.path), step.extra]
        assert [tree.parents[node] for node in step.path] == [-1, *step.path][:-1]
        assert (len(step.choices), len(step.choice_probs), len(step.node_probs)) == (1 + len(tree), 1 + len(tree), len(tree))
        assert len(step.new_probs) == len(step.distributions) == n
        for i, token in enumerate(step.new_ids):  # asked again, without cache
            logits = last_token_logits(pair.verifier, torch.tensor([context + step.new_ids[:i]]))
            p = torch.softmax(logits / (3.0 if do_sample else 1.0), dim=-1)
            torch.testing.assert_close(step.distributions[i].float(), p, atol=1e-5, rtol=1e-4)
            assert step.new_probs[i] == pytest.approx(float(p[token]), abs=1e-5)
        assert [branch.tokens for branch in step.branches] == [tree.path_tokens(leaf) for leaf in tree.leaves()]
        for branch in step.branches:
            kept = branch.accepted
            assert branch.tokens[:kept] == step.new_ids[:kept] and branch.choices == step.new_ids[:kept + 1]
            assert branch.mismatched == (kept < min(len(branch.tokens), n)) and branch.score == kept - branch.mismatched
            assert not branch.mismatched or branch.choices[kept] != branch.tokens[kept]
            assert len(branch.choice_probs) == len(branch.choices) == len(branch.distributions)
            assert len(branch.verifier_probs) == min(kept + 1, len(branch.tokens)) and len(branch.draft_probs) == len(branch.tokens)
        scores = [branch.score for branch in step.branches]
        assert step.best == (scores.index(max(scores)) if scores else None)
        context = context + step.new_ids
    assert context == out.prompt_ids + out.new_ids


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


def test_token_that_a_lossy_rule_refuses_and_then_draws_counts_as_refused():
    step = Step(4, [], None, [7], 7, tree=TokenTree.from_branches([[7, 3], [8]]), node_probs=[0.01, 0.5, 0.02], new_probs=[0.01])
    finish_record(step)
    assert [(branch.accepted, branch.mismatched, branch.score) for branch in step.branches] == [(0, True, -1), (0, True, -1)]
    assert (step.branches[0].choices, step.extra) == ([7], 7)


@pytest.mark.parametrize("method", [method for method in ALL if method not in ("greedy", "lookup", "heads")])
def test_debug_prints_steps_and_keeps_full_distributions(random_pairs, capsys, method):
    pair = random_pairs["random"]
    out = generate(pair, PROMPT, Cfg(max_new_tokens=4, debug=True), method)
    branch = out.steps[0].branches[0]
    torch.testing.assert_close(branch.distributions[0], torch.softmax(last_token_logits(pair.verifier, PROMPT), dim=-1))
    assert len(branch.distributions) == len(branch.choices)
    assert capsys.readouterr().out.count("step ") == len(out.steps)
    out = generate(pair, PROMPT, Cfg(max_new_tokens=4), method)
    assert capsys.readouterr().out == "" and out.steps[0].branches[0].distributions == []


# -- the entry point

def test_shortcuts_are_the_methods_of_their_names_and_tree_is_the_default(random_pairs):
    pair, cfg = random_pairs["random"], Cfg(max_new_tokens=5)
    assert medusa_generate(pair, PROMPT, cfg).method == "medusa_lite" and greedy_generate(pair, PROMPT, cfg).method == "greedy"
    assert generate(pair, PROMPT, cfg).method == "tree"
    assert medusa_generate(pair, PROMPT, cfg).new_ids == greedy_generate(pair, PROMPT, cfg).new_ids


def test_default_settings_write_thirty_tokens(counting):
    assert len(generate(counting(), start(0)).new_ids) == Cfg().max_new_tokens


@pytest.mark.parametrize("method, draft", [("medusa_lite", "auto"), ("one_pass", "auto"), ("tree", "paths")])
def test_run_repeats_with_its_seed_and_leaves_the_callers_random_numbers_alone(random_pairs, method, draft):
    pair, cfg = random_pairs["random"], Cfg(max_new_tokens=6, temperature=5.0, top_p=1.0, draft=draft)

    def drafts(seed):
        out = generate(pair, PROMPT, replace(cfg, seed=seed), method)
        return [[branch.tokens for branch in step.branches] for step in out.steps]
    torch.manual_seed(1)
    untouched = torch.rand(3)
    torch.manual_seed(1)
    first = drafts(42)
    assert torch.equal(torch.rand(3), untouched)
    assert drafts(42) == first != drafts(43)


@pytest.mark.parametrize("method", [method for method in ALL if method != "medusa_lite"])
def test_sampled_run_repeats_with_its_seed(random_pairs, method):
    cfg = Cfg(max_new_tokens=12, do_sample=True, temperature=5.0, top_p=1.0)
    one, again, other = (generate(random_pairs["random"], PROMPT, replace(cfg, seed=seed), method).new_ids for seed in (1, 1, 2))
    assert one == again != other


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
    (dict(method="magic"), r"There is no method 'magic': use one of \['greedy', 'heads', 'lookup', 'medusa_lite'"),
    (dict(cfg=Cfg(do_sample=True), method="medusa_lite"), "greedy tokens only: use do_sample=False or 'one_pass'"),
    (dict(method="heads"), "Pair 'custom' has no Medusa heads: train some, or use method 'tree'"),
    (dict(cfg=Cfg(draft="top"), method="one_pass"), "use draft='branches' or 'tree', not 'top'"),
    (dict(cfg=Cfg(do_sample=True, acceptance="with_replacement")), "does not fit how 'tree' drafts here: use one of"),
    (dict(prompt=torch.zeros(1, 0, dtype=torch.long)), "prompt is empty"),
    (dict(prompt=torch.zeros(1, 65, dtype=torch.long)), "65 tokens; pair 'custom' takes at most 64")])
def test_bad_input_is_one_sentence_before_any_model_runs(counting, real_calls, change, message):
    pair = counting()
    calls = real_calls(pair)
    with pytest.raises(ValueError, match=message) as caught:
        generate(pair, **{"prompt": start(0), **change})
    assert calls == {"drafter": 0, "verifier": 0} and "\n" not in str(caught.value)


@pytest.mark.parametrize("cfg", [Cfg(), Cfg(do_sample=True), Cfg(draft="paths"), Cfg(draft="top", do_sample=True),
                                 Cfg(do_sample=True, acceptance="typical_lossy"), Cfg(do_sample=True, acceptance="deterministic")])
@pytest.mark.parametrize("heads", [False, True])
def test_methods_of_names_what_a_pair_can_serve_and_nothing_else(counting, cfg, heads):
    pair, serves = counting(heads=heads), []
    for method in ALL:
        try:
            check_method(pair, cfg, method)
            serves.append(method)
        except ValueError:
            with pytest.raises(ValueError):
                generate(pair, start(0), cfg, method)
    assert methods_of(pair, cfg) == serves
    for method in serves:
        generate(pair, start(0), replace(cfg, max_new_tokens=2), method)


@pytest.mark.parametrize("method, draft, branches, fits", [
    ("tree", "auto", 4, {"without_replacement"}), ("tree", "branches", 1, {"without_replacement"}),
    ("tree", "paths", 4, {"with_replacement"}), ("tree", "paths", 1, {"with_replacement", "single_draft"}),
    ("tree", "top", 4, {"deterministic"}), ("one_pass", "auto", 4, {"without_replacement"}), ("lookup", "auto", 4, {"deterministic"}),
    ("heads", "paths", 4, {"deterministic"}), ("greedy", "auto", 4, None)])
def test_acceptance_rules_are_taken_only_where_they_fit_the_draft(counting, method, draft, branches, fits):
    pair = counting(heads=True)
    always = {"auto", "typical_lossy"} if method != "greedy" else {"auto"}
    for rule in ("auto", "single_draft", "with_replacement", "without_replacement", "deterministic", "typical_lossy"):
        cfg = Cfg(max_new_tokens=3, do_sample=True, acceptance=rule, draft=draft, topk_branch=branches)
        if rule in always | (fits or set()):
            assert len(generate(pair, start(0), cfg, method).new_ids) == 3
        else:
            with pytest.raises(ValueError, match=f"acceptance='{rule}' does not fit how '{method}' drafts here"):
                generate(pair, start(0), cfg, method)


def test_sampling_an_impossible_draft_ends_in_tokens_not_in_a_crash(counting):
    """A drafter so sure that all other tokens have probability 0: levels of the tree run dry without an error."""
    for draft in ("branches", "paths", "top"):
        for do_sample in (False, True):
            cfg = Cfg(max_new_tokens=9, draft=draft, do_sample=do_sample, draft_span=5)
            out = generate(counting(sharpness=500.0), start(0), cfg)
            assert out.new_ids == list(range(1, 10)) and all(len(step.branches) <= 1 for step in out.steps)
