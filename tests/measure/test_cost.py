from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from specdec_utils import BranchRecord, Cfg, Generation, Step, TokenTree, generate
from specdec_utils.measure.benchmark import compare
from specdec_utils.measure.cost import (
    acceptance_by_position,
    acceptance_rate,
    best_gamma,
    expected_tokens,
    predict,
    predicted_speedup,
    tree_tokens,
)

START = torch.tensor([[5]])


@given(st.floats(0, 0.999), st.integers(0, 12))
def test_expected_tokens_is_the_closed_form(alpha, gamma):
    assert expected_tokens(alpha, gamma) == pytest.approx((1 - alpha ** (gamma + 1)) / (1 - alpha))


@given(st.integers(0, 12))
def test_expected_tokens_at_the_ends(gamma):
    assert expected_tokens(1, gamma) == gamma + 1 and expected_tokens(0, gamma) == 1


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_there_is_a_gain_only_if_alpha_exceeds_c(alpha, c):
    """Leviathan et al. 2023, corollary 3.9; one draft token already shows it."""
    gain = max(predicted_speedup(alpha, gamma, c) for gamma in range(1, 17))
    assert (gain > 1 + 1e-12) == (predicted_speedup(alpha, 1, c) > 1 + 1e-12) or abs(alpha - c) < 1e-9
    assert predicted_speedup(alpha, 1, c) == pytest.approx((1 + alpha) / (1 + c))


@given(st.floats(0, 1), st.floats(0.01, 1), st.floats(0, 0.3))
def test_best_gamma_is_at_least_as_good_as_all_others(alpha, c, slope):
    def v(n):
        return 1 + slope * (n - 1)
    best = best_gamma(alpha, c, v)
    assert all(predicted_speedup(alpha, best, c, v) >= predicted_speedup(alpha, gamma, c, v) for gamma in range(17))


def test_a_drafter_that_is_always_wrong_is_not_worth_asking():
    assert best_gamma(0.0, 0.1) == 0 and predicted_speedup(0.0, 4, 0.1) < 1


def test_impossible_acceptance_is_refused():
    with pytest.raises(ValueError, match="alpha lies in"):
        expected_tokens(1.2, 3)


@given(st.floats(0, 1), st.integers(1, 8))
def test_a_chain_is_a_tree_of_one_branch(alpha, gamma):
    tree = TokenTree.from_branches([list(range(gamma))])
    assert tree_tokens(tree, [alpha] * gamma) == pytest.approx(expected_tokens(alpha, gamma))


def test_tokens_of_a_branching_tree_by_hand():
    tree = TokenTree.from_branches([[1, 2], [1, 3], [4]])  # nodes: 1, 2, 3, 4
    assert tree_tokens(tree, [0.5, 0.4, 0.2, 0.3]) == pytest.approx(1 + 0.5 + 0.5 * 0.4 + 0.5 * 0.2 + 0.3)


def test_acceptance_rate_counts_what_was_judged(counting):
    pair = counting(draft=lambda token: token + (2 if token == 8 else 1), sharpness=9.0)
    run = generate(pair, START, Cfg(max_new_tokens=5, topk_branch=1, draft_span=4), "tree")  # 6 7 8 accepted, then 10 rejected
    assert acceptance_rate([run]) == pytest.approx(3 / 4)
    with pytest.raises(ValueError, match="No draft was judged"):
        acceptance_rate([generate(pair, START, Cfg(max_new_tokens=5), "greedy")])


def test_acceptance_by_position_counts_whole_drafts(counting):
    cfg = Cfg(max_new_tokens=7, topk_branch=1, draft_span=4)  # a draft of 4, and a shorter one for what is left
    wrong, right = (generate(counting(draft=lambda token, by=by: token + (by if token == 8 else 1), sharpness=9.0), START, cfg, "tree")
                    for by in (2, 1))
    assert acceptance_by_position([wrong], 4) == [1, 1, 1, 0] and acceptance_by_position([wrong, right], 4) == [1, 1, 1, 0.5]
    with pytest.raises(ValueError, match="No step of these runs drafted one branch of 5 tokens"):
        acceptance_by_position([wrong], 5)


def test_acceptance_rate_of_a_tree_counts_levels(counting):
    pair, cfg = counting(draft=lambda token: token + (2 if token == 5 else 1), sharpness=9.0), Cfg(max_new_tokens=5, draft_span=3)
    with torch.no_grad():
        pair.drafter.lm_head.weight[6, 5] = 0.9  # after 5 it guesses 7, then 6
    chain, tree = (generate(pair, START, replace(cfg, topk_branch=k), "tree") for k in (1, 2))
    assert acceptance_rate([chain]) == 3 / 4 and acceptance_rate([tree]) == 1


def test_a_level_is_refused_if_the_path_ends_above_it():
    """The path may end at a leaf while other branches go on below: their next level was judged, and nothing of it was right."""
    short = BranchRecord([1], [1.0], [1, 5], [1.0, 1.0], [1.0], 1, False, 1)
    long = BranchRecord([2, 3, 4], [1.0] * 3, [1], [1.0], [0.0], 0, True, -1)
    step = Step(3, [short, long], 0, [1, 5], 5)
    assert acceptance_rate([Generation("", [0], [1, 5], [step], 1, 3, 0.0, "length")]) == 1 / 2


def test_acceptance_rate_leaves_out_what_an_eos_cut_off(counting):
    run = generate(counting(sharpness=9.0, eos=7), START, Cfg(max_new_tokens=9, topk_branch=1, draft_span=4), "tree")
    assert run.new_ids == [6, 7] and acceptance_rate([run]) == 1


class Foreknowing:
    """Stands in for `PassTimes`: foretells for each run exactly the seconds that were measured."""

    def seconds(self, run):
        return run.seconds


def test_predicted_and_measured_are_one_statistic(counting):
    """Where each run is foretold to the second, both agree in the median over prompts and in both ends of its interval."""
    prompts = [torch.tensor([[n, n + 1]]) for n in range(9)]
    table = compare(counting(sharpness=9.0), prompts, Cfg(max_new_tokens=8), ["greedy", "tree"], repeats=1)
    low, middle, high = predict(table, Foreknowing(), "tree")
    assert middle == table.row("tree").speedup[1] and (low, high) == table.row("tree").interval and low < high
    assert predict(table, Foreknowing(), "greedy", to="tree") == table.ratio("greedy", to="tree")


def test_what_was_not_compared_has_no_prediction(counting):
    table = compare(counting(), [START], Cfg(max_new_tokens=2), ["greedy"], repeats=1)
    with pytest.raises(KeyError, match="tree"):
        predict(table, Foreknowing(), "tree")
