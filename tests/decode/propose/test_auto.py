"""Method "auto": which way of drafting it takes, how far it goes, what it records, and that its text is the verifier's."""
from collections import Counter
from dataclasses import replace

import pytest
import torch
from machines import MACHINES, NEVER, invented, run_on

from specdec_utils import CachedModel, Cfg, ModelPair, calibrate, generate, last_token_logits
from specdec_utils.decode import advance
from specdec_utils.decode.passes import known_times, passes_of, remember_times
from specdec_utils.decode.price import CENTRES

PROMPT = torch.tensor([[5, 17, 3, 9]])
CFG = Cfg(max_new_tokens=40)


def ways(run):
    """How often each way of drafting was taken."""
    return Counter(step.drafter or "none" for step in run.steps)


@pytest.mark.parametrize("name", ["eagle", "drafter", "heads", "lookup"])
def test_the_way_that_pays_on_this_machine_is_taken(counting, name):
    """All of them are always right here, so only their price tells them apart."""
    pair = run_on(counting(heads=True, eagle=True, context=128), CFG, name)
    run = generate(pair, torch.arange(30)[None].repeat(1, 2) if name == "lookup" else torch.tensor([[3]]), CFG, "auto")
    taken = ways(run)
    assert taken.most_common(1)[0][0] == name and set(taken) <= {name, "none", "lookup"}
    assert len(run.steps) < 20


def test_nothing_is_drafted_where_nothing_pays(counting):
    pair = run_on(counting(heads=True, eagle=True), CFG, "none")
    run = generate(pair, torch.tensor([[3]]), CFG, "auto")
    assert ways(run) == {"none": 40} and run.drafter_calls == 0


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("kind", ["random", "right", "wrong"])
@pytest.mark.parametrize("settings", [{}, dict(topk_branch=1), dict(draft_span=2), dict(repetition_penalty=1.3, no_repeat_ngram_size=2),
                                      dict(draft="paths"), dict(draft="branches"), dict(lean=False), dict(draft_confidence=0.3),
                                      dict(adaptive_span=True)])
def test_the_text_is_the_verifiers_whatever_is_taken(random_pairs, kind, name, settings):
    cfg = replace(CFG, **settings)
    pair = run_on(random_pairs[kind], cfg, name)
    greedy, run = generate(pair, PROMPT, cfg, "greedy"), generate(pair, PROMPT, cfg, "auto")
    assert run.new_ids == greedy.new_ids
    for step in run.steps:
        depths = step.tree.depths()
        assert max(depths, default=0) < cfg.draft_span or cfg.draft_span == 3  # a limit only where it was set
        assert max(Counter(depths).values(), default=0) <= cfg.topk_branch or step.drafter == "heads"


def test_a_span_that_nobody_set_is_no_limit_and_one_that_was_set_is(counting):
    pair = run_on(counting(eagle=True), CFG, "eagle")
    assert max(len(step.tree) for step in generate(pair, PROMPT, CFG, "auto").steps) > 3
    assert max(len(step.tree) for step in generate(pair, PROMPT, replace(CFG, draft_span=3), "auto").steps) == 3


def test_a_drafter_that_is_always_wrong_is_soon_left_alone(counting):
    pair = run_on(counting(draft=lambda token: token + 7, eagle=True, context=256, size=250), CFG, "eagle")
    run = generate(pair, torch.tensor([[3]]), Cfg(max_new_tokens=200), "auto")
    assert len(run.steps[2].tree) > 0 and ways(run)["eagle"] < 20


def test_a_long_prompt_is_read_for_the_drafts_of_many_steps_and_not_for_a_few(counting):
    """Reading 121 tokens takes the eagle drafter longer than the verifier takes for one: no single step earns that, a run does."""
    pair = run_on(counting(eagle=True, context=256), CFG, "eagle")
    even = 2 * torch.randint(14, (1, 120), generator=torch.Generator().manual_seed(0))  # nothing for a look-up: the verifier counts
    prompt = torch.cat([even, torch.tensor([[28]])], dim=1)
    taken = {tokens: ways(generate(pair, prompt, replace(CFG, max_new_tokens=tokens), "auto")) for tokens in (3, 24)}
    assert taken[3] == {"none": 3} and set(taken[24]) == {"none", "eagle"} and taken[24]["none"] == 1


def test_a_drafter_that_is_always_right_drafts_further_and_further(counting):
    """Although, before this run, half of what it drafted was rejected."""
    pair, half = counting(eagle=True, context=256, size=250), [[50, 100]] * len(CENTRES)
    remember_times(pair, CFG, invented(drafter=NEVER, heads=1000.0, judged={"eagle": {"first": half, "other": half}}))
    lengths = [len(step.tree) for step in generate(pair, torch.tensor([[3]]), Cfg(max_new_tokens=200), "auto").steps[1:-1]]
    assert lengths == sorted(lengths) and lengths[0] < 5 and lengths[-1] == 16


@pytest.mark.parametrize("name", MACHINES)
@pytest.mark.parametrize("kind", ["random", "right"])
@pytest.mark.parametrize("draft", ["auto", "paths"])
def test_each_step_records_what_was_offered_what_was_taken_and_its_price(random_pairs, kind, name, draft):
    cfg = replace(CFG, draft=draft)
    pair = run_on(random_pairs[kind], cfg, name)
    run = generate(pair, PROMPT, cfg, "auto")
    for step in run.steps:
        price = step.price
        taken = max(price.offers, key=lambda way: price.offers[way][0] - price.rate * price.offers[way][1])
        assert (step.drafter or "none") == taken and price.offers["none"][0] == 1
        assert len(price.reach) == len(price.cost) == len(step.tree) and all(0 <= reach <= 1 for reach in price.reach)
        assert all(price.reach[node] <= price.reach[parent] for node, parent in enumerate(step.tree.parents) if parent >= 0)
        assert price.seconds > 0 and price.rate >= 1 / price.offers["none"][1] - 1e-9
    expected = sum(step.price.seconds for step in run.steps[1:])
    passes = sum(spent for step, passes in zip(run.steps[1:], list(passes_of(run.steps))[1:])
                 for spent in (seconds_of(pair, cfg, p) for p in passes))
    assert expected == pytest.approx(passes, rel=0.1)  # the rest is work beside the passes


def seconds_of(pair, cfg, p):
    times = known_times(pair, cfg)
    return getattr(times, p.role)[p.place](p.tokens)


def test_nodes_that_do_not_pay_are_dropped_and_the_drafters_cache_still_holds_the_right_ones(random_pairs):
    """Wide drafts of the small model, of which the verifier is dear to ask: what is kept is numbered anew."""
    dropped = branching = 0
    for kind in ("random", "right"):
        pair = random_pairs[kind]
        remember_times(pair, CFG, invented(verifier=(4.0, 0.25), drafter=(0.1, 0.0), eagle=NEVER, heads=1000.0))
        run = generate(pair, PROMPT, CFG, "auto")
        assert run.new_ids == generate(pair, PROMPT, CFG, "greedy").new_ids
        dropped += sum(step.price.dropped for step in run.steps)
        branching += sum(not step.tree.is_chain() for step in run.steps)
        for step in run.steps:
            for node, parent in enumerate(step.tree.parents if step.drafter == "drafter" else ()):
                text = (run.prompt_ids + run.new_ids)[:step.context] + step.tree.path_tokens(parent)
                q = torch.softmax(last_token_logits(pair.drafter, torch.tensor([text])), dim=-1).flatten()
                assert step.tree.probs[node] == pytest.approx(float(q[step.tree.tokens[node]]), abs=1e-5)
    assert dropped > 0 and branching > 0


def test_heads_read_their_own_state_beside_an_eagle_drafter_that_reads_others(random_pairs, random_eagle):
    whole = random_pairs["random"]
    pair = run_on(ModelPair(whole.drafter, whole.verifier, heads=whole.heads, eagle=random_eagle(layers=(0, 2))), CFG, "heads")
    run, guessed = generate(pair, PROMPT, CFG, "auto"), 0
    for step in run.steps:
        if step.drafter == "heads":
            ids, model = (run.prompt_ids + run.new_ids)[:step.context], CachedModel(pair.verifier, 64)
            model.feed(ids[:-1], hidden=(-1,))
            expected = pair.heads.probabilities(model.hidden[-1], ids[-1], pair.verifier)
            for token, prob, depth in zip(step.tree.tokens, step.tree.probs, step.tree.depths()):
                assert prob == pytest.approx(float(expected[depth, token]), abs=1e-5)
                guessed += 1
    assert guessed > 0


def test_the_same_times_and_seed_give_the_same_run_whatever_the_clock_says(random_pairs):
    cfg = Cfg(max_new_tokens=30, do_sample=True)
    pair = run_on(random_pairs["random"], cfg, "all")
    one, two = (generate(pair, PROMPT, cfg, "auto") for _ in range(2))
    assert one.new_ids == two.new_ids and [step.price for step in one.steps] == [step.price for step in two.steps]
    run_on(pair, cfg, "none")
    assert all(step.drafter is None for step in generate(pair, PROMPT, cfg, "auto").steps)


def test_what_was_drawn_is_never_dropped(random_pairs):
    cfg = Cfg(max_new_tokens=40, do_sample=True, draft="paths", topk_branch=3, temperature=1.5)
    pair = run_on(random_pairs["random"], cfg, "drafter")
    run = generate(pair, PROMPT, cfg, "auto")
    assert any(step.tree.drawn_from for step in run.steps) and all(step.price.dropped == 0 for step in run.steps)


def test_other_methods_say_what_drafted_and_have_no_price(random_pairs):
    pair = random_pairs["right"]
    drafters = {"greedy": {None}, "one_pass": {"drafter"}, "tree": {"drafter"}, "lookup": {None, "lookup"}, "heads": {None, "heads"},
                "eagle": {None, "eagle"}, "medusa_lite": {None}}
    for method, expected in drafters.items():
        run = generate(pair, PROMPT, CFG, method)
        assert {step.drafter for step in run.steps} <= expected and all(step.price is None for step in run.steps), method
    looked_up = generate(pair, PROMPT, replace(CFG, lookup_first=1), "tree")
    assert {step.drafter for step in looked_up.steps} == {"lookup", "drafter"}


def test_without_a_calibration_it_takes_one_and_says_so(random_pairs, monkeypatch, capsys, random_model):
    from specdec_utils import ModelPair
    pair, taken = ModelPair(random_model(3), random_model(4)), []

    def noted(pair, cfg=None):
        taken.append(pair)
        return calibrate(pair, cfg, progress=False)
    monkeypatch.setattr(advance, "calibrate", noted)
    first = generate(pair, PROMPT, Cfg(max_new_tokens=5), "auto")
    assert taken == [pair] and capsys.readouterr().out.count("Measuring") == 1
    assert generate(pair, PROMPT, Cfg(max_new_tokens=5), "auto").new_ids == first.new_ids
    assert taken == [pair] and capsys.readouterr().out == ""
