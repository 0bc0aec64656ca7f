"""Which methods a pair can serve, and which rules may judge what they draft."""
from dataclasses import replace

import pytest
import torch

from specdec_utils import METHODS, Cfg, generate
from specdec_utils.decode.methods import check_method, methods_of

ALL = list(METHODS)


def start(*row):
    return torch.tensor([row])


@pytest.mark.parametrize("cfg", [Cfg(), Cfg(do_sample=True), Cfg(draft="paths"), Cfg(draft="top", do_sample=True),
                                 Cfg(do_sample=True, acceptance="typical_lossy"), Cfg(do_sample=True, acceptance="deterministic")])
@pytest.mark.parametrize("heads, eagle", [(False, False), (True, False), (False, True)])
def test_methods_of_names_what_a_pair_can_serve_and_nothing_else(counting, cfg, heads, eagle):
    pair, serves = counting(heads=heads, eagle=eagle), []
    for method in ALL:
        try:
            check_method(pair, cfg, method)
            serves.append(method)
        except ValueError:
            with pytest.raises(ValueError):
                generate(pair, start(0), cfg, method)
    assert methods_of(pair, cfg) == serves
    for method in serves:
        generate(pair, start(0), replace(cfg, max_new_tokens=2), method)


@pytest.mark.parametrize("method, draft, branches, fits", [
    ("tree", "auto", 4, {"without_replacement"}), ("tree", "branches", 1, {"without_replacement"}),
    ("tree", "paths", 4, {"with_replacement"}), ("tree", "paths", 1, {"with_replacement", "single_draft"}),
    ("tree", "top", 4, {"deterministic"}), ("one_pass", "auto", 4, {"without_replacement"}), ("lookup", "auto", 4, {"deterministic"}),
    ("heads", "paths", 4, {"deterministic"}), ("eagle", "auto", 4, {"without_replacement"}), ("eagle", "top", 1, {"deterministic"}),
    ("eagle", "paths", 1, {"with_replacement", "single_draft"}), ("auto", "auto", 4, set()), ("auto", "top", 4, {"deterministic"}), ("greedy", "auto", 4, None)])
def test_acceptance_rules_are_taken_only_where_they_fit_the_draft(counting, method, draft, branches, fits):
    pair = counting(heads=True, eagle=True)
    always = {"auto", "typical_lossy"} if method != "greedy" else {"auto"}
    for rule in ("auto", "single_draft", "with_replacement", "without_replacement", "deterministic", "typical_lossy"):
        cfg = Cfg(max_new_tokens=3, do_sample=True, acceptance=rule, draft=draft, topk_branch=branches)
        if rule in always | (fits or set()):
            assert len(generate(pair, start(0), cfg, method).new_ids) == 3
        else:
            with pytest.raises(ValueError, match=f"acceptance='{rule}' does not fit how '{method}' drafts here"):
                generate(pair, start(0), cfg, method)
