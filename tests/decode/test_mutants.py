"""The checks of the rules and of the walk fail on each fault that implementations have had."""
from fractions import Fraction

import mutants
import numpy as np
import oracle
import pytest
from distributions import REVERSED, TABLES, rolled
from oracle import check_rule, check_walk, distance, fractions, outcome

from specdec_utils import TokenTree, accept_sampled

BIAS_AT_ONE_POSITION = {  # total variation distance from p = (1, 2, 3, 4, 6) / 16, drafted from q = (6, 4, 3, 2, 1) / 16
    "resample from p": Fraction(21, 128),
    "greedy draft judged with a soft q": Fraction(109, 336),
    "raw q after top-k drafting": Fraction(5, 52),
    "q of a draft vocabulary over the wrong set": Fraction(109, 560),
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
