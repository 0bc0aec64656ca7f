"""Greedy output is `verifier.generate(do_sample=False)` under whatever the verifier's generation_config says, by every method."""
import warnings
from copy import deepcopy
from dataclasses import replace
from functools import cache

import pytest
import torch
from transformers import CompileConfig, LogitsProcessorList, MinLengthLogitsProcessor

from specdec_utils import METHODS, Cfg, ModelPair, diagnose, generate, last_token_logits, medusa_step, penalize
from specdec_utils.decode.methods import check_method, methods_of
from specdec_utils.measure.peers import PEERS, peer_generate
from specdec_utils.text.processors import CUTS, HONOURED, UNUSED

PROMPT = torch.tensor([[5, 17, 3, 9]])
CFG = Cfg(max_new_tokens=16, draft_span=4, topk_branch=3, temperature=2.0, top_p=1.0)
FEWER = {"medusa_lite": replace(CFG, draft_span=2, topk_branch=2)}  # its passes are many, and all from scratch
WAYS = {method: (method, FEWER.get(method, CFG)) for method in METHODS}
WAYS |= {f"{method}, {draft}": (method, replace(CFG, draft=draft)) for method in ("tree", "eagle", "auto") for draft in ("branches", "paths")}

# Under each of these the random verifier writes something else than it does without it: (value, EOS, prompt).
LONE, REPEATED = torch.tensor([[5]]), torch.tensor([[28, 7, 21, 5, 17, 3, 9]])
HONOURED_VALUES = {
    "sequence_bias": ({(10,): 6.0, (28, 7): -9.0}, None, PROMPT), "encoder_repetition_penalty": (2.0, None, PROMPT),
    "repetition_penalty": (1.6, None, PROMPT), "no_repeat_ngram_size": (2, None, PROMPT),
    "encoder_no_repeat_ngram_size": (1, None, REPEATED), "bad_words_ids": ([[19], [28, 7]], None, PROMPT),
    "min_length": (14, 21, PROMPT), "min_new_tokens": (9, [21, 27], PROMPT), "forced_bos_token_id": (11, None, LONE),
    "forced_eos_token_id": (11, None, PROMPT), "remove_invalid_values": (True, None, PROMPT),
    "exponential_decay_length_penalty": ((3, 1.9), 12, PROMPT), "suppress_tokens": ([28, 7], None, PROMPT),
    "begin_suppress_tokens": ([28], None, PROMPT)}
UNUSED_VALUES = {
    "max_length": 7, "max_new_tokens": 3, "do_sample": True, "temperature": 0.3, "top_p": 0.2, "top_k": 3, "min_p": 0.4, "top_h": 0.4,
    "typical_p": 0.4, "epsilon_cutoff": 0.2, "eta_cutoff": 0.2, "use_cache": False, "cache_implementation": "static", "cache_config": {},
    "max_cache_len": 50, "prefill_chunk_size": 3, "low_memory": True, "compile_config": CompileConfig(), "disable_compile": True,
    "continuous_batching_config": {}, "output_attentions": True, "output_hidden_states": True, "output_scores": True,
    "output_logits": True, "return_dict_in_generate": True, "pad_token_id": 4, "bos_token_id": 8, "decoder_start_token_id": 8,
    "renormalize_logits": True, "transformers_version": "4.0", "early_stopping": True, "length_penalty": 2.0, "diversity_penalty": 0.5,
    "num_assistant_tokens": 3, "num_assistant_tokens_schedule": "heuristic", "assistant_confidence_threshold": 0.9,
    "max_matching_ngram_size": 1, "assistant_lookbehind": 2, "target_lookbehind": 2, "assistant_ensemble_weight": 0.5,
    "speculation_type": "dflash"}


@pytest.fixture(scope="module")
def configured(random_pairs):
    """configured(kind="random", eos=None, **settings): a pair whose verifier has these settings in its generation_config."""
    def make(kind="random", eos=None, **settings):
        verifier = deepcopy(random_pairs["random"].verifier)
        for field, value in dict(settings, eos_token_id=eos).items():
            setattr(verifier.generation_config, field, value)
        return ModelPair(random_pairs[kind].drafter, verifier, heads=random_pairs[kind].heads, eagle=random_pairs[kind].eagle)
    return make


def expected(pair, prompt=PROMPT, n=CFG.max_new_tokens, **options):
    """The new tokens that `transformers` generates greedily under the verifier's own generation_config."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Unfeasible length constraints")  # a run may be shorter than min_new_tokens
        out = pair.verifier.generate(prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=n,
                                     return_dict_in_generate=False, **options)
    return out[0, prompt.shape[1]:].tolist()


@pytest.fixture(scope="module")
def honoured(configured):
    """honoured(field): a pair with the setting, a prompt, and what `transformers` writes with the setting and without it."""
    @cache
    def case(field):
        value, eos, prompt = HONOURED_VALUES[field]
        pair, without = configured(eos=eos, **{field: value}), configured(eos=eos)
        if field == "remove_invalid_values":
            for each in (pair, without):
                each.verifier.lm_head.weight.data[13] = float("nan")
        return pair, prompt, expected(pair, prompt), expected(without, prompt)
    return case


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("field", HONOURED_VALUES)
def test_honoured_setting_gives_what_generate_gives(honoured, field, way):
    method, cfg = WAYS[way]
    pair, prompt, wanted, without = honoured(field)
    assert generate(pair, prompt, cfg, method).new_ids == wanted != without


@pytest.fixture(scope="module")
def many(configured):
    """Pairs by kind, over verifiers with many settings, and what `transformers` writes with them, by number of tokens."""
    pairs = {kind: configured(kind, eos=[21, 2], repetition_penalty=1.2, no_repeat_ngram_size=2, suppress_tokens=[19],
                              begin_suppress_tokens=[28], bad_words_ids=[[7, 21]], min_new_tokens=5, forced_eos_token_id=2,
                              exponential_decay_length_penalty=(9, 1.05), sequence_bias={(22,): 1.5})
             for kind in ("random", "right", "wrong")}
    return pairs, {n: expected(pairs["random"], n=n) for n in (1, 2, 7, 16)}


@pytest.mark.parametrize("kind", ["random", "right", "wrong"])
@pytest.mark.parametrize("way", WAYS)
def test_many_settings_at_once_do_too(many, kind, way):
    (method, cfg), (pairs, wanted) = WAYS[way], many
    for n in wanted:
        assert generate(pairs[kind], PROMPT, replace(cfg, max_new_tokens=n), method).new_ids == wanted[n]


@pytest.mark.parametrize("minimum", ["min_length", "min_new_tokens"])  # each of the two in turn: together, the second one counts
def test_processors_stand_in_the_order_of_generate(configured, monkeypatch, minimum):
    others = set(HONOURED_VALUES) - {"min_length", "min_new_tokens"}
    pair, seen = configured(eos=21, **{field: HONOURED_VALUES[field][0] for field in {*others, minimum}}), []
    process = LogitsProcessorList.__call__
    monkeypatch.setattr(LogitsProcessorList, "__call__", lambda self, *args, **options:
                        seen.append([type(processor) for processor in self]) or process(self, *args, **options))
    expected(pair, n=1)
    generate(pair, PROMPT, replace(CFG, max_new_tokens=1))
    theirs, ours = seen
    if minimum == "min_new_tokens":  # which `generate` turns into a min_length besides
        theirs.remove(MinLengthLogitsProcessor)
    assert ours == theirs and len(ours) == len(others) + 1


def test_every_honoured_setting_is_among_those_tried():
    assert set(HONOURED_VALUES) == set(HONOURED)


@pytest.mark.parametrize("eos, prompt, settings", [
    (None, PROMPT, dict(min_length=14)), (None, PROMPT, dict(min_new_tokens=9)),  # no EOS to keep back
    (21, PROMPT, dict(min_length=14, min_new_tokens=0)), (21, PROMPT, dict(min_length=5, min_new_tokens=9)),
    (None, LONE, dict(forced_bos_token_id=11, begin_suppress_tokens=[11, 22])),  # suppressed behind the forced token
    (None, PROMPT, dict(forced_bos_token_id=11, begin_suppress_tokens=[28]))])  # a text that has its beginning
def test_settings_that_depend_on_one_another_do_too(configured, eos, prompt, settings):
    pair = configured(eos=eos, **settings)
    for method, cfg in WAYS.values():
        assert generate(pair, prompt, cfg, method).new_ids == expected(pair, prompt)


def test_trees_of_these_tests_branch(configured):
    """Per node and its own path: a tree whose nodes all stood behind one path would show nothing."""
    pair = configured(repetition_penalty=1.6, no_repeat_ngram_size=2)
    for way in ("tree, branches", "tree, paths"):
        steps = generate(pair, PROMPT, WAYS[way][1]).steps
        assert any(len(step.tree.leaves()) > 1 and not step.tree.is_chain() for step in steps)


@pytest.mark.parametrize("method", METHODS)
def test_last_token_of_the_context_is_the_one_that_is_forced(configured, method):
    pair = configured(forced_eos_token_id=11)
    prompt = torch.randint(0, 29, (1, 60), generator=torch.Generator().manual_seed(0))
    assert generate(pair, prompt, CFG, method).new_ids == expected(pair, prompt, n=4) and expected(pair, prompt, n=4)[-1] == 11


@pytest.mark.parametrize("method", METHODS)
def test_eos_is_what_the_configuration_says_when_the_run_begins(configured, method):
    pair = configured()
    pair.verifier.generation_config.eos_token_id = [27, 21]
    out = generate(pair, PROMPT, CFG, method)
    assert out.new_ids == expected(pair) and (out.new_ids[-1], out.finish_reason) == (21, "eos") and pair.eos_ids == {21, 27}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("own, given", [(dict(repetition_penalty=1.7), dict(repetition_penalty=1.2)),
                                        (dict(no_repeat_ngram_size=3), dict(no_repeat_ngram_size=1)),
                                        (dict(repetition_penalty=1.7), dict(no_repeat_ngram_size=2))])
def test_penalties_of_cfg_count_as_arguments_of_generate(configured, own, given, method):
    pair = configured(**own)
    written = generate(pair, PROMPT, replace(CFG, **given), method).new_ids
    assert written == expected(pair, **given) != expected(pair)


@pytest.fixture(scope="module")
def plain(configured):
    return expected(configured())


@pytest.mark.parametrize("field", sorted((UNUSED | set(CUTS)) - {"eos_token_id"}))
def test_setting_without_effect_has_none_on_either_side(configured, plain, field):
    pair = configured(**{field: UNUSED_VALUES[field]})
    assert expected(pair) == plain
    for method in METHODS:
        assert generate(pair, PROMPT, replace(FEWER["medusa_lite"], max_new_tokens=7), method).new_ids == plain[:7]


# -- refusals

@pytest.mark.parametrize("settings, cfg, message", [
    (dict(num_beams=4), CFG, "sets num_beams=4, which asks for a search over several texts: set it to None"),
    (dict(guidance_scale=1.5), CFG, "guidance_scale=1.5"), (dict(stop_strings=["the end"]), CFG, "stop_strings"),
    (dict(prompt_lookup_num_tokens=3), CFG, "speculation by `transformers`"), (dict(wobble=1), CFG, "wobble=1, which is unknown here"),
    (dict(top_k=20), replace(CFG, do_sample=True), "top_k=20, but a sampled run draws from temperature and top_p alone")])
def test_refused_setting_is_one_sentence_before_any_model_runs(configured, real_calls, settings, cfg, message):
    pair = configured(**settings)
    calls = real_calls(pair)
    for run in (lambda method: generate(pair, PROMPT, cfg, method), lambda method: check_method(pair, cfg, method)):
        for method in set(METHODS) - ({"medusa_lite"} if cfg.do_sample else set()):
            with pytest.raises(ValueError, match=message) as caught:
                run(method)
            assert "\n" not in str(caught.value)
    assert methods_of(pair, cfg) == []
    for ask in (lambda: medusa_step(pair, PROMPT, cfg), lambda: diagnose(pair, [1], [2], PROMPT, cfg),
                lambda: peer_generate(pair, PROMPT, cfg, "hf-greedy")):
        with pytest.raises(ValueError, match=message):
            ask()
    assert calls == {"drafter": 0, "verifier": 0}


# -- whatever else asks the verifier

def test_sampled_text_comes_from_the_processed_distribution(configured):
    pair = configured(suppress_tokens=[28, 7], repetition_penalty=1.3)
    cfg = Cfg(max_new_tokens=12, do_sample=True, temperature=2.0, top_p=1.0, debug=True, draft="paths")
    text = PROMPT[0].tolist()
    for step in generate(pair, PROMPT, cfg).steps:
        for token, law in zip(step.new_ids, step.distributions):
            logits = penalize(last_token_logits(pair.verifier, torch.tensor([text])), torch.tensor([text]), 1.3)
            logits[[28, 7]] = float("-inf")
            torch.testing.assert_close(law.float(), torch.softmax(logits / 2.0, dim=-1), atol=1e-5, rtol=1e-4)
            text.append(token)


def test_drafts_follow_what_the_verifier_will_want(configured):
    """One model in both roles: with its settings applied to the drafts too, every draft is right."""
    pair = configured("right", suppress_tokens=[28, 7], no_repeat_ngram_size=2)
    steps = generate(pair, PROMPT, replace(CFG, topk_branch=1), "tree").steps
    assert all(len(step.path) == len(step.tree) for step in steps) and len(steps) == 4


def test_step_of_the_original_called_by_hand_follows_the_configuration(configured):
    pair = configured(suppress_tokens=[28, 7], begin_suppress_tokens=[19], repetition_penalty=1.6)
    _, step = medusa_step(pair, PROMPT, CFG)
    assert step.new_ids == expected(pair)[:len(step.new_ids)]


def test_step_of_the_original_called_by_hand_forces_the_eos_where_length_or_context_end(configured):
    pair = configured("right", forced_eos_token_id=11)
    for length, most in ((4, 3), (61, 9)):
        prompt = torch.randint(0, 29, (1, length), generator=torch.Generator().manual_seed(0))
        _, step = medusa_step(pair, prompt, replace(CFG, max_new_tokens=most, temperature=0))
        assert step.new_ids == expected(pair, prompt, n=3) and step.new_ids[-1] == 11


@pytest.mark.parametrize("peer", PEERS)
def test_peers_run_under_the_same_configuration(configured, peer):
    pair = configured(eos=21, repetition_penalty=1.6, suppress_tokens=[28], min_new_tokens=5, return_dict_in_generate=True)
    assert peer_generate(pair, PROMPT, CFG, peer).new_ids == generate(pair, PROMPT, CFG).new_ids == expected(pair)
    given = replace(CFG, repetition_penalty=1.2, no_repeat_ngram_size=2)
    assert peer_generate(pair, PROMPT, given, peer).new_ids == generate(pair, PROMPT, given).new_ids


def test_diagnosis_asks_the_verifier_under_its_configuration(configured):
    pair = configured(suppress_tokens=[28], forced_eos_token_id=11)
    right = generate(pair, PROMPT, CFG).new_ids
    for at in (0, 15):
        wrong = [*right[:at], 3, *right[at + 1:]]
        found = diagnose(pair, right, wrong, PROMPT, CFG)
        assert (found.verdict, found.position, found.best[0]) == ("defect", at, right[at])
