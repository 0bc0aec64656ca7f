"""The sampling rules are exact: every draft, every decision and every random number enumerated, and the sum compared with p."""
import itertools
import math
from fractions import Fraction
from functools import partial

import mutants
import numpy as np
import oracle
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from oracle import LAWS, check_rule, check_walk, distance, fractions, outcome
from scipy.stats import entropy

from specdec_utils import ROOT, RULES, Cfg, TokenTree, accept_sampled, draft_tree, next_distribution

LOSSLESS = sorted(set(RULES) - {"typical_lossy"})
KINDS = {"numpy": lambda d: d.astype(float), "torch": lambda d: torch.tensor(d.astype(float))}


def distributions(size):
    return st.lists(st.integers(0, 9), min_size=size, max_size=size).filter(any).map(lambda w: fractions(*w))


pairs = st.integers(5, 6).flatmap(lambda size: st.tuples(distributions(size), distributions(size)))
small_pairs = st.tuples(distributions(5), distributions(5))
EQUAL = fractions(1, 2, 3, 4, 6), fractions(1, 2, 3, 4, 6)
REVERSED = fractions(1, 2, 3, 4, 6), fractions(6, 4, 3, 2, 1)
DISJOINT = fractions(1, 2, 0, 0, 0, 4), fractions(0, 0, 3, 1, 1, 0)
ONE_HOT = fractions(0, 0, 1, 0, 0), fractions(0, 1, 0, 0, 0)
SURE = fractions(0, 0, 1, 0, 0), fractions(1, 1, 1, 1, 1)


def special_pairs(test):
    for pair in (EQUAL, REVERSED, DISJOINT, ONE_HOT, ONE_HOT[::-1], SURE, SURE[::-1]):
        test = example(pair, 3)(test)
    return test


# -- one position

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


# -- the walk down a tree, in fractions: `accept_sampled` itself, its random numbers enumerated

def rolled(weights, by):
    return np.array([fractions(*np.roll(weights, by * token).tolist()) for token in range(len(weights))])


TABLES = {  # verifier's and drafter's distribution behind each token
    "apart": (rolled([1, 2, 3, 4, 6], 1), rolled([6, 4, 3, 2, 1], 2)),
    "equal": (rolled([1, 2, 3, 4, 6], 1), rolled([1, 2, 3, 4, 6], 1)),
    "with zeros": (rolled([0, 8, 4, 2, 2], 1), rolled([4, 0, 8, 0, 4], 2)),
    "disjoint": (rolled([8, 0, 0, 4, 4], 0), rolled([0, 8, 8, 0, 0], 0))}


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("draft, k", [("branches", 1), ("branches", 2), ("paths", 1), ("best", 1), ("best", 2), ("best", 3)])
def test_two_drafted_levels_leave_the_joint_of_three_tokens_exactly_as_it_was(table, draft, k):
    check_walk(accept_sampled, oracle.DRAFTS[draft], *TABLES[table], k)


@pytest.mark.parametrize("draft, k", [("branches", 2), ("paths", 1), ("best", 2)])
@settings(max_examples=5)
@given(st.lists(distributions(5), min_size=10, max_size=10))
def test_on_random_tables_they_do_too(draft, k, rows):
    check_walk(accept_sampled, oracle.DRAFTS[draft], np.array(rows[:5]), np.array(rows[5:]), k)


@pytest.mark.parametrize("draft, k", [("branches", 3), ("paths", 2)])
def test_more_branches_than_two_and_shared_nodes_do_too(draft, k):
    check_walk(accept_sampled, oracle.DRAFTS[draft], *TABLES["with zeros"], k)


@pytest.mark.parametrize("draft", oracle.DRAFTS)
def test_random_numbers_of_a_computer_change_nothing_either(draft):
    """They are multiples of 2^-53, and can be exactly 0."""
    p = rolled([0, 8, 4, 2, 2], 1)
    q = rolled([4, 4, 4, 2, 2], 3)
    check_walk(accept_sampled, oracle.DRAFTS[draft], p, q, 1, grid=2 ** 53)


def test_number_zero_does_not_accept_a_token_that_the_verifier_rules_out(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda *size, generator, **options: torch.zeros(*size, **options))
    targets = torch.tensor([[0.5, 0.5, 0, 0, 0], [0, 0, 0, 0, 1.0]], dtype=torch.float64)
    path, extra = accept_sampled(TokenTree.from_branches([[3]]), targets)
    assert path == [] and extra in (0, 1)
    tree = TokenTree.from_branches([[3]])
    tree.drawn_from[ROOT] = "with_replacement", torch.full((5,), 0.2, dtype=torch.float64)
    assert accept_sampled(tree, targets)[0] == []


# -- the package's own drafting, in float64, its random numbers enumerated as well

class Table:
    """A drafter behind the interface of a cached model: the distribution of the next token is a row of a table."""

    length = 0

    def __init__(self, rows):
        self.logits = torch.tensor(rows.astype(float)).log()

    def feed(self, tokens, wanted=None, positions=None, mask=None):
        return self.logits[tokens[-(wanted or 1):]]


@pytest.mark.parametrize("draft, k, options", [
    ("branches", 2, {}), ("branches", 3, dict(top_p=0.6)), ("branches", 2, dict(temperature=0.7)),
    ("branches", 3, dict(draft_confidence=0.1)), ("paths", 1, {}), ("paths", 2, dict(top_p=0.6)),
    ("paths", 2, dict(draft_confidence=0.25, top_p=0.8)), ("top", 3, {}), ("top", 3, dict(draft_confidence=0.1))])
def test_every_way_of_drafting_leaves_the_joint_of_three_tokens_as_it_was(draft, k, options):
    cfg = Cfg(**{"do_sample": True, "temperature": 1.0, "top_p": 1.0, "topk_branch": k, **options})
    drafter = Table(TABLES["apart"][1])
    p = next_distribution(Table(TABLES["apart"][0]).logits, cfg.temperature, cfg.top_p)  # the verifier's own nucleus
    shapes = set()

    def run():
        tree = draft_tree(drafter, [0], cfg, draft, span=2)
        shapes.add((len(tree), len(tree.leaves())))
        path, extra = accept_sampled(tree, p[[0, *tree.tokens]])
        return *(tree.tokens[node] for node in path), extra
    oracle.check_joint(oracle.outcomes(run), lambda tokens: p[tokens[-1] if tokens else 0].tolist(), 3, tolerance=1e-12)
    assert max(shapes) > (2, 1) or k == 1


# -- mutants: the same checks fail on each historical fault

BIAS_AT_ONE_POSITION = {  # total variation distance from p = (1, 2, 3, 4, 6) / 16, drafted from q = (6, 4, 3, 2, 1) / 16
    "resample from p": Fraction(21, 128),
    "greedy draft judged with a soft q": Fraction(109, 336),
    "raw q after top-k drafting": Fraction(5, 52),
    "q not renormalised": Fraction(10379, 149058),
    "siblings sorted by id": Fraction(16462301, 52972920),
    "siblings sorted by probability": Fraction(16462301, 52972920),
    "low-confidence draft dropped after the fact": Fraction(5, 64),
    "best of k without correction": Fraction(483, 2048)}


@pytest.mark.parametrize("name", mutants.AT_ONE_POSITION)
def test_the_check_fails_on_each_mutant_of_a_rule_by_the_stated_bias(name):
    law, rule, k = mutants.AT_ONE_POSITION[name]
    p, q = REVERSED
    with pytest.raises(AssertionError, match=f"off by {float(BIAS_AT_ONE_POSITION[name]):.4f} in total variation"):
        check_rule(rule, law, p, q, k, tolerance=1e-12)
    written, _ = outcome(rule, p, q, law(q.tolist(), k))
    assert distance(written, p) == BIAS_AT_ONE_POSITION[name] and sum(written) == 1


def share_noticed(name, size):
    """In how many of 40 random pairs of distributions over `size` tokens the mutant writes anything but p."""
    (law, rule, k), random = mutants.AT_ONE_POSITION[name], np.random.default_rng(0)
    noticed = 0
    for _ in range(40):
        p, q = (fractions(*random.integers(1, 10, size).tolist()) for _ in range(2))
        written, _ = outcome(rule, p, q, law(q.tolist(), k))
        noticed += written != p.tolist()
    return noticed / 40


@pytest.mark.parametrize("name", mutants.AT_ONE_POSITION)
def test_five_tokens_show_each_of_them_nearly_always(name):
    assert share_noticed(name, 5) >= 0.8


def test_three_tokens_would_mostly_hide_that_q_is_not_renormalised():
    assert share_noticed("q not renormalised", 3) < 0.5


WALKS = {  # name: (walk, draft, branches, total variation distance of the joint of three tokens, tables "apart")
    "one random number for all positions": (mutants.one_random_number_for_all, oracle.paths, 1, Fraction(13, 256)),
    "one random number for all siblings": (mutants.one_random_number_for_all, oracle.branches, 2, Fraction(221, 3840)),
    "argmax bonus token": (mutants.argmax_bonus, oracle.paths, 1, Fraction(515, 2048)),
    "greedy continuation judged with a soft q": (accept_sampled, mutants.branches_with_soft_q, 2, Fraction(11153, 40320))}


@pytest.mark.parametrize("name", WALKS)
def test_the_check_fails_on_each_mutant_of_the_walk_by_the_stated_bias(name):
    walk, draft, k, bias = WALKS[name]
    with pytest.raises(AssertionError, match=f"off by {float(bias):.4f} in total variation"):
        check_walk(walk, draft, *TABLES["apart"], k, tolerance=1e-12)


@pytest.mark.parametrize("grid", [2 ** 24, 2 ** 53])  # of torch.rand in float32 and float64
def test_accepting_on_equality_keeps_a_token_of_probability_zero_once_in_a_grid(grid):
    """Smaller than any sample would show: the exact check alone sees it, and so does the token that must not come."""
    p, q = rolled([0, 8, 4, 2, 2], 1), rolled([8, 4, 2, 1, 1], 1)
    check_walk(accept_sampled, oracle.best, p, q, 1, grid=grid)
    with pytest.raises(AssertionError, match="off by 0.0000 in total variation"):
        check_walk(mutants.accepts_on_equality, oracle.best, p, q, 1, grid=grid)

    def run():
        path, _ = mutants.accepts_on_equality(TokenTree.from_branches([[0]]), p[[0, 0]])
        return len(path)
    assert p[0][0] == 0 and oracle.outcomes(run, grid) == {0: 1 - Fraction(1, grid), 1: Fraction(1, grid)}


def test_without_its_faults_the_twin_of_the_walk_is_exact():
    check_walk(mutants.walk, oracle.paths, *TABLES["apart"], 1)
    check_walk(mutants.walk, oracle.branches, *TABLES["apart"], 2)
