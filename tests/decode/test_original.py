"""The original notebook's step, and what it records."""
import pytest
import torch

from specdec_utils import Cfg, last_token_logits, medusa_step, safe_top_p_filter


def start(*row):
    return torch.tensor([row])


def test_step_records_the_verifiers_view_of_every_branch(counting):
    pair = counting(draft=lambda token: token + (2 if token == 7 else 1), sharpness=9.0)
    ids, step = medusa_step(pair, start(5), Cfg(topk_branch=1, draft_span=4))
    (branch,) = step.branches
    assert branch.tokens == [6, 7, 9, 10] and branch.choices == [6, 7, 8]
    assert (branch.accepted, branch.mismatched, branch.score) == (2, True, 1)
    assert len(branch.draft_probs) == 4 and all(0 < q <= 1.0001 for q in branch.draft_probs)
    assert branch.choice_probs == pytest.approx([1, 1, 1], abs=1e-3)
    assert branch.verifier_probs == pytest.approx([1, 1, 0], abs=1e-3)
    assert (step.context, step.best, step.new_ids, step.extra) == (1, 0, [6, 7, 8], 8)
    assert ids.tolist() == [[5, 6, 7, 8]] and branch.distributions == []


@pytest.mark.parametrize("temperature, top_p", [(0.5, 0.9), (0.8, 0.4), (3.0, 0.6)])
def test_drafts_come_from_the_temperature_and_nucleus_that_were_asked_for(counting, temperature, top_p):
    pair = counting()
    probs = torch.softmax(last_token_logits(pair.drafter, start(5)) / temperature, dim=-1)
    nucleus = safe_top_p_filter(probs, top_p)
    _, step = medusa_step(pair, start(5), Cfg(topk_branch=30, draft_span=1, temperature=temperature, top_p=top_p))
    drafted = {branch.tokens[0]: branch.draft_probs[0] for branch in step.branches}
    assert drafted == pytest.approx({int(t): (probs[t] / probs[nucleus].sum()).item() for t in nucleus})


def test_best_branch_wins_and_the_first_of_equals(counting):
    _, step = medusa_step(counting(), start(5), Cfg(topk_branch=4, draft_span=3, temperature=3.0, top_p=1.0))
    scores = [branch.score for branch in step.branches]
    assert len(scores) == 4 and step.best == scores.index(max(scores))
    for branch in step.branches:  # only a branch that starts with the verifier's token can win
        assert branch.score == (3 if branch.tokens[0] == 6 else -1)


def test_fully_accepted_branch_has_no_extra_token(counting):
    _, step = medusa_step(counting(sharpness=9.0), start(5), Cfg(draft_span=3))
    assert (step.new_ids, step.extra) == ([6, 7, 8], None)


@pytest.mark.parametrize("cfg, room, added", [(dict(draft_span=8), 64, 8), (dict(draft_span=8, max_new_tokens=2), 64, 2),
                                              (dict(draft_span=8), 3, 3)])
def test_step_adds_no_more_than_span_length_and_context_allow(counting, cfg, room, added):
    _, step = medusa_step(counting(context=1 + room if room < 64 else 64, sharpness=9.0), start(5), Cfg(**cfg))
    assert len(step.new_ids) == added


def test_step_in_a_full_context_is_refused(counting):
    with pytest.raises(ValueError, match="The context is full: 8 of 8 positions are taken"):
        medusa_step(counting(context=8), torch.arange(8)[None], Cfg())
