"""What `generate` samples is the verifier's own distribution: exactly, and with real random numbers in a chi-square test."""
from collections import Counter
from copy import deepcopy
from dataclasses import replace

import mutants
import oracle
import pytest
import torch
from scipy.stats import chisquare
from transformers import (
    LogitsProcessorList,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)

from specdec_utils import METHODS, Cfg, EagleDrafter, MedusaHeads, ModelPair, generate
from specdec_utils.decode import step
from specdec_utils.decode.propose import small_model
from specdec_utils.text.config import ACCEPTANCES, DRAFTS

PROMPT = [1, 2, 3, 1, 2]  # something to look up
CASES = {  # every method that can sample: (method, settings)
    "greedy": ("greedy", {}),
    "one_pass": ("one_pass", dict(topk_branch=3)),
    "branches": ("tree", dict(draft="branches", topk_branch=2)),
    "one path": ("tree", dict(draft="paths", topk_branch=1, acceptance="single_draft")),
    "three paths": ("tree", dict(draft="paths", topk_branch=3)),
    "top": ("tree", dict(draft="top", topk_branch=3)),
    "draft_confidence": ("tree", dict(draft="paths", topk_branch=2, draft_confidence=0.2)),
    "lookup": ("lookup", {}),
    "lookup first": ("tree", dict(draft="paths", topk_branch=1, lookup_first=2)),
    "heads": ("heads", dict(topk_branch=2, max_new_tokens=4)),
    "eagle, one path": ("eagle", dict(draft="paths", topk_branch=1, acceptance="single_draft", max_new_tokens=4)),
    "eagle, two paths": ("eagle", dict(draft="paths", topk_branch=2, max_new_tokens=4)),
    "eagle, branches": ("eagle", dict(draft="branches", topk_branch=2, max_new_tokens=4)),
    "eagle, top": ("eagle", dict(draft="top", topk_branch=3, max_new_tokens=4, repetition_penalty=1.6)),
    "auto": ("auto", dict(max_new_tokens=4)),
    "auto, two paths": ("auto", dict(draft="paths", topk_branch=2, max_new_tokens=4)),
    "auto, top": ("auto", dict(draft="top", topk_branch=3, max_new_tokens=4, repetition_penalty=1.6)),
    "top_p": ("tree", dict(draft="branches", topk_branch=3, top_p=0.8)),
    "repetition_penalty": ("tree", dict(draft="branches", topk_branch=3, repetition_penalty=1.6)),
    "no_repeat_ngram_size": ("tree", dict(draft="paths", topk_branch=2, no_repeat_ngram_size=2)),
    "both penalties, nothing drawn": ("tree", dict(draft="top", topk_branch=6, repetition_penalty=0.7, no_repeat_ngram_size=2)),
    "adaptive_span": ("tree", dict(draft="branches", topk_branch=3, adaptive_span=True, draft_span=1, max_new_tokens=5)),
}


@pytest.fixture(scope="module")
def make_pair(random_model):
    """make_pair(dtype): a drafter, a verifier, random heads and a random eagle drafter that cannot write token 2, over 5 tokens, all
    of which are likely somewhere."""
    def make(dtype=torch.float32):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            heads = MedusaHeads(width=16, heads=2, inner=16)
            for weight in heads.parameters():
                torch.nn.init.normal_(weight, std=0.3)
            eagle = EagleDrafter(16, 5, (0, -1), heads=2, inner=16, context=64, draft_ids=torch.tensor([0, 1, 3, 4]))
            for weight in eagle.parameters():
                torch.nn.init.normal_(weight, std=0.3)
        models = [random_model(seed, vocab_size=5, layers=1).to(dtype) for seed in (7, 2)]
        return ModelPair(*models, heads=heads.to(dtype).eval(), eagle=eagle.to(dtype).eval())
    return make


def settings_of(case, **changes):
    method, settings = CASES[case]
    return method, Cfg(**{"do_sample": True, "max_new_tokens": 3, "draft_span": 2, "temperature": 1.5, "top_p": 1.0, **settings,
                          **changes})


def verifiers_law(verifier, cfg, eos=None):
    """follow(tokens): the distribution of the token after PROMPT + tokens, by `transformers`' own processors and warpers."""
    steps = LogitsProcessorList([TemperatureLogitsWarper(float(cfg.temperature))])
    if cfg.repetition_penalty != 1:
        steps.insert(0, RepetitionPenaltyLogitsProcessor(cfg.repetition_penalty))
    if cfg.no_repeat_ngram_size:
        steps.insert(-1, NoRepeatNGramLogitsProcessor(cfg.no_repeat_ngram_size))
    if cfg.top_p < 1:
        steps.append(TopPLogitsWarper(cfg.top_p))
    known = {}

    def follow(tokens):
        if eos in tokens:  # nothing comes behind it: filled up with itself
            return [float(token == eos) for token in range(5)]
        if tokens not in known:
            ids = torch.tensor([[*PROMPT, *tokens]])
            with torch.inference_mode():
                known[tokens] = torch.softmax(steps(ids, verifier(ids).logits[:, -1].double()), dim=-1)[0].tolist()
        return known[tokens]
    return follow


# -- exactly: every random number of a whole run enumerated, in float64

FEWER = {"three paths": dict(topk_branch=2, top_p=0.7), "adaptive_span": dict(top_p=0.6)}  # so that all can be enumerated


@pytest.mark.parametrize("case, lean", [*((case, True) for case in CASES), *((case, False) for case in ("branches", "one path", "heads"))])
def test_whole_run_has_the_joint_distribution_of_the_verifier(make_pair, case, lean):
    method, cfg = settings_of(case, **{"top_p": 0.7, "lean": lean, **FEWER.get(case, {})})
    pair, accepted = make_pair(torch.float64), set()

    def run():
        out = generate(pair, torch.tensor([PROMPT]), cfg, method)
        accepted.update(len(step.path) for step in out.steps)
        return tuple(out.new_ids)
    oracle.check_joint(oracle.outcomes(run), verifiers_law(pair.verifier, cfg), cfg.max_new_tokens, tolerance=1e-12)
    assert len(accepted) > 1 or method == "greedy"  # the draft was accepted here and rejected there


@pytest.mark.parametrize("case", ["one_pass", "one path", "top"])
def test_whole_run_that_may_end_early_has_it_too(make_pair, case):
    method, cfg = settings_of(case, top_p=0.7)
    pair, ends = make_pair(torch.float64), Counter()
    verifier = deepcopy(pair.verifier)
    verifier.generation_config.eos_token_id = 3
    pair = ModelPair(pair.drafter, verifier)

    def run():
        out = generate(pair, torch.tensor([PROMPT]), cfg, method)
        ends[out.finish_reason] += 1
        return (*out.new_ids, *[3] * (cfg.max_new_tokens - len(out.new_ids)))
    oracle.check_joint(oracle.outcomes(run), verifiers_law(pair.verifier, cfg, eos=3), cfg.max_new_tokens, tolerance=1e-12)
    assert ends["eos"] and ends["length"]


@pytest.mark.parametrize("fault", [mutants.one_random_number_for_all, mutants.argmax_bonus])
def test_whole_run_of_a_mutant_has_not(make_pair, monkeypatch, fault):
    monkeypatch.setattr(step, "accept_sampled", lambda tree, targets, lossy, generator: fault(tree, targets, generator))
    with pytest.raises(AssertionError, match="total variation"):
        test_whole_run_has_the_joint_distribution_of_the_verifier(make_pair, "one path", True)


# -- with real random numbers: chi-square

def p_value(pair, method, cfg, samples=500):
    """Of the last three tokens of runs with seeds 0, 1, 2, ..., held against the verifier's law."""
    expected, observed = Counter(), Counter()
    for tokens, chance in oracle.continued({(): 1}, verifiers_law(pair.verifier, cfg), cfg.max_new_tokens).items():
        expected[tokens[-3:]] += chance * samples
    for seed in range(samples):
        out = generate(pair, torch.tensor([PROMPT]), replace(cfg, seed=seed), method)
        observed[tuple(out.new_ids[-3:])] += 1
    assert set(observed) <= set(expected)  # nothing was written that the verifier rules out
    cells, seen, due = [], 0, 0
    for tokens in sorted(expected, key=expected.get):  # rare ones are counted together, until 5 are expected
        seen, due = seen + observed[tokens], due + expected[tokens]
        if due >= 5:
            cells.append((seen, due))
            seen = due = 0
    assert not due and len(cells) >= 8
    return chisquare(*zip(*cells)).pvalue


@pytest.mark.parametrize("case", CASES)
def test_samples_follow_the_joint_distribution_of_the_verifier(make_pair, case):
    assert p_value(make_pair(), *settings_of(case)) > 0.001


def test_typical_acceptance_fails_the_same_test(make_pair):
    assert p_value(make_pair(), *settings_of("one path", acceptance="typical_lossy")) < 1e-6


def test_mutants_fail_the_same_test(make_pair, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(step, "accept_sampled", lambda tree, targets, lossy, generator: mutants.argmax_bonus(tree, targets, generator))
        assert p_value(make_pair(), *settings_of("one path")) < 1e-6
    draw = small_model.sample_without_replacement
    monkeypatch.setattr(small_model, "sample_without_replacement", lambda q, k, generator: sorted(draw(q, k, generator)))
    assert p_value(make_pair(), *settings_of("one_pass")) < 1e-6


# -- each rule belongs to one law of drafting: any other pairing is refused before a model runs

LAW = {"branches": "without_replacement", "paths": "with_replacement", "top": "deterministic", "auto": "without_replacement"}


def fits(method, draft, acceptance, k):
    if method == "medusa_lite" or method == "one_pass" and draft not in ("auto", "branches"):
        return False
    if method == "greedy":
        return acceptance == "auto"
    if method == "auto" and draft != "top":  # now one law, now another
        return acceptance in ("auto", "typical_lossy")
    law = "deterministic" if method in ("lookup", "heads") else LAW[draft]
    return acceptance in ("auto", "typical_lossy", law) or (acceptance == "single_draft" and law == "with_replacement" and k == 1)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("draft", DRAFTS)
@pytest.mark.parametrize("method", METHODS)
def test_only_the_rule_that_fits_the_draft_is_taken(make_pair, real_calls, method, draft, k):
    pair = make_pair()
    calls = real_calls(pair)
    for acceptance in ACCEPTANCES:
        cfg = Cfg(do_sample=True, draft=draft, acceptance=acceptance, topk_branch=k, max_new_tokens=2)
        if fits(method, draft, acceptance, k):
            assert len(generate(pair, torch.tensor([PROMPT]), cfg, method).new_ids) == 2 and calls["verifier"]
        else:
            calls.update(drafter=0, verifier=0)
            with pytest.raises(ValueError) as caught:
                generate(pair, torch.tensor([PROMPT]), cfg, method)
            assert calls == {"drafter": 0, "verifier": 0} and "\n" not in str(caught.value)
            assert ": use " in str(caught.value)  # says what would fit


@pytest.mark.parametrize("method, settings, sentence", [
    ("tree", dict(acceptance="with_replacement"), "acceptance='with_replacement' does not fit how 'tree' drafts here: use one of "
     r"\['auto', 'typical_lossy', 'without_replacement'\]"),
    ("tree", dict(draft="paths", acceptance="single_draft", topk_branch=2), "use one of .*'with_replacement'"),
    ("tree", dict(draft="top", acceptance="without_replacement"), "use one of .*'deterministic'"),
    ("tree", dict(lookup_first=3, acceptance="without_replacement"), r"use one of \['auto', 'typical_lossy'\]"),
    ("lookup", dict(acceptance="with_replacement"), "use one of .*'deterministic'"),
    ("greedy", dict(acceptance="deterministic"), r"use one of \['auto'\]"),
    ("one_pass", dict(draft="paths"), "use draft='branches' or 'tree', not 'paths'")])
def test_refusal_names_the_rules_that_fit(make_pair, method, settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        generate(make_pair(), torch.tensor([PROMPT]), Cfg(do_sample=True, **settings), method)
