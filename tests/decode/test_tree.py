from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from specdec_utils import ROOT, Branch, CachedModel, Cfg, LeanGPT2, TokenTree, draft_tree, heads_tree, last_token_logits, verify_tree

IDS = [4, 9, 2, 9, 17]
BRANCHES = st.lists(st.lists(st.integers(0, 2), max_size=4), max_size=6)  # few tokens, so that branches share prefixes
CLASSES = pytest.mark.parametrize("cached", [CachedModel, LeanGPT2])


def prefixes(branches):
    return {tuple(branch[:i]) for branch in branches for i in range(1, len(branch) + 1)}


# -- the structure

@given(BRANCHES)
def test_merged_tree_holds_every_prefix_once(branches):
    tree = TokenTree.from_branches(branches)
    paths = [tuple(tree.path_tokens(node)) for node in range(len(tree))]
    assert len(paths) == len(set(paths)) == len(tree) and set(paths) == prefixes(branches)
    assert tree.parents == [ROOT if len(path) == 1 else paths.index(path[:-1]) for path in paths]
    assert all(parent < node for node, parent in enumerate(tree.parents))


@given(BRANCHES)
def test_unmerged_tree_gives_every_branch_nodes_of_its_own(branches):
    tree = TokenTree.from_branches(branches, merge=False)
    assert tree.tokens == [token for branch in branches for token in branch]
    assert [tree.path_tokens(leaf) for leaf in tree.leaves()] == [branch for branch in branches if branch]


@given(BRANCHES)
def test_duplicates_keep_their_multiplicity(branches):
    """A node stands among the children once for every branch that runs through it, in the order of the branches."""
    tree = TokenTree.from_branches(branches)
    for node in (ROOT, *range(len(tree))):
        above = tree.path_tokens(node)
        after = [branch[len(above)] for branch in branches if len(branch) > len(above) and branch[:len(above)] == above]
        assert [tree.tokens[child] for child in tree.children.get(node, [])] == after


@given(BRANCHES, st.booleans(), st.integers(0, 9))
def test_path_mask_positions_depths_and_leaves_agree(branches, merge, start):
    tree = TokenTree.from_branches(branches, merge)
    mask, positions = tree.mask(), tree.positions(start)
    assert mask.shape == (len(tree), len(tree)) and mask.dtype == torch.bool
    for node in range(len(tree)):
        path = tree.path(node)
        assert path[-1] == node and tree.parents[path[0]] == ROOT
        assert all(tree.parents[child] == parent for parent, child in pairwise(path))
        assert mask[node].nonzero().flatten().tolist() == path  # ancestors and itself
        assert torch.equal(tree.mask(node), mask[node:])
        assert positions[node] == start + len(path) - 1 and tree.depths()[node] == len(path) - 1
    assert tree.leaves() == [node for node in range(len(tree)) if node not in tree.parents]
    assert tree.path(ROOT) == tree.path_tokens(ROOT) == []


@given(BRANCHES, st.booleans())
def test_chain_is_a_tree_of_one_leaf(branches, merge):
    tree = TokenTree.from_branches(branches, merge)
    assert tree.is_chain() == (len(tree.leaves()) <= 1)
    if tree.is_chain():  # what the ordinary causal pass would do
        assert torch.equal(tree.mask(), torch.ones(len(tree), len(tree), dtype=torch.bool).tril())
        assert tree.positions(7) == list(range(7, 7 + len(tree)))


def test_branches_pass_their_probabilities_on():
    tree = TokenTree.from_branches([Branch([3, 5], [0.5, 0.25]), [3, 6], Branch([4], [0.125])])
    assert (tree.tokens, tree.probs) == ([3, 5, 6, 4], [0.5, 0.25, 1.0, 0.125])
    assert [tree.reach(node) for node in (ROOT, 0, 1, 2, 3)] == [1, 0.5, 0.125, 0.5, 0.125]


def test_empty_tree():
    tree = TokenTree()
    assert (len(tree), tree.leaves(), tree.is_chain(), tree.positions(5), tree.mask().shape) == (0, [], True, [], (0, 0))


# -- the logits: what a tree says at each node is what its path says alone

def drafted(random_model, draft):
    """A tree from a drafter: repeated draws that share nodes, greedy rollouts, or the best of each level."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return draft_tree(CachedModel(random_model(3), 0), IDS, Cfg(topk_branch=8, temperature=2.0, top_p=1.0), draft, 4)


def from_heads():
    probs = torch.softmax(3 * torch.randn(4, 29, generator=torch.Generator().manual_seed(1)), dim=-1)
    return heads_tree(probs, 14, 4)


@pytest.fixture
def trees(random_model):
    """Trees of all makes; in each some nodes have several children, some none, and siblings stand before their nephews."""
    made = {"paths": drafted(random_model, "paths"), "top": drafted(random_model, "top"), "branches": drafted(random_model, "branches"),
            "heads": from_heads(), "unmerged": TokenTree.from_branches([[1, 2], [1, 3, 4], [2]], merge=False)}
    for name, tree in made.items():
        assert len(tree.leaves()) > 2 and max(tree.depths()) > 1 and not tree.is_chain(), name
    for name in ("paths", "top", "heads"):  # merged: some node has two different children
        assert any(len(set(children)) > 1 for node, children in made[name].children.items() if node != ROOT), name
    assert any(len(set(children)) < len(children) for children in made["paths"].children.values())  # drawn twice
    return made


def alone(model, tree):
    """The logits [1 + n, V] behind IDS and behind each node, each path in an uncached run of its own."""
    return torch.stack([last_token_logits(model, torch.tensor([IDS + tree.path_tokens(node)])) for node in range(ROOT, len(tree))])


def step_by_step(model, tree, cached):
    """The same, each branch in a run with a cache of its own, token by token."""
    rows = torch.full((1 + len(tree), model.config.vocab_size), float("nan"), dtype=model.dtype)
    for leaf in tree.leaves():
        runner = cached(model, 64)
        rows[0] = runner.feed(IDS)[0]
        for node in tree.path(leaf):
            rows[node + 1] = runner.feed([tree.tokens[node]])[0]
    return rows


def assert_close(logits, expected):
    torch.testing.assert_close(logits, expected, atol=1e-10 if logits.dtype == torch.float64 else 1e-4, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@CLASSES
def test_tree_logits_equal_each_path_alone(random_model, trees, cached, dtype):
    model = random_model(1).to(dtype)
    for tree in trees.values():
        expected = alone(model, tree)
        assert_close(step_by_step(model, tree, cached), expected)
        for read in (0, 2, len(IDS) - 1):  # tokens of the context that the cache holds already
            runner = cached(model, 64)
            if read:
                runner.feed(IDS[:read])
            logits = verify_tree(runner, IDS, tree, hidden=(-1,))
            assert_close(logits, expected)
            assert (runner.length, runner.calls) == (len(IDS) + len(tree), 1 + (read > 0))
            with torch.inference_mode():
                assert_close(model.lm_head(runner.hidden)[-1 - len(tree):], logits)


@CLASSES
@settings(max_examples=20)
@given(branches=BRANCHES, merge=st.booleans())
def test_logits_of_any_tree_equal_each_path_alone(random_model, cached, branches, merge):
    model, tree = random_model(1).double(), TokenTree.from_branches(branches, merge)
    assert_close(verify_tree(cached(model, 64), IDS, tree), alone(model, tree))


@pytest.mark.parametrize("size", [1, 2, 5])
@CLASSES
def test_tree_read_in_pieces_equals_the_tree_read_at_once(random_model, trees, cached, size):
    """A level with a single node, too, sees its ancestors only: its siblings' and uncles' keys lie in the cache before it."""
    model = random_model(1).double()
    for tree in trees.values():
        runner, rows = cached(model, 64), []
        mask, positions = tree.mask(), tree.positions(len(IDS))
        rows.append(runner.feed(IDS))
        for i in range(0, len(tree), size):
            j = min(i + size, len(tree))
            rows.append(runner.feed(tree.tokens[i:j], j - i, positions[i:j], mask[i:j, :j]))
        assert_close(torch.cat(rows), alone(model, tree))


tree_mask = TokenTree.mask
MUTANTS = {
    "positions left out": {"positions": lambda tree, start: list(range(start, start + len(tree)))},  # what a model assumes
    "all at one position": {"positions": lambda tree, start: [start] * len(tree)},
    "positions one too high": {"positions": lambda tree, start: [start + 1 + depth for depth in tree.depths()]},
    "causal mask": {"mask": lambda tree: torch.ones(len(tree), len(tree), dtype=torch.bool).tril()},
    "everything seen": {"mask": lambda tree: torch.ones(len(tree), len(tree), dtype=torch.bool)},
    "siblings seen": {"mask": lambda tree: tree_mask(tree) | torch.tensor([[a == b for b in tree.parents] for a in tree.parents])},
    "parent not seen": {"mask": lambda tree: torch.eye(len(tree), dtype=torch.bool)},
    "itself not seen": {"mask": lambda tree: tree_mask(tree) & ~torch.eye(len(tree), dtype=torch.bool)},
}


@pytest.mark.parametrize("name", MUTANTS)
@CLASSES
def test_every_fault_of_mask_or_positions_is_noticed(random_model, trees, cached, name, monkeypatch):
    model, expected = random_model(1), {tree: alone(random_model(1), trees[tree]) for tree in trees}
    for attribute, fault in MUTANTS[name].items():
        monkeypatch.setattr(TokenTree, attribute, fault)
    for tree in ("paths", "top", "heads", "unmerged"):
        with pytest.raises(AssertionError, match="not close"):
            assert_close(verify_tree(cached(model, 64), IDS, trees[tree]), expected[tree])
