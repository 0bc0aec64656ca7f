from collections import Counter

import oracle
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import chisquare
from transformers import (
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from specdec_utils import (
    last_token_logits,
    next_distribution,
    penalize,
    safe_top_p_filter,
    sample_without_replacement,
    softmax_with_temperature,
)

# Probabilities in 64ths: every sum of them is exact, so that "reaches p" has no rounding to hide behind.
weights = st.lists(st.integers(0, 20), min_size=1, max_size=12).filter(lambda w: 0 < sum(w) <= 64)


def exact_probs(weights):
    return torch.tensor([*weights, 64 - sum(weights)]) / 64


def test_last_token_logits_are_those_after_the_last_token(rule_model):
    model = rule_model([1, 2, 0])
    assert last_token_logits(model, torch.tensor([[0, 1]])).shape == (3,)
    assert last_token_logits(model, torch.tensor([[0, 1]])).argmax() == 2


@given(st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=10), st.floats(0.05, 5))
def test_softmax_divides_by_the_temperature(logits, temperature):
    weights = torch.tensor(logits, dtype=torch.float64) / temperature
    expected = (weights - weights.logsumexp(0)).exp()
    torch.testing.assert_close(softmax_with_temperature(torch.tensor(logits, dtype=torch.float64), temperature), expected)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize("temperature", [0, 1e-9])
def test_no_temperature_puts_all_mass_on_the_best_token(dtype, temperature):
    probs = softmax_with_temperature(torch.tensor([1.0, 30.0, -5.0], dtype=dtype), temperature)
    assert probs.tolist() == [0.0, 1.0, 0.0]


@given(weights, st.integers(1, 64))
def test_nucleus_is_the_smallest_set_that_reaches_p(weights, p64):
    probs = exact_probs(weights)
    nucleus = safe_top_p_filter(probs, p64 / 64).tolist()
    mass = [probs[i].item() for i in nucleus]
    assert len(set(nucleus)) == len(nucleus) and mass == sorted(mass, reverse=True)
    assert min(mass) >= max([0.0, *(probs[i].item() for i in range(len(probs)) if i not in nucleus)])
    assert sum(mass) >= p64 / 64
    if p64 < 64:  # p = 1 keeps every token
        assert sum(mass[:-1]) < p64 / 64


def test_nucleus_keeps_the_token_that_crosses_p():
    assert safe_top_p_filter(torch.tensor([0.25, 0.5, 0.125, 0.125]), 0.6).tolist() == [1, 0]


def test_nucleus_stops_where_p_is_reached_exactly():
    assert safe_top_p_filter(torch.tensor([0.25, 0.5, 0.125, 0.125]), 0.75).tolist() == [1, 0]


def test_nucleus_always_holds_the_best_token():
    assert safe_top_p_filter(torch.tensor([0.25, 0.75]), 1e-9).tolist() == [1]


@pytest.mark.parametrize("top_p", [None, 1, 1.0])
def test_no_nucleus_keeps_every_token_in_order_of_probability(top_p):
    assert safe_top_p_filter(torch.tensor([0.25, 0.0, 0.75]), top_p).tolist() == [2, 0, 1]


@pytest.mark.parametrize("top_p", [0, -0.5, 1.5, float("nan")])
def test_unusable_top_p_is_named_with_its_range(top_p):
    with pytest.raises(ValueError, match=rf"top_p={top_p!r} is not usable: it must be None or a number in \(0, 1\]"):
        safe_top_p_filter(torch.tensor([0.5, 0.5]), top_p)


@given(weights, st.integers(-2, 16), st.integers(0, 9))
def test_samples_are_distinct_possible_and_as_many_as_there_can_be(weights, k, seed):
    probs = exact_probs(weights)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        picks = sample_without_replacement(probs, k)
    possible = (probs > 0).nonzero().flatten().tolist()
    assert len(set(picks)) == len(picks) == max(0, min(k, len(possible)))
    assert set(picks) <= set(possible)


def test_first_sample_follows_the_probabilities():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        probs = torch.tensor([0.1, 0.6, 0.3])
        firsts = [sample_without_replacement(probs, 2)[0] for _ in range(3000)]
    for token, p in enumerate(probs.tolist()):
        assert firsts.count(token) / 3000 == pytest.approx(p, abs=0.04)  # 4 standard deviations and more


def test_samples_come_in_the_order_of_successive_draws():
    """The law that the rule for draws without replacement rests on: each next one from what is left, renormalised."""
    probs, n = torch.tensor([0.4, 0.3, 0.15, 0.1, 0.05], dtype=torch.float64), 4000
    with torch.random.fork_rng():
        torch.manual_seed(0)
        drawn = [tuple(sample_without_replacement(probs, 3)) for _ in range(n)]
    law = dict(oracle.draws_without_replacement(probs.tolist(), 3))

    def p_value(drawn):
        counts = Counter(drawn)
        return chisquare([counts[key] for key in law], [chance * n for chance in law.values()]).pvalue
    assert sum(law.values()) == pytest.approx(1)
    assert p_value(drawn) > 0.001
    assert p_value(tuple(sorted(ids)) for ids in drawn) < 1e-6


@given(st.lists(st.floats(-8, 8), min_size=1, max_size=9, unique=True), st.floats(0.2, 3), st.floats(0.01, 1) | st.just(1.0))
def test_what_is_sampled_from_equals_transformers(logits, temperature, top_p):
    scores = torch.tensor([logits], dtype=torch.float64)
    probs = torch.softmax(scores[0] / temperature, dim=-1).sort(descending=True).values
    assume((probs.diff().abs() > 1e-9).all())  # of equals either may be kept
    assume(((probs.cumsum(0) - top_p).abs()[:-1] > 1e-9).all())  # nor does rounding decide who crosses top_p
    expected = TemperatureLogitsWarper(temperature)(None, scores)
    if top_p < 1:
        expected = TopPLogitsWarper(top_p)(None, expected)
    torch.testing.assert_close(next_distribution(scores, temperature, top_p), torch.softmax(expected, dim=-1), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_what_is_sampled_from_is_float64_and_row_by_row(dtype):
    rows = torch.tensor([[3.0, 1.0, -2.0], [0.0, float("-inf"), 0.0]]).to(dtype)
    probs = next_distribution(rows, 0.5, 0.9)
    assert probs.dtype == torch.float64 and torch.equal(probs[1], next_distribution(rows[1], 0.5, 0.9))
    torch.testing.assert_close(probs.sum(-1), torch.ones(2, dtype=torch.float64))
    assert probs.tolist() == [[1, 0, 0], [0.5, 0, 0.5]]


V = 11
vectors = st.lists(st.floats(-30, 30, width=32), min_size=V, max_size=V).map(torch.tensor)
rows = st.lists(st.integers(0, V - 1), min_size=1, max_size=20).map(lambda row: torch.tensor([row]))


@given(vectors, rows, st.sampled_from([0.5, 1.0, 1.1, 1.3, 2.0]))
def test_repetition_penalty_equals_transformers(logits, ids, penalty):
    expected = RepetitionPenaltyLogitsProcessor(penalty)(ids, logits[None].clone())[0]
    assert torch.equal(penalize(logits, ids, repetition_penalty=penalty), expected)


@given(vectors, rows | st.lists(st.integers(0, 2), min_size=1, max_size=20).map(lambda row: torch.tensor([row])),
       st.integers(1, 5))
def test_no_repeat_ngram_equals_transformers(logits, ids, n):
    expected = NoRepeatNGramLogitsProcessor(n)(ids, logits[None].clone())[0]
    assert torch.equal(penalize(logits, ids, no_repeat_ngram_size=n), expected)


@given(vectors, rows, st.sampled_from([0.7, 1.3]), st.integers(1, 3))
def test_both_penalties_together_equal_transformers_and_spare_the_input(logits, ids, penalty, n):
    before = logits.clone()
    expected = RepetitionPenaltyLogitsProcessor(penalty)(ids, logits[None].clone())
    expected = NoRepeatNGramLogitsProcessor(n)(ids, expected)[0]
    assert torch.equal(penalize(logits, ids, penalty, n), expected)
    assert torch.equal(logits, before)


def test_penalties_are_off_by_default():
    logits = torch.tensor([1.0, -2.0, 3.0])
    assert torch.equal(penalize(logits, torch.tensor([[0, 1, 0, 1]])), logits)


def test_repetition_penalty_weakens_positive_and_negative_logits_alike():
    penalised = penalize(torch.tensor([4.0, -4.0, 4.0]), torch.tensor([[0, 1]]), repetition_penalty=2.0)
    assert penalised.tolist() == [2.0, -8.0, 4.0]


def test_no_repeat_ngram_forbids_the_token_that_would_complete_a_pair_again():
    penalised = penalize(torch.zeros(4), torch.tensor([[1, 2, 3, 1]]), no_repeat_ngram_size=2)
    assert penalised.tolist() == [0.0, 0.0, float("-inf"), 0.0]
