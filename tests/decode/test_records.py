"""What a run records of its steps."""
import pytest
import torch

from specdec_utils import METHODS, Cfg, Step, TokenTree, generate, last_token_logits
from specdec_utils.decode.records import finish_record

PROMPT = torch.tensor([[5, 17, 3, 9]])
ALL = list(METHODS)
CACHED = [method for method in ALL if method != "medusa_lite"]


def start(*row):
    return torch.tensor([row])


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


@pytest.mark.parametrize("method", ALL)
def test_steps_join_up_to_the_output(random_pairs, method):
    out = generate(random_pairs["random"], PROMPT, Cfg(max_new_tokens=13), method)
    written = 4
    for step in out.steps:
        assert step.context == written and step.new_ids
        written += len(step.new_ids)
    assert [token for step in out.steps for token in step.new_ids] == out.new_ids and out.prompt_ids == [5, 17, 3, 9]


def test_token_that_a_lossy_rule_rejects_and_then_draws_counts_as_rejected():
    step = Step(4, [], None, [7], 7, tree=TokenTree.from_branches([[7, 3], [8]]), node_probs=[0.01, 0.5, 0.02], new_probs=[0.01])
    finish_record(step)
    assert [(branch.accepted, branch.mismatched, branch.score) for branch in step.branches] == [(0, True, -1), (0, True, -1)]
    assert (step.branches[0].choices, step.extra) == ([7], 7)


@pytest.mark.parametrize("method", [method for method in ALL if method not in ("greedy", "lookup", "heads", "eagle", "auto")])
def test_debug_prints_steps_and_keeps_full_distributions(random_pairs, capsys, method):
    pair = random_pairs["random"]
    out = generate(pair, PROMPT, Cfg(max_new_tokens=4, debug=True), method)
    branch = out.steps[0].branches[0]
    torch.testing.assert_close(branch.distributions[0], torch.softmax(last_token_logits(pair.verifier, PROMPT), dim=-1))
    assert len(branch.distributions) == len(branch.choices)
    assert capsys.readouterr().out.count("step ") == len(out.steps)
    out = generate(pair, PROMPT, Cfg(max_new_tokens=4), method)
    assert capsys.readouterr().out == "" and out.steps[0].branches[0].distributions == []
