"""Drafts of Medusa heads."""
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from specdec_utils import heads_tree


@given(st.integers(0, 2**20), st.integers(1, 4), st.integers(1, 12), st.integers(0, 5))
def test_heads_tree_holds_the_most_probable_prefixes(seed, heads, nodes, span):
    probs = torch.softmax(2 * torch.randn(heads, 5, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=-1)
    tree, chance = heads_tree(probs, nodes, span), {}
    for depth in range(1, min(span, heads) + 1):
        for path in product(range(5), repeat=depth):
            chance[path] = float(torch.prod(probs[range(depth), path]))
    best = sorted(chance, key=chance.get, reverse=True)[:nodes]
    found = [tuple(tree.path_tokens(node)) for node in range(len(tree))]
    assert found == best  # found best first, too; a prefix comes before what it begins
    for node, path in enumerate(found):
        assert tree.probs[node] == float(probs[len(path) - 1, path[-1]]) and tree.reach(node) == pytest.approx(chance[path])
    assert tree.drawn_from == {} and (not found or max(tree.depths()) < span)
