"""How far the next step drafts."""
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from specdec_utils import Cfg, generate
from specdec_utils.decode.propose.base import next_span

CONTEXT = [4, 9, 2, 9]


@given(st.integers(1, 9), st.integers(0, 9), st.integers(1, 9), st.integers(1, 9))
def test_next_span_moves_by_one_within_its_limits(span, accepted, drafted, most):
    span, accepted = min(span, most), min(accepted, drafted)
    after = next_span(span, accepted, drafted, most)
    assert 1 <= after <= most and after == (min(span + 1, most) if accepted == drafted else max(span - 1, 1))


@pytest.mark.parametrize("kind, spans", [("right", [2, 3, 4, 4, 4]), ("wrong", [2, 1, 1, 1, 1])])
def test_adaptive_span_follows_what_was_accepted(random_pairs, kind, spans):
    cfg = Cfg(max_new_tokens=30, draft_span=2, adaptive_span=True, topk_branch=1)
    steps = generate(random_pairs[kind], torch.tensor([CONTEXT]), cfg, "tree").steps
    assert [1 + max(step.tree.depths()) for step in steps[:5]] == spans
