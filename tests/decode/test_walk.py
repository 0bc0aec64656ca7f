"""The walk down a tree is exact: `accept_sampled` itself, and the drafting before it, their random numbers enumerated."""
import numpy as np
import oracle
import pytest
import torch
from distributions import TABLES, distributions, rolled
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import check_walk

from specdec_utils import ROOT, Cfg, TokenTree, accept_sampled, draft_tree, next_distribution


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("draft, k", [("branches", 1), ("branches", 2), ("paths", 1), ("best", 1), ("best", 2), ("best", 3)])
def test_two_drafted_levels_leave_the_joint_of_three_tokens_exactly_as_it_was(table, draft, k):
    check_walk(accept_sampled, oracle.DRAFTS[draft], *TABLES[table], k)


@pytest.mark.parametrize("draft, k", [("branches", 2), ("paths", 1), ("best", 2)])
@settings(max_examples=5)
@given(st.lists(distributions(5), min_size=10, max_size=10))
def test_on_random_tables_they_do_too(draft, k, rows):
    check_walk(accept_sampled, oracle.DRAFTS[draft], np.array(rows[:5]), np.array(rows[5:]), k)


@pytest.mark.parametrize("draft, k", [("branches", 3), ("paths", 2)])
def test_more_branches_than_two_and_shared_nodes_do_too(draft, k):
    check_walk(accept_sampled, oracle.DRAFTS[draft], *TABLES["with zeros"], k)


@pytest.mark.parametrize("draft", oracle.DRAFTS)
def test_random_numbers_of_a_computer_change_nothing_either(draft):
    """They are multiples of 2^-53, and can be exactly 0."""
    p = rolled([0, 8, 4, 2, 2], 1)
    q = rolled([4, 4, 4, 2, 2], 3)
    check_walk(accept_sampled, oracle.DRAFTS[draft], p, q, 1, grid=2 ** 53)


def test_number_zero_does_not_accept_a_token_that_the_verifier_rules_out(monkeypatch):
    monkeypatch.setattr(torch, "rand", lambda *size, generator, **options: torch.zeros(*size, **options))
    targets = torch.tensor([[0.5, 0.5, 0, 0, 0], [0, 0, 0, 0, 1.0]], dtype=torch.float64)
    path, extra = accept_sampled(TokenTree.from_branches([[3]]), targets)
    assert path == [] and extra in (0, 1)
    tree = TokenTree.from_branches([[3]])
    tree.drawn_from[ROOT] = "with_replacement", torch.full((5,), 0.2, dtype=torch.float64)
    assert accept_sampled(tree, targets)[0] == []


# -- the package's own drafting, in float64, its random numbers enumerated as well

class Table:
    """A drafter behind the interface of a cached model: the distribution of the next token is a row of a table."""

    length = 0

    def __init__(self, rows):
        self.logits = torch.tensor(rows.astype(float)).log()

    def feed(self, tokens, wanted=None, positions=None, mask=None):
        return self.logits[tokens[-(wanted or 1):]]


@pytest.mark.parametrize("draft, k, options", [
    ("branches", 2, {}), ("branches", 3, dict(top_p=0.6)), ("branches", 2, dict(temperature=0.7)),
    ("branches", 3, dict(draft_confidence=0.1)), ("paths", 1, {}), ("paths", 2, dict(top_p=0.6)),
    ("paths", 2, dict(draft_confidence=0.25, top_p=0.8)), ("top", 3, {}), ("top", 3, dict(draft_confidence=0.1))])
def test_every_way_of_drafting_leaves_the_joint_of_three_tokens_as_it_was(draft, k, options):
    cfg = Cfg(**{"do_sample": True, "temperature": 1.0, "top_p": 1.0, "topk_branch": k, **options})
    drafter = Table(TABLES["apart"][1])
    p = next_distribution(Table(TABLES["apart"][0]).logits, cfg.temperature, cfg.top_p)  # the verifier's own nucleus
    shapes = set()

    def run():
        tree = draft_tree(drafter, [0], cfg, draft, span=2)
        shapes.add((len(tree), len(tree.leaves())))
        path, extra = accept_sampled(tree, p[[0, *tree.tokens]])
        return *(tree.tokens[node] for node in path), extra
    oracle.check_joint(oracle.outcomes(run), lambda tokens: p[tokens[-1] if tokens else 0].tolist(), 3, tolerance=1e-12)
    assert max(shapes) > (2, 1) or k == 1
