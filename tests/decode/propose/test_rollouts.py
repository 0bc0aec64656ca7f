"""The original notebook's drafts: sampled first tokens, each rolled out greedily, without a cache."""
import pytest
import torch

from specdec_utils import (
    Branch,
    drafter_propose,
    drafter_rollout_greedy,
    drafter_sample_first_tokens,
    drafter_sample_first_tokens_basic,
    last_token_logits,
    safe_top_p_filter,
    seed_everything,
    softmax_with_temperature,
)

IDS = torch.tensor([[4, 9, 2]])


@pytest.fixture
def passes(random_model, monkeypatch):
    """(a random drafter, a list that grows by the input length of each of its forward passes)"""
    model, lengths = random_model(3), []
    forward = model.forward

    def counted(ids, *args, **kwargs):
        lengths.append(ids.shape[1])
        return forward(ids, *args, **kwargs)
    monkeypatch.setitem(vars(model), "forward", counted)
    return model, lengths


def test_branch_is_a_list_that_carries_probabilities():
    branch = Branch([3, 1], [0.5, 0.25])
    assert branch == [3, 1] and branch.probs == [0.5, 0.25]


@pytest.mark.parametrize("k", [1, 4, 29, 50])
def test_first_tokens_are_distinct_and_basic_sampling_has_no_nucleus(random_model, k):
    seed_everything(0)
    firsts = drafter_sample_first_tokens_basic(random_model(3), IDS, k, temperature=5.0)
    assert len(set(firsts)) == len(firsts) == min(k, 29)


@pytest.mark.parametrize("top_p", [0.3, 0.9, 1.0, None])
def test_first_tokens_come_from_the_nucleus_with_their_renormalised_probability(random_model, top_p):
    model = random_model(3)
    probs = softmax_with_temperature(last_token_logits(model, IDS), 2.0)
    nucleus = safe_top_p_filter(probs, top_p)
    firsts = drafter_sample_first_tokens(model, IDS, 50, temperature=2.0, top_p=top_p)
    assert set(firsts) == set(nucleus.tolist())
    assert sum(firsts.probs) == pytest.approx(1, abs=1e-5)
    assert firsts.probs == pytest.approx([(probs[t] / probs[nucleus].sum()).item() for t in firsts])


def test_narrow_nucleus_gives_fewer_branches_than_asked(rule_model):
    assert drafter_sample_first_tokens(rule_model([1, 2, 3, 0], sharpness=9.0), torch.tensor([[2]]), 4) == [3]


def test_temperature_zero_drafts_the_best_token(random_model):
    model = random_model(3)
    assert drafter_sample_first_tokens(model, IDS, 4, temperature=0) == [int(last_token_logits(model, IDS).argmax())]


def test_sampling_repeats_with_the_seed(random_model):
    model, draws = random_model(3), []
    for seed in (1, 1, 2, 3, 4, 5):
        seed_everything(seed)
        draws.append(drafter_sample_first_tokens(model, IDS, 3, temperature=5.0))
    assert draws[0] == draws[1] and any(draw != draws[0] for draw in draws[2:])


def test_rollout_follows_the_drafters_own_best_tokens(rule_model):
    branch = drafter_rollout_greedy(rule_model([1, 2, 3, 4, 0]), torch.tensor([[0]]), 3, span=4, first_prob=0.25)
    assert branch == [3, 4, 0, 1] and branch.probs[0] == 0.25


@pytest.mark.parametrize("span", [1, 2, 5])
def test_rollout_costs_one_pass_less_than_its_tokens(passes, span):
    model, lengths = passes
    branch = drafter_rollout_greedy(model, IDS, 7, span)
    assert lengths == [4 + i for i in range(span - 1)] and len(branch) == len(branch.probs) == span


def test_rollout_records_the_probability_of_each_token(random_model):
    model, ids = random_model(3), torch.tensor([[4, 9, 2, 7]])
    branch = drafter_rollout_greedy(model, IDS, 7, 3)
    for token, prob in list(zip(branch, branch.probs))[1:]:
        q = torch.softmax(last_token_logits(model, ids), dim=-1)
        assert token == q.argmax() and prob == pytest.approx(q[token].item())
        ids = torch.cat([ids, torch.tensor([[token]])], dim=1)


@pytest.mark.parametrize("k, span", [(1, 1), (4, 1), (1, 8), (3, 4)])
def test_proposal_costs_one_pass_and_span_minus_one_for_each_branch(passes, k, span):
    model, lengths = passes
    branches = drafter_propose(model, IDS, k, span, temperature=5.0, top_p=None)
    assert len(lengths) == 1 + k * (span - 1)
    assert [len(branch) for branch in branches] == [span] * k
    assert len({branch[0] for branch in branches}) == k


def test_unusable_sizes_are_named(random_model):
    model = random_model(3)
    with pytest.raises(ValueError, match="span=0 is not usable: a branch has at least 1 token"):
        drafter_rollout_greedy(model, IDS, 7, 0)
    for k, span in ((0, 3), (3, 0)):
        with pytest.raises(ValueError, match=f"k={k}, span={span} is not usable: both must be at least 1"):
            drafter_propose(model, IDS, k, span)
    with pytest.raises(ValueError, match="top_p=2 is not usable"):
        drafter_propose(model, IDS, 2, 2, top_p=2)
