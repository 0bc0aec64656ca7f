import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from specdec_utils import verifier_choices, verifier_next_token


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
    monkeypatch.setattr(model, "forward", lambda *args, **kwargs: calls.append(1) or forward(*args, **kwargs))
    verifier_choices(model, torch.tensor([[3, 4]]), [1, 2, 3, 4, 5])
    assert len(calls) == 1


@given(prompt=st.lists(st.integers(0, 28), min_size=1, max_size=6), branch=st.lists(st.integers(0, 28), max_size=6))
def test_one_pass_says_what_asking_token_by_token_says(random_pairs, prompt, branch):
    verifier = random_pairs["random"].verifier
    asked = [verifier_next_token(verifier, torch.tensor([prompt + branch[:i]])) for i in range(len(branch) + 1)]
    assert verifier_choices(verifier, torch.tensor([prompt]), branch) == asked
