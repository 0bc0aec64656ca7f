from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from specdec_utils import Cfg, LeanEagle, LeanGPT2, MedusaHeads, compare, generate
from specdec_utils.decode.pass_times import PassTimer, measure_pass_times
from specdec_utils.decode.passes import PassCost, PassTimes, passes_of
from specdec_utils.measure.cost import predict

TUNING = [torch.tensor([[5, 6, 7]]), torch.tensor([[20, 3, 9, 11, 2]])]
FRESH = [torch.tensor([[1, 2, 3, 4]]), torch.tensor([[17, 8, 23]]), torch.tensor([[28, 0, 14, 6]])]
CFG = Cfg(max_new_tokens=24)
ARMS = {"one_pass": ("one_pass", CFG), "chain": ("tree", replace(CFG, topk_branch=1, draft_span=4)),
        "tree": ("tree", replace(CFG, topk_branch=2, draft_span=3)),
        "tree + lookup": ("tree", replace(CFG, topk_branch=2, draft_span=3, lookup_first=2)),
        "lookup": ("lookup", replace(CFG, draft_span=4)), "heads": ("heads", replace(CFG, topk_branch=2, draft_span=2)),
        "eagle": ("eagle", replace(CFG, topk_branch=2, draft_span=3)), "eagle chain": ("eagle", replace(CFG, topk_branch=1, draft_span=5))}


@pytest.fixture
def fed(monkeypatch):
    """A list that grows by (layers of the model or "eagle", tokens, tokens before them) with every forward pass."""
    passes, feed, eagle_pass = [], LeanGPT2.feed, LeanEagle._pass

    def noted_feed(self, tokens, *args, **options):
        passes.append((len(self.caches), len(tokens), self.length))
        return feed(self, tokens, *args, **options)

    def noted_eagle(self, states, tokens, *args):
        passes.append(("eagle", len(tokens), self.length))
        return eagle_pass(self, states, tokens, *args)
    monkeypatch.setattr(LeanGPT2, "feed", noted_feed)
    monkeypatch.setattr(LeanEagle, "_pass", noted_eagle)
    return passes


@pytest.mark.parametrize("method, settings", [
    ("greedy", {}), ("one_pass", {}), ("lookup", {}), ("heads", {}), ("eagle", {}), ("eagle", dict(topk_branch=1, lookup_first=1)),
    ("eagle", dict(draft="paths", draft_confidence=0.2)), ("tree", dict(topk_branch=1)), ("tree", dict(topk_branch=3)),
    ("auto", {}), ("auto", dict(draft="paths", topk_branch=2)), ("tree", dict(draft="paths")), ("tree", dict(adaptive_span=True)), ("tree", dict(draft_confidence=0.3)),
    ("tree", dict(draft_confidence=0.3, draft="branches")), ("tree", dict(lookup_first=1, topk_branch=2))])
@pytest.mark.parametrize("kind", ["random", "right", "wrong"])
def test_the_records_tell_which_passes_were_made(random_pairs, random_model, fed, kind, method, settings):
    """Their order, the model of each, its tokens and what stood in its cache."""
    pair, layers = random_pairs[kind], {"drafter": 1 if kind == "random" else 2, "verifier": 2, "eagle": "eagle"}
    run = generate(pair, FRESH[0], Cfg(max_new_tokens=30, draft_span=4, **settings), method)
    told = [p for passes in passes_of(run.steps) for p in passes]
    assert [(layers[p.role], p.tokens, p.context) for p in told] == fed
    assert [p.place for p in told if p.role == "verifier"].count("prompt") == 1 == sum(p.context == 0 for p in told if p.role == "verifier")


class Machine:
    """A machine on which time passes only in forward passes, each at a known price; `now` is its clock.

    verifier, drafter: (a pass, a token in it, a token of context, further for a pass after another model's). heads: a draft of theirs. A
    pass of the eagle drafter costs half of the drafter's.
    """

    def __init__(self, verifier, drafter, heads):
        self.prices = {2: verifier, 1: drafter, "eagle": tuple(price / 2 for price in drafter)}
        self.heads, self.now, self.last = heads, 0.0, None

    def charge(self, model, tokens, length):
        each, token, context, after_other = self.prices[model]
        self.now += each + token * len(tokens) + context * length + after_other * (self.last not in (None, model))
        self.last = model

    def run_on(self, patch):
        feed, eagle_pass, guess = LeanGPT2.feed, LeanEagle._pass, MedusaHeads.probabilities

        def priced_feed(model, tokens, *args, **options):
            self.charge(len(model.caches), tokens, model.length)
            return feed(model, tokens, *args, **options)

        def priced_eagle(eagle, states, tokens, *args):
            self.charge("eagle", tokens, eagle.length)
            return eagle_pass(eagle, states, tokens, *args)

        def priced_guess(heads, *args):
            self.now, self.last = self.now + self.heads, "heads"
            return guess(heads, *args)
        patch.setattr(LeanGPT2, "feed", priced_feed)
        patch.setattr(LeanEagle, "_pass", priced_eagle)
        patch.setattr(MedusaHeads, "probabilities", priced_guess)
        clock = SimpleNamespace(perf_counter=lambda: self.now)
        for module in ("decode.pass_times", "decode.advance"):
            patch.setattr(f"specdec_utils.{module}.time", clock)


prices = st.tuples(st.floats(0.5, 5), st.floats(0, 0.5), st.floats(0, 0.02), st.floats(0, 2))


@given(prices, prices, st.floats(0, 2))
@settings(max_examples=3, phases=[Phase.generate], suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_machine_of_known_prices_is_foretold_within_one_percent(random_pairs, verifier, drafter, heads):
    """On prompts and at settings of which no pass was timed."""
    machine, pair = Machine(verifier, drafter, heads), random_pairs["random"]
    with pytest.MonkeyPatch.context() as patch:
        machine.run_on(patch)
        times = measure_pass_times(pair, TUNING, CFG)
        table = compare(pair, FRESH, CFG, ARMS, repeats=1)
    for label in ARMS:
        assert predict(table, times, label) == pytest.approx(table.ratio(label), rel=0.01), label
    for run in table.generations["greedy"]:
        assert times.seconds(run) == pytest.approx(run.seconds, rel=0.01)


def test_the_places_of_a_pass_are_told_apart(random_pairs):
    """The first drafter pass after the verifier's costs more than those that follow it, and a verifier pass more after a draft."""
    with pytest.MonkeyPatch.context() as patch:
        Machine((4.0, 0.1, 0.0, 0.5), (1.0, 0.0, 0.0, 0.7), 0.0).run_on(patch)
        times = measure_pass_times(random_pairs["random"], TUNING, CFG)
    assert times.drafter["first"](1) == pytest.approx(1.7) and times.drafter["next"](1) == pytest.approx(1.0)
    assert times.verify(1) == pytest.approx(4.1) and times.verify(5) == pytest.approx(5.0)
    assert times.draft(4) == pytest.approx(4.7) and times.c == pytest.approx(4.7 / 4 / 4.1) and times.v(1) == 1


def test_a_moment_in_which_the_machine_did_something_else_does_not_count(random_pairs):
    with pytest.MonkeyPatch.context() as patch:
        machine = Machine((4.0, 0.0, 0.0, 0.0), (1.0, 0.0, 0.0, 0.0), 0.0)
        machine.run_on(patch)
        real, calls = LeanGPT2.feed, []

        def interrupted(model, *args, **options):
            calls.append(model)
            machine.now += 50.0 * (len(calls) % 50 == 0)
            return real(model, *args, **options)
        patch.setattr(LeanGPT2, "feed", interrupted)
        times = measure_pass_times(random_pairs["random"], TUNING, CFG)
    assert times.verify(1) == pytest.approx(4.0, rel=0.05) and times.c == pytest.approx(0.25, rel=0.05)


@pytest.mark.parametrize("calls", [1, 3, 8, 50])
def test_turns_are_spread_evenly_between_other_work(random_pairs, monkeypatch, calls):
    timer, taken = PassTimer(random_pairs["random"], TUNING, CFG, [("greedy", CFG)]), []
    monkeypatch.setattr(timer, "take", lambda: taken.append(1))
    some, after_each = timer.spread(calls), []
    for _ in range(calls):
        some()
        after_each.append(len(taken))
    assert after_each[-1] == timer.turns == 4  # two prompts of 24 tokens
    assert max(b - a for a, b in pairwise([0, *after_each])) - min(b - a for a, b in pairwise([0, *after_each])) <= 1


def test_prompts_are_brought_to_the_lengths_asked_for(random_pairs, fed):
    measure_pass_times(random_pairs["random"], TUNING, Cfg(max_new_tokens=2), [("greedy", Cfg(max_new_tokens=2))], lengths=(2, 12))
    assert {tokens for _, tokens, before in fed if before == 0} == {2, 12}


def test_timing_leaves_no_trace(random_pairs):
    state = torch.random.get_rng_state()
    measure_pass_times(random_pairs["random"], TUNING, Cfg(max_new_tokens=4))
    assert torch.equal(state, torch.random.get_rng_state())


def test_the_uncached_method_has_no_passes_to_time(random_pairs):
    with pytest.raises(ValueError, match="'medusa_lite' has no cached passes to time: use some of"):
        measure_pass_times(random_pairs["random"], TUNING, CFG, [("medusa_lite", CFG)])


@given(st.dictionaries(st.integers(1, 40), st.floats(0.1, 9), min_size=1, max_size=6))
def test_a_cost_meets_every_measured_width_and_lies_between_neighbours(seconds):
    cost, widths = PassCost(seconds), sorted(seconds)
    assert all(cost(n) == pytest.approx(seconds[n]) for n in widths)
    for low, high in pairwise(widths):
        assert cost((low + high) / 2) == pytest.approx((seconds[low] + seconds[high]) / 2)


def test_a_cost_grows_with_context_and_beyond_the_widest_pass():
    cost = PassCost({1: 2.0, 3: 4.0}, context=10, growth=0.1, growth_per_token=0.01)
    assert cost(1) == 2.0 and cost(1, 10) == 2.0 and cost(1, 20) == pytest.approx(2.0 + 10 * 0.11)
    assert cost(7) == 8.0 and cost(3, 0) == pytest.approx(4.0 - 10 * 0.13)


def test_times_survive_json(random_pairs):
    times = measure_pass_times(random_pairs["random"], TUNING, Cfg(max_new_tokens=6))
    assert PassTimes.from_json(times.to_json()) == times and times.threads == torch.get_num_threads()
