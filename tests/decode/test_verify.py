import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from specdec_utils import CachedModel, LeanGPT2, TokenTree, cached_model, verifier_choices, verifier_next_token, verify_tree


def test_next_token_is_the_verifiers_best(rule_model):
    assert verifier_next_token(rule_model([1, 2, 3, 0]), torch.tensor([[0, 3, 1]])) == 2


def test_next_token_heeds_the_repetition_penalty(rule_model):
    model, ids = rule_model([1, 0, 0]), torch.tensor([[1, 0]])
    assert verifier_next_token(model, ids) == 1
    assert verifier_next_token(model, ids, repetition_penalty=1e6) == 1  # still positive: only weaker
    assert verifier_next_token(model, torch.tensor([[0, 1, 0]]), no_repeat_ngram_size=2) != 1


@pytest.mark.parametrize("penalty, n", [(1.3, 0), (1.0, 2), (1.3, 2)])
def test_penalised_next_token_equals_transformers(random_model, reference, penalty, n):
    model = random_model(1)
    for row in ([5, 6, 5, 6, 5], [1], [8, 8, 8, 2, 8]):
        ids = torch.tensor([row])
        assert [verifier_next_token(model, ids, penalty, n)] == reference(
            model, ids, 1, repetition_penalty=penalty, no_repeat_ngram_size=n)


def test_choices_are_the_verifiers_token_at_every_node(rule_model):
    assert verifier_choices(rule_model([1, 2, 3, 4, 0]), torch.tensor([[0, 1]]), [2, 0, 4]) == [2, 3, 1, 0]


def test_choices_after_an_empty_branch_are_the_next_token_alone(rule_model):
    assert verifier_choices(rule_model([1, 2, 0]), torch.tensor([[0, 1]]), []) == [2]


def test_choices_cost_one_pass(random_model, monkeypatch):
    model, calls = random_model(1), []
    forward = model.forward
    monkeypatch.setitem(vars(model), "forward", lambda *args, **kwargs: calls.append(1) or forward(*args, **kwargs))
    verifier_choices(model, torch.tensor([[3, 4]]), [1, 2, 3, 4, 5])
    assert len(calls) == 1


@given(prompt=st.lists(st.integers(0, 28), min_size=1, max_size=6), branch=st.lists(st.integers(0, 28), max_size=6))
def test_one_pass_says_what_asking_token_by_token_says(random_pairs, prompt, branch):
    verifier = random_pairs["random"].verifier
    asked = [verifier_next_token(verifier, torch.tensor([prompt + branch[:i]])) for i in range(len(branch) + 1)]
    assert verifier_choices(verifier, torch.tensor([prompt]), branch) == asked


# -- a whole tree in one pass (that its logits are those of each path alone stands in test_tree.py)

@pytest.mark.parametrize("cached", [CachedModel, LeanGPT2])
@pytest.mark.parametrize("branch", [[], [7], [7, 3, 3, 1]])
def test_tree_of_one_branch_says_what_verifying_the_branch_says(random_model, cached, branch):
    model = random_model(1)
    runner = cached(model, 32)
    logits = verify_tree(runner, [5, 9, 4], TokenTree.from_branches([branch]))
    assert logits.argmax(dim=-1).tolist() == verifier_choices(model, torch.tensor([[5, 9, 4]]), branch)
    assert (runner.calls, runner.length) == (1, 3 + len(branch))


def test_branch_that_repeats_another_says_the_same(random_model):
    """Unmerged nodes that hold the same text get the same logits, though they stand at different places of the cache."""
    tree = TokenTree.from_branches([[1, 2, 3], [1, 2], [1, 2, 3]], merge=False)
    logits = verify_tree(cached_model(random_model(1).double(), 32), [5, 9], tree)
    for one, other in ((0, 3), (1, 4), (0, 5), (1, 6), (2, 7)):
        torch.testing.assert_close(logits[1 + one], logits[1 + other], atol=1e-10, rtol=0)


def test_tokens_that_the_cache_lacks_are_read_in_the_same_pass_and_no_others(random_model, monkeypatch):
    model, read = random_model(1), []
    forward = model.forward
    monkeypatch.setitem(vars(model), "forward", lambda ids, **kwargs: read.append(ids[0].tolist()) or forward(ids, **kwargs))
    runner = cached_model(model, 32)
    verify_tree(runner, [5, 9, 4], TokenTree.from_branches([[1, 2], [3]]))
    runner.keep(3, [3, 4])  # the first branch
    verify_tree(runner, [5, 9, 4, 1, 2, 8], TokenTree.from_branches([[6]]))
    assert read == [[5, 9, 4, 1, 2, 3], [8, 6]]
