import json
from dataclasses import asdict

import pytest
import torch

from specdec_utils import Cfg
from specdec_utils.measure import benchmark
from specdec_utils.measure.suite import LABELS, bench_arms
from specdec_utils.measure.tune import GRIDS, ROUNDS, combinations, tune
from specdec_utils.text.chat_prompts import CHAT_PROMPTS, CHAT_TUNING, as_chats, in_turn
from specdec_utils.text.prompts import OPENINGS, TUNING

PROMPTS = [torch.tensor([[5 + n, 3]]) for n in range(6)]


@pytest.fixture
def runs(monkeypatch):
    """Every run as (method, span, prompt ids, tokens); each takes one second more than its span differs from four."""
    seen = []
    for name in ("generate", "peer_generate"):
        def timed(pair, prompt, cfg, method, real=getattr(benchmark, name)):
            out = real(pair, prompt, cfg, method)
            seen.append((method, cfg.draft_span, tuple(out.prompt_ids), cfg.max_new_tokens))
            out.seconds = 1.0 + abs(cfg.draft_span - 4)
            return out
        monkeypatch.setattr(benchmark, name, timed)
    return seen


def test_the_fastest_settings_are_chosen_for_ours_and_for_peers(counting, runs):
    tuning = tune(counting(), PROMPTS, Cfg(max_new_tokens=4), ["tree k=1", "lookup", "hf-assisted tuned", "hf-lookup tuned"])
    assert tuning.chosen == {"tree k=1": {"topk_branch": 1, "draft_span": 4}, "lookup": {"draft_span": 4},
                             "hf-assisted tuned": {"draft_span": 4}, "hf-lookup tuned": {"draft_span": 4}}
    assert [len(tried) for tried in tuning.tried["lookup"]] == [8, 4, 2] and tuning.prompts == 6
    assert json.loads(json.dumps(asdict(tuning)))["chosen"] == tuning.chosen


def test_ours_and_peers_get_the_same_effort(counting, runs):
    assert {len(combinations(label)) for label in GRIDS if label in LABELS} == {8}
    tune(counting(), PROMPTS, Cfg(max_new_tokens=3), ["lookup", "hf-lookup tuned"])
    effort = [sorted((span, ids) for name, span, ids, _ in runs if name == method) for method in ("lookup", "hf-lookup")]
    assert effort[0] == effort[1] and len(effort[0]) > 0


def test_an_odd_number_of_candidates_is_halved_as_well(counting, runs):
    def peer(pair, prompt, cfg, name):
        return benchmark.generate(pair, prompt, cfg, "lookup")
    tuning = tune(counting(), PROMPTS, Cfg(max_new_tokens=3), ["vllm-ngram"], others={"vllm-ngram": peer})
    assert tuning.chosen == {"vllm-ngram": {"draft_span": 4}} and [len(tried) for tried in tuning.tried["vllm-ngram"]] == [3, 1, 1]


def test_each_round_has_more_prompts_and_more_tokens(counting, runs):
    tune(counting(), PROMPTS, Cfg(max_new_tokens=40), ["lookup"])
    assert sorted({tokens for *_, tokens in runs}) == [32, 40]  # never more than are measured in the end
    assert [len({ids for *_, ids, tokens in runs if tokens == wanted}) for wanted in (32,)] == [ROUNDS[0][0]]
    assert len({ids for *_, ids, _ in runs}) == len(PROMPTS)


def test_tuning_never_sees_a_test_prompt(counting, runs):
    tests = [torch.tensor([[1, 2, n]]) for n in range(3)]
    arms, tuning = bench_arms(counting(), PROMPTS, tests, Cfg(max_new_tokens=4), ["greedy", "lookup", "hf-lookup"])
    assert {ids for _, _, ids, _ in runs} == {tuple(prompt[0].tolist()) for prompt in PROMPTS}
    assert arms["lookup"] == ("lookup", Cfg(max_new_tokens=4, draft_span=4)) and arms["hf-lookup"][1].draft_span == 10
    assert set(tuning.chosen) == {"lookup", "hf-lookup tuned"}


def test_a_prompt_on_both_sides_is_an_error(counting):
    with pytest.raises(ValueError, match="'again' is a tuning prompt and a test prompt"):
        bench_arms(counting(), ["one", "again"], ["again", "two"], Cfg(), ["lookup"])


def test_a_chat_on_both_sides_is_an_error(counting):
    with pytest.raises(ValueError, match="is a tuning prompt and a test prompt"):
        bench_arms(counting(), as_chats(["one", "again"]), as_chats(["again", "two"]), Cfg(), ["lookup"])


def test_the_messages_for_tuning_are_others_than_those_for_tests():
    assert not in_turn(CHAT_TUNING).keys() & in_turn(CHAT_PROMPTS).keys()
    assert len(in_turn(CHAT_TUNING)) >= ROUNDS[-1][0] and list(CHAT_TUNING) == list(CHAT_PROMPTS)


def test_the_openings_for_tuning_are_others_than_those_for_tests():
    assert not set(TUNING) & set(OPENINGS) and len(set(OPENINGS)) == 32 and len(set(TUNING)) >= ROUNDS[-1][0]
