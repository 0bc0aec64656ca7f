"""The sampling rules are exact: every draft and every decision enumerated, and the sum compared with p."""
import itertools
import math
from fractions import Fraction
from functools import partial

import oracle
import pytest
import torch
from distributions import DISJOINT, EQUAL, ONE_HOT, REVERSED, SURE, TABLES, distributions
from hypothesis import example, given, settings
from hypothesis import strategies as st
from oracle import LAWS, check_rule, check_walk, distance, fractions, outcome
from scipy.stats import entropy

from specdec_utils import RULES, accept_sampled

LOSSLESS = sorted(set(RULES) - {"typical_lossy"})
KINDS = {"numpy": lambda d: d.astype(float), "torch": lambda d: torch.tensor(d.astype(float))}
pairs = st.integers(5, 6).flatmap(lambda size: st.tuples(distributions(size), distributions(size)))
small_pairs = st.tuples(distributions(5), distributions(5))


def special_pairs(test):
    for pair in (EQUAL, REVERSED, DISJOINT, ONE_HOT, ONE_HOT[::-1], SURE, SURE[::-1]):
        test = example(pair, 3)(test)
    return test


# -- lossless

def test_every_lossless_rule_has_its_law_of_drafting_in_the_oracle():
    assert sorted(LAWS) == LOSSLESS


@pytest.mark.parametrize("name", LOSSLESS)
@given(pairs, st.integers(1, 3))
@special_pairs
def test_what_is_written_has_exactly_the_distribution_p(name, pair, k):
    check_rule(RULES[name], LAWS[name], *pair, k)


@pytest.mark.parametrize("name", LOSSLESS)
@settings(max_examples=6)
@given(small_pairs)
def test_four_candidates_of_five_tokens_change_nothing(name, pair):
    check_rule(RULES[name], LAWS[name], *pair, 4)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", LOSSLESS)
@settings(max_examples=20)
@given(small_pairs, st.integers(1, 3))
@special_pairs
def test_in_float64_it_does_to_twelve_digits(name, kind, pair, k):
    check_rule(RULES[name], LAWS[name], *map(KINDS[kind], pair), k, tolerance=1e-12)


@pytest.mark.parametrize("name", LOSSLESS)
@given(pairs, st.integers(1, 3))
@special_pairs
def test_every_residual_that_can_be_reached_is_a_distribution_and_the_arguments_stay_as_they_were(name, pair, k):
    p, q = pair
    before = p.tolist(), q.tolist()
    for candidates, _ in LAWS[name](q.tolist(), k):
        accept, residuals = RULES[name](p, q, candidates)
        assert len(accept) == len(residuals) == len(candidates) and all(0 <= chance <= 1 for chance in accept)
        for chance, residual in zip(accept, residuals):
            if chance == 1:  # nothing behind it is ever reached
                break
            assert residual.sum() == 1 and min(residual) >= 0
    assert (p.tolist(), q.tolist()) == before


@given(pairs)
def test_single_draft_is_accepted_with_one_minus_the_distance_of_p_and_q(pair):
    p, q = pair
    _, accepted = outcome(RULES["single_draft"], p, q, oracle.one_draw(q.tolist()))
    assert accepted == sum(min(x, y) for x, y in zip(p, q)) == 1 - distance(p, q)


@given(pairs, st.lists(st.integers(0, 4), min_size=1, max_size=4))
def test_deterministic_candidates_are_accepted_with_the_mass_that_p_gives_them(pair, candidates):
    p, _ = pair
    written, accepted = outcome(RULES["deterministic"], p, None, [(tuple(candidates), 1)])
    assert accepted == sum(p[x] for x in set(candidates))
    assert written == p.tolist()  # a candidate that comes twice included


@pytest.mark.parametrize("name", ["with_replacement", "without_replacement"])
@settings(max_examples=20)
@given(small_pairs, st.integers(1, 3))
@special_pairs
def test_several_drafts_are_accepted_no_less_than_one_and_no_more_than_any_rule_can(name, pair, k):
    """The bound is methods.md's, Hu et al. 2025 (arXiv 2502.18779): min over H of 1 + p(H) - P(all drafts in H)."""
    p, q = pair
    drafts = list(LAWS[name](q.tolist(), k))
    _, accepted = outcome(RULES[name], p, q, drafts)
    subsets = itertools.chain.from_iterable(itertools.combinations(range(len(p)), size) for size in range(len(p) + 1))
    bound = min(1 + sum(p[x] for x in h) - sum(chance for candidates, chance in drafts if set(candidates) <= set(h)) for h in subsets)
    assert 1 - distance(p, q) <= accepted <= bound


def test_more_drafts_help_and_a_token_drawn_twice_does_not():
    p, q = REVERSED
    rates = {name: [outcome(RULES[name], p, q, LAWS[name](q.tolist(), k))[1] for k in (1, 2, 3, 4)]
             for name in ("with_replacement", "without_replacement")}
    assert all(chances == sorted(set(chances)) for chances in rates.values())
    assert rates["with_replacement"][0] == rates["without_replacement"][0] == Fraction(9, 16)
    assert all(a < b for a, b in zip(rates["with_replacement"][1:], rates["without_replacement"][1:]))


@pytest.mark.parametrize("candidates", [(), (0, 1), (2, 2)])
def test_single_draft_refuses_any_other_number_of_candidates(candidates):
    with pytest.raises(ValueError, match=rf"single draft got {len(candidates)} candidates; use with_replacement") as caught:
        RULES["single_draft"](*REVERSED, candidates)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name, candidates", [("single_draft", (3,)), ("with_replacement", (0, 3)), ("without_replacement", (0, 3)),
                                              ("without_replacement", (0, 0))])  # gone after it was drawn
@pytest.mark.parametrize("kind", [lambda d: d, *KINDS.values()])
def test_candidate_that_cannot_have_been_drawn_is_refused_in_one_sentence(name, candidates, kind):
    p, q = fractions(1, 2, 3, 4, 6), fractions(6, 4, 3, 0, 1)
    with pytest.raises(ValueError, match=f"Candidate {candidates[-1]} has probability 0 under q") as caught:
        RULES[name](kind(p), kind(q), candidates)
    assert "\n" not in str(caught.value)


# -- typical acceptance, which is not exact

@given(small_pairs, st.sampled_from([0.01, 0.09, 0.3, 0.9]))
def test_typical_acceptance_follows_its_threshold(pair, epsilon):
    p, _ = pair
    threshold = min(epsilon, math.sqrt(epsilon) * math.exp(-entropy(p.astype(float))))
    accept, residuals = RULES["typical_lossy"](p, None, range(5), epsilon)
    assert accept == [1.0 if x > threshold else 0.0 for x in p]
    assert all((residual == p).all() for residual in residuals)
    for kind in KINDS.values():
        assert RULES["typical_lossy"](kind(p), None, range(5), epsilon)[0] == accept


def test_typical_acceptance_is_biased():
    """On this example p(0) = 1/16 is atypical and every other token is kept as q has it: 31/128 of the mass is misplaced."""
    p, q = REVERSED
    assert RULES["typical_lossy"](p, q, range(5))[0] == [0, 1, 1, 1, 1]
    written, accepted = outcome(RULES["typical_lossy"], p, q, oracle.one_draw(q.tolist()))
    assert accepted == Fraction(10, 16) and distance(written, p.tolist()) == Fraction(31, 128)
    with pytest.raises(AssertionError, match="off by 0.2422 in total variation"):
        check_rule(RULES["typical_lossy"], oracle.one_draw, p, q, 1, tolerance=1e-12)


def test_typical_acceptance_is_biased_along_a_walk():
    check_walk(accept_sampled, oracle.paths, *TABLES["apart"], 1)
    with pytest.raises(AssertionError, match="off by 0.2656 in total variation"):
        check_walk(partial(accept_sampled, lossy=True), oracle.paths, *TABLES["apart"], 1, tolerance=1e-12)
