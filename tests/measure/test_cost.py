import itertools
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from specdec_utils import BranchRecord, Cfg, Generation, Step, TokenTree, generate
from specdec_utils.decode.advance import Run
from specdec_utils.measure.cost import (
    PassTimes,
    acceptance_rate,
    best_gamma,
    expected_tokens,
    measure_drafting,
    measure_overhead,
    measure_pass_times,
    predict_from_records,
    predicted_speedup,
    tree_tokens,
)

START = torch.tensor([[5]])
FLAT = PassTimes({1: 1.0, 9: 1.0}, {1: 0.1, 9: 0.1}, context=10)


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


def test_pass_times_between_measured_sizes_lie_on_a_line():
    times = PassTimes({1: 2.0, 3: 4.0, 9: 10.0}, {1: 0.5, 3: 1.0}, context=10)
    assert [times.v(n) for n in (1, 2, 3, 6, 9)] == [1.0, 1.5, 2.0, 3.5, 5.0] and times.c == 0.25


def test_prediction_of_a_run_that_is_always_accepted(counting):
    run = generate(counting(sharpness=9.0), START, Cfg(max_new_tokens=10, topk_branch=1, draft_span=4), "tree")
    assert predict_from_records([run], FLAT) == pytest.approx(5 / 1.4)  # five tokens for one pass and four drafts
    greedy = generate(counting(), START, Cfg(max_new_tokens=10), "greedy")
    assert predict_from_records([greedy], FLAT, overhead=0.3) == pytest.approx(1.0)
    assert predict_from_records([run], FLAT, overhead=1.0) == pytest.approx(2 * 5 / 2.4)


def test_a_wrong_drafter_costs_what_it_costs(counting):
    run = generate(counting(draft=lambda token: token + 2), START, Cfg(max_new_tokens=9, topk_branch=1, draft_span=2), "tree")
    fed = sum(step.drafter_calls for step in run.steps)
    assert predict_from_records([run], FLAT) == pytest.approx(9 / (9 + 0.1 * fed)) and fed == 15  # the last two steps have less room


def test_drafting_beside_the_passes_is_paid_once_a_step(counting):
    run = generate(counting(sharpness=9.0), START, Cfg(max_new_tokens=10, topk_branch=1, draft_span=4), "tree")
    assert predict_from_records([run], FLAT, drafting=0.6) == pytest.approx(5 / 2.0)
    assert predict_from_records([run], FLAT, overhead=1.0, drafting=0.6) == pytest.approx(2 * 5 / 3.0)


@pytest.fixture
def ticking(monkeypatch):
    """A clock that goes on by one second whenever it is read."""
    clock = itertools.count()
    monkeypatch.setattr("specdec_utils.measure.cost.time.perf_counter", lambda: float(next(clock)))


@pytest.mark.parametrize("method, nodes", [("greedy", 0), ("tree", 3), ("one_pass", 3), ("heads", 3)])
def test_what_a_step_takes_beside_its_passes(counting, ticking, method, nodes):
    """By the ticking clock a pass takes 2 s, the watching 1 s of which no trace is left, and what encloses passes 1 s."""
    pair, cfg = counting(sharpness=9.0, heads=True), Cfg(max_new_tokens=25, topk_branch=1, draft_span=3)
    times = PassTimes({1: 10.0, 4: 16.0}, {1: 1.0, 4: 1.0}, context=10)
    assert measure_overhead(pair, START, times, cfg) == pytest.approx(10 / 2)
    assert measure_drafting(pair, START, times, cfg, method) == pytest.approx((10 + 2 * nodes) / 2 - 10 / 2)


@pytest.mark.parametrize("method, draft", [("tree", "auto"), ("tree", "branches"), ("tree", "paths"), ("one_pass", "auto"),
                                           ("lookup", "auto"), ("heads", "auto"), ("greedy", "auto")])
def test_watching_a_run_leaves_no_trace(random_pairs, method, draft, monkeypatch):
    pair, cfg, state = random_pairs["random"], Cfg(max_new_tokens=12, draft=draft), torch.random.get_rng_state()
    runs = []
    monkeypatch.setattr("specdec_utils.measure.cost.Run", lambda *args: runs.append(Run(*args)) or runs[-1])
    assert measure_drafting(pair, START, FLAT, cfg, method) >= 0
    assert torch.equal(state, torch.random.get_rng_state())
    assert [run.method for run in runs] == [method, "greedy"]
    assert all(run.ids == START[0].tolist() + generate(pair, START, cfg, "greedy").new_ids for run in runs)


def test_drafting_of_the_uncached_method_cannot_be_told_apart(random_pairs):
    with pytest.raises(ValueError, match="no cached passes"):
        measure_drafting(random_pairs["random"], START, FLAT, Cfg(), "medusa_lite")
    assert measure_drafting(random_pairs["random"], START, FLAT, Cfg(max_new_tokens=1), "tree") >= 0  # no room for a draft


@pytest.mark.parametrize("lean", [True, False])
def test_pass_times_are_measured_for_both_models(random_pairs, lean):
    pair = random_pairs["random"]
    times = measure_pass_times(pair, (1, 2, 4), context=8, repeats=2, lean=lean)
    assert sorted(times.verifier) == sorted(times.drafter) == [1, 2, 4]
    assert min(*times.verifier.values(), *times.drafter.values()) > 0 and times.v(1) == 1
    assert measure_overhead(pair, START, times, Cfg(max_new_tokens=4)) >= 0
