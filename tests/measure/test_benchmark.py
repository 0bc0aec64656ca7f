import json
import random
from dataclasses import replace

import pytest
import torch

from specdec_utils import Cfg, MedusaHeads, ModelPair, compare, time_it
from specdec_utils.measure.ratios import bootstrap_median

PROMPTS = [torch.tensor([[5]]), torch.tensor([[11, 12]])]


@pytest.fixture
def table(counting):
    return compare(counting(sharpness=9.0), PROMPTS, Cfg(max_new_tokens=6, draft_span=3), ["medusa_lite"], repeats=2)


def test_time_it_returns_result_and_seconds():
    out, seconds = time_it(sorted, [2, 1], reverse=True)
    assert out == [2, 1] and seconds >= 0


def test_greedy_is_added_as_the_baseline(table):
    assert [row.method for row in table.rows] == ["greedy", "medusa_lite"]
    assert table.row("greedy").speedup == pytest.approx((1, 1, 1))


def test_counts_are_totals_over_the_prompts_of_one_repeat(table):
    greedy, medusa = table.row("greedy"), table.row("medusa_lite")
    assert (greedy.tokens, greedy.verifier_calls, greedy.drafter_calls) == (12, 12, 0)
    assert (medusa.tokens, medusa.verifier_calls, medusa.drafter_calls) == (12, 12, 12)  # one branch of 3: 3 and 3 a step
    assert greedy.tokens_per_verifier_call == 1.0


def test_quartiles_are_in_order_and_positive(table):
    for row in table.rows:
        for low, middle, high in (row.tokens_per_second, row.speedup):
            assert 0 < low <= middle <= high


def test_speedup_is_greedys_time_over_the_methods_time(counting, monkeypatch):
    """Greedy takes 2 s a run here and medusa_lite 1 s: a fresh clock for each makes the table exact."""
    import specdec_utils.measure.benchmark as benchmark
    real = benchmark.generate

    def timed(pair, prompt, cfg, method):
        out = real(pair, prompt, cfg, method)
        out.seconds = {"greedy": 2.0, "medusa_lite": 1.0}[method]
        return out
    monkeypatch.setattr(benchmark, "generate", timed)
    table = compare(counting(), PROMPTS, Cfg(max_new_tokens=6), ["greedy", "medusa_lite"], repeats=3)
    assert table.row("medusa_lite").speedup == (2.0, 2.0, 2.0)
    assert table.row("greedy").tokens_per_second == (3.0, 3.0, 3.0)


def test_different_output_is_reported(counting, monkeypatch):
    import specdec_utils.measure.benchmark as benchmark
    real = benchmark.generate

    def faulty(pair, prompt, cfg, method):
        out = real(pair, prompt, cfg, method)
        if method == "medusa_lite":
            out.new_ids[-1] += 1
        return out
    monkeypatch.setattr(benchmark, "generate", faulty)
    table = compare(counting(), PROMPTS, Cfg(max_new_tokens=4), ["greedy", "medusa_lite"], repeats=1)
    assert table.row("greedy").equal_to_greedy and not table.row("medusa_lite").equal_to_greedy
    assert str(table).splitlines()[-1].endswith("NO")


def test_every_method_runs_on_every_prompt_in_every_repeat(counting, monkeypatch):
    import specdec_utils.measure.benchmark as benchmark
    real, runs = benchmark.generate, []

    def noted(pair, prompt, cfg, method):
        runs.append((method, prompt.shape[1]))
        return real(pair, prompt, cfg, method)
    monkeypatch.setattr(benchmark, "generate", noted)
    compare(counting(), PROMPTS, Cfg(max_new_tokens=2), ["greedy", "medusa_lite"], repeats=3)
    assert sorted(runs[:2]) == [("greedy", 1), ("medusa_lite", 1)]  # the warm-up
    assert sorted(runs[2:]) == sorted([(method, n) for method in ("greedy", "medusa_lite") for n in (1, 2)] * 3)


def test_table_as_text_html_and_json(table):
    lines = str(table).splitlines()
    assert lines[0].startswith("method") and [line.split()[0] for line in lines[2:]] == ["greedy", "medusa_lite"]
    assert lines[2].endswith("yes") and len({len(line) for line in lines}) == 1
    assert table._repr_html_().count("<tr>") == 3 and table._repr_html_().startswith("<table>")
    data = json.loads(table.to_json())
    assert data["settings"]["prompts"] == 2 and data["settings"]["repeats"] == 2 and data["settings"]["draft_span"] == 3
    assert data["rows"][1]["method"] == "medusa_lite" and len(data["rows"][1]["speedup"]) == 3
    assert data["machine"]["device"] == "cpu" and data["machine"]["dtype"] == "float32" and data["machine"]["threads"] >= 1
    assert data["machine"]["torch"] == torch.__version__


def test_generations_are_kept_for_each_method_and_prompt(table):
    assert [out.new_ids for out in table.generations["medusa_lite"]] == [[6, 7, 8, 9, 10, 11], [13, 14, 15, 16, 17, 18]]


def test_row_that_was_not_compared_is_a_key_error_with_the_choices(table):
    with pytest.raises(KeyError, match="'tree' was not compared; there are"):
        table.row("tree")


@pytest.mark.parametrize("change, message", [
    (dict(methods=["magic"]), r"There is no method 'magic': use one of \['auto', 'eagle', 'greedy'"), (dict(prompts=[]), "at least one prompt"),
    (dict(prompts="text"), "must be a sequence"), (dict(prompts=torch.tensor([[5, 6]])), "must be a sequence"),
    (dict(repeats=0), "repeats=0 is not usable: it must be at least 1"),
    (dict(prompts=[torch.tensor([[5]]), torch.zeros(1, 65, dtype=torch.long)]), "65 tokens"),
    (dict(prompts=[torch.zeros(1, 64, dtype=torch.long)]), "fills the context")])
def test_bad_input_is_one_sentence_before_any_model_runs(counting, real_calls, change, message):
    pair = counting()
    calls = real_calls(pair)
    with pytest.raises(ValueError, match=message):
        compare(pair, **{"prompts": PROMPTS, "cfg": Cfg(max_new_tokens=2), **change})
    assert calls == {"drafter": 0, "verifier": 0}


def test_all_methods_that_the_pair_can_serve_by_default(counting):
    pair, cfg = counting(), Cfg(max_new_tokens=2)
    without = [row.method for row in compare(pair, PROMPTS, cfg, repeats=1).rows]
    assert without == ["greedy", "medusa_lite", "one_pass", "tree", "lookup", "auto"]
    pair = ModelPair(pair.drafter, pair.verifier, heads=MedusaHeads(pair.verifier.config.n_embd, heads=2))
    assert [row.method for row in compare(pair, PROMPTS, cfg, repeats=1).rows] == [*without[:-1], "heads", "auto"]
    assert "medusa_lite" not in [row.method for row in compare(pair, PROMPTS, Cfg(max_new_tokens=2, do_sample=True), repeats=1).rows]


def test_arms_have_labels_and_settings_of_their_own(counting):
    cfg = Cfg(max_new_tokens=8, draft_span=3, topk_branch=1)
    arms = {"short": ("tree", replace(cfg, draft_span=1)), "long": ("tree", cfg), "peer": ("hf-greedy", cfg)}
    table = compare(counting(sharpness=9.0), PROMPTS, cfg, arms, repeats=1)
    assert [row.method for row in table.rows] == ["greedy", "short", "long", "peer"]
    assert [row.verifier_calls for row in table.rows] == [16, 8, 4, 16] and all(row.equal_to_greedy for row in table.rows)
    assert table.settings["arms"]["short"] == {"method": "tree", "draft_span": 1}


def test_arms_of_unequal_work_are_refused(counting):
    with pytest.raises(ValueError, match="Arms must do equal work: max_new_tokens"):
        compare(counting(), PROMPTS, Cfg(max_new_tokens=4), {"cheat": ("tree", Cfg(max_new_tokens=2))})


def test_ratio_of_two_arms_is_taken_prompt_by_prompt(table):
    greedy, medusa = table.row("greedy"), table.row("medusa_lite")
    greedy.rates, medusa.rates = [1.0, 10.0, 100.0], [2.0, 30.0, 100.0]
    low, middle, high = table.ratio("medusa_lite")
    assert middle == 2.0 and low == 1.0 and high == 3.0


def test_bootstrap_interval_covers_the_median_about_as_often_as_it_says():
    draw, hits = random.Random(1), 0
    for seed in range(100):
        low, high = bootstrap_median([draw.gauss(5, 2) for _ in range(32)], seed)
        hits += low <= 5 <= high
    assert 85 <= hits <= 100
    assert bootstrap_median([3.0]) == (3.0, 3.0)
