import pytest
import torch

from specdec_utils import Cfg, compare
from specdec_utils.decode.passes import PassCost, PassTimes
from specdec_utils.measure.suite import LABELS, bench_labels, bench_timer, context_growth, kind_lines, losers, predictions, ratio_lines
from specdec_utils.show.style import comparison_figure

PROMPTS = [torch.tensor([[5]]), torch.tensor([[11, 12, 3]])]
CFG = Cfg(max_new_tokens=6)


@pytest.fixture
def table(counting):
    """A comparison in which `lookup` loses, `tree` gains, and a peer is slower than greedy as well."""
    made = compare(counting(), PROMPTS, CFG, ["greedy", "tree", "lookup", "hf-greedy"], repeats=1)
    for label, speed in {"greedy": 1.0, "tree": 1.5, "lookup": 0.8, "hf-greedy": 0.5}.items():
        row = made.row(label)
        row.rates, row.speedup, row.interval, row.tokens_per_second = [100 * speed] * 2, (speed,) * 3, (speed,) * 2, (100 * speed,) * 3
    return made


def test_what_loses_is_named(table):
    assert losers(table) == ["lookup"]
    assert "slower than greedy on this machine: lookup (0.80)" in ratio_lines(table)
    table.row("lookup").speedup = (1.0, 1.0, 1.0)
    assert "slower than greedy on this machine: none of our methods" in ratio_lines(table)


def test_each_kind_of_prompt_has_a_winner_of_its_own(table):
    table.row("tree").rates, table.row("lookup").rates = [90, 150], [120, 80]
    assert kind_lines(table, ["summary", "story"]) == ["summary: lookup 1.20, greedy 1.00, tree 0.90, hf-greedy 0.50",
                                                       "story: tree 1.50, greedy 1.00, lookup 0.80, hf-greedy 0.50"]
    assert kind_lines(table, ["both", "both"]) == ["both: tree 1.20, greedy 1.00, lookup 1.00, hf-greedy 0.50"]


def test_the_figure_names_the_machine_and_says_slower_in_words(table):
    figure = comparison_figure(table, {"tree": (1.3, 1.4, 1.6)}, "Fast 9000, 2 cores")
    assert "Measured on Fast 9000, 2 cores" in figure.alt and figure.png.startswith(b"\x89PNG")
    assert "lookup 80 (0.80 x greedy, slower)" in figure.alt and "tree 150 (1.50 x greedy)" in figure.alt


def test_arms_are_those_that_the_pair_serves_and_that_were_asked_for(random_pairs, counting):
    assert list(bench_labels(random_pairs["random"], CFG)) == list(LABELS)
    assert "heads" not in bench_labels(counting(), CFG)
    assert list(bench_labels(counting(), CFG, ["tree", "hf-lookup"])) == ["tree k=1", "tree", "tree + lookup", "hf-lookup", "hf-lookup tuned"]
    with pytest.raises(ValueError, match="There is no method 'magic': use some of"):
        bench_labels(counting(), CFG, ["magic"])
    with pytest.raises(ValueError, match=r"serves none of \['heads'\]"):
        bench_labels(counting(), CFG, ["heads"])


def test_every_cached_method_is_predicted(random_pairs):
    pair, methods = random_pairs["random"], ["greedy", "medusa_lite", "tree", "heads", "eagle", "hf-greedy"]
    timer = bench_timer(pair, PROMPTS, PROMPTS, {method: (method, CFG) for method in methods}, CFG)
    table = compare(pair, PROMPTS, CFG, methods, repeats=1, between=timer.spread(2))
    guesses = predictions(table, timer.fit())
    assert set(guesses) == {"greedy", "tree", "heads", "eagle"} and guesses["greedy"] == (1, 1, 1)
    assert all(0 < low <= middle <= high for low, middle, high in guesses.values())


def test_growth_with_context_is_that_of_the_verifier_alone(random_pairs, monkeypatch):
    told = PassTimes({"alone": PassCost({1: 2.0}, context=50, growth=0.01)}, {}, {}, {}, 50, 1)
    monkeypatch.setattr("specdec_utils.measure.suite.measure_pass_times", lambda *args: told)
    assert context_growth(random_pairs["random"], 50, 450) == pytest.approx(3.0)
