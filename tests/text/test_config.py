import dataclasses
import re

import numpy
import pytest

from specdec_utils import RULES, Cfg
from specdec_utils.text.config import ACCEPTANCES, DRAFTS


def test_defaults_are_the_documented_ones():
    assert dataclasses.asdict(Cfg()) == {
        "max_new_tokens": 30, "temperature": 0.8, "top_p": 0.9, "repetition_penalty": 1.0, "no_repeat_ngram_size": 0,
        "topk_branch": 4, "draft_span": 3, "do_sample": False, "acceptance": "auto", "seed": 42, "debug": False, "draft": "auto",
        "adaptive_span": False, "draft_confidence": 0.0, "lookup_first": 0, "text_pieces": True, "lean": True}


def test_settings_cannot_be_changed_after_construction():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Cfg().draft_span = 5


@pytest.mark.parametrize("field, value, wanted", [
    ("max_new_tokens", 0, "at least 1"), ("max_new_tokens", -3, "at least 1"), ("max_new_tokens", 2.5, "whole number"),
    ("max_new_tokens", True, "whole number"), ("topk_branch", 0, "at least 1"), ("draft_span", 0, "at least 1"),
    ("draft_span", "3", "whole number"), ("temperature", -0.1, "at least 0"), ("temperature", float("nan"), "at least 0"),
    ("temperature", float("inf"), "at least 0"), ("top_p", 0, "(0, 1]"), ("top_p", 1.01, "(0, 1]"), ("top_p", None, "(0, 1]"),
    ("repetition_penalty", 0, "above 0"), ("repetition_penalty", -1.0, "above 0"), ("no_repeat_ngram_size", -1, "at least 0"),
    ("no_repeat_ngram_size", 1.0, "whole number"), ("do_sample", 1, "True or False"), ("debug", "yes", "True or False"),
    ("acceptance", "typical", "'auto'"), ("seed", -1, "at least 0"), ("seed", None, "whole number"),
    ("acceptance", None, "one of ['auto', 'single_draft'"), ("draft", "best", "one of ['auto', 'branches', 'paths', 'top']"),
    ("draft", None, "one of ['auto'"), ("adaptive_span", 1, "True or False"), ("lean", None, "True or False"),
    ("draft_confidence", 1, "[0, 1)"), ("draft_confidence", -0.1, "[0, 1)"), ("draft_confidence", float("nan"), "[0, 1)"),
    ("draft_confidence", True, "[0, 1)"), ("lookup_first", -1, "at least 0"), ("lookup_first", True, "whole number")])
def test_error_names_field_value_and_range(field, value, wanted):
    with pytest.raises(ValueError, match=re.escape(f"{field}={value!r} is not usable")) as caught:
        Cfg(**{field: value})
    assert wanted in str(caught.value) and str(caught.value).count("\n") == 0


def test_temperature_zero_means_greedy_drafts_but_cannot_be_sampled_from():
    assert Cfg(temperature=0).temperature == 0
    with pytest.raises(ValueError, match=r"temperature=0 .* above 0 when do_sample=True"):
        Cfg(temperature=0, do_sample=True)


def test_rule_of_acceptance_is_for_sampled_runs():
    for rule in RULES:
        assert Cfg(acceptance=rule, do_sample=True).acceptance == rule
        with pytest.raises(ValueError, match=f"acceptance='{rule}' is not usable: it must be 'auto' unless do_sample=True"):
            Cfg(acceptance=rule)
    assert set(ACCEPTANCES) == {"auto", *RULES}


def test_replace_checks_again():
    with pytest.raises(ValueError, match="draft_span=0"):
        dataclasses.replace(Cfg(), draft_span=0)


def test_edges_of_every_range_and_numpy_numbers_are_accepted():
    for draft in DRAFTS:
        Cfg(draft=draft, adaptive_span=True, lean=False, draft_confidence=0)
    Cfg(draft_confidence=numpy.float64(0.999))
    Cfg(max_new_tokens=1, topk_branch=1, draft_span=1, top_p=1, repetition_penalty=0.5, no_repeat_ngram_size=0, seed=0)
    assert Cfg(max_new_tokens=numpy.int64(7), top_p=numpy.float32(0.5)).max_new_tokens == 7
