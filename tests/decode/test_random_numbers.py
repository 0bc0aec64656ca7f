"""Each run draws from a generator of its own: runs beside each other do not meet, and the caller's random state stays as it was."""
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import numpy as np
import pytest
import torch

from specdec_utils import (
    METHODS,
    ROOT,
    Cfg,
    TokenTree,
    accept_sampled,
    drafter_sample_first_tokens,
    drafter_sample_first_tokens_basic,
    generate,
    medusa_step,
    sample_without_replacement,
)

PROMPT = torch.tensor([[5, 17, 3, 9]])
CFG = Cfg(max_new_tokens=12, do_sample=True, temperature=5.0, top_p=1.0)
WAYS = [("medusa_lite", replace(CFG, do_sample=False)), ("one_pass", CFG), ("greedy", CFG), ("lookup", CFG), ("heads", CFG),
        *(("tree", replace(CFG, draft=draft)) for draft in ("branches", "paths", "top")),
        ("auto", CFG), *(("eagle", replace(CFG, draft=draft)) for draft in ("branches", "paths", "top"))]


def drawn(pair, cfg, method, seed):
    """All that a run drew: its drafts and what it wrote."""
    out = generate(pair, PROMPT, replace(cfg, seed=seed), method)
    return out.new_ids, [[branch.tokens for branch in step.branches] for step in out.steps]


@pytest.mark.parametrize("method, cfg", WAYS)
def test_run_repeats_with_its_seed(random_pairs, method, cfg):
    one, again, other = (drawn(random_pairs["random"], cfg, method, seed) for seed in (1, 1, 2))
    assert one == again != other


@pytest.mark.parametrize("method, cfg", WAYS)
def test_runs_in_six_threads_draw_what_they_draw_alone(random_pairs, method, cfg):
    pair, seeds, start = random_pairs["random"], range(6), Barrier(6)

    def beside_others(seed):
        start.wait()
        return drawn(pair, cfg, method, seed)
    alone = [drawn(pair, cfg, method, seed) for seed in seeds]
    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(beside_others, seeds)) == alone


@pytest.mark.parametrize("method, cfg", WAYS)
def test_callers_random_state_is_neither_read_nor_moved(random_pairs, method, cfg):
    one = drawn(random_pairs["random"], cfg, method, 1)
    torch.manual_seed(7)
    torch_before, python_before, numpy_before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    assert drawn(random_pairs["random"], cfg, method, 1) == one
    assert torch.equal(torch.get_rng_state(), torch_before) and random.getstate() == python_before
    assert np.array_equal(np.random.get_state()[1], numpy_before)


def test_random_state_of_an_accelerator_is_not_even_asked_for(random_pairs, monkeypatch):
    for device in (torch.cuda, torch.mps):
        for function in ("get_rng_state", "set_rng_state", "manual_seed"):
            monkeypatch.setattr(device, function, lambda *args: pytest.fail("an accelerator's random state was touched"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for method, cfg in WAYS:
        generate(random_pairs["random"], PROMPT, replace(cfg, max_new_tokens=3), method)


def test_every_method_is_among_the_ways_tried():
    assert {method for method, _ in WAYS} == set(METHODS)


def _root_with_children():
    tree = TokenTree.from_branches([[2], [4]])
    tree.drawn_from[ROOT] = "with_replacement", torch.full((9,), 1 / 9)
    return tree


@pytest.mark.parametrize("draw", [
    lambda model, **source: sample_without_replacement(torch.full((9,), 1 / 9), 5, **source),
    lambda model, **source: drafter_sample_first_tokens_basic(model, PROMPT, 5, temperature=5.0, **source),
    lambda model, **source: drafter_sample_first_tokens(model, PROMPT, 5, temperature=5.0, **source),
    lambda model, **source: [accept_sampled(_root_with_children(), torch.full((3, 9), 1 / 9), **source) for _ in range(9)]])
def test_functions_called_by_hand_draw_from_the_generator_given_or_else_from_torchs_own(random_model, draw):
    """The same numbers from both: what a notebook draws by hand after `torch.manual_seed` is what a run with that seed draws."""
    model = random_model(3)
    given = draw(model, generator=torch.Generator().manual_seed(5))
    torch.manual_seed(5)
    assert draw(model) == given != draw(model)


def test_step_called_by_hand_draws_as_the_first_step_of_a_run(random_pairs):
    pair, cfg = random_pairs["random"], Cfg(temperature=5.0, top_p=1.0)
    torch.manual_seed(cfg.seed)
    _, step = medusa_step(pair, PROMPT, cfg)
    first = generate(pair, PROMPT, cfg, "medusa_lite").steps[0]
    assert [branch.tokens for branch in step.branches] == [branch.tokens for branch in first.branches]
