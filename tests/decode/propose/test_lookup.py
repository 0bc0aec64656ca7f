"""Drafts that are looked up in the text."""
import pytest
from hypothesis import given
from hypothesis import strategies as st

from specdec_utils import lookup_tree


def brute_lookup(ids, span, shortest, longest):
    for size in range(longest, shortest - 1, -1):
        for end in range(len(ids) - 1, size - 1, -1):
            if ids[end - size:end] == ids[-size:]:
                return ids[end:end + span]
    return []


@given(st.lists(st.integers(0, 2), min_size=1, max_size=14), st.integers(0, 4), st.integers(1, 3), st.integers(0, 2))
def test_lookup_equals_brute_force(ids, span, shortest, more):
    tree = lookup_tree(ids, span, shortest, shortest + more)
    assert tree.tokens == brute_lookup(ids, span, shortest, shortest + more)
    assert tree.is_chain() and tree.drawn_from == {} and set(tree.probs) <= {1.0}


@pytest.mark.parametrize("ids, found", [
    ([1, 2, 3, 9, 1, 2], [3, 9, 1]), ([1, 2, 3, 1, 2, 4, 1, 2], [4, 1, 2]), ([5, 1, 2, 7, 1, 2, 8, 5, 1, 2], [7, 1, 2]),
    ([1, 2, 3], []), ([7], []), ([7, 7, 7], [7]), ([2, 1, 3, 1], [])])
def test_lookup_takes_the_longest_match_and_the_latest_of_equals(ids, found):
    assert lookup_tree(ids, 3).tokens == found
