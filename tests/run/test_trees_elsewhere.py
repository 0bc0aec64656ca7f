"""Trees on models that need help with them: windows in the mask (`WindowedModel`), branches side by side (`UnfoldedModel`)."""
import pytest
import torch
from architectures import PLAIN, UNFOLDED, WINDOWED, tiny_model, with_noise

from specdec_utils import Cfg, ModelPair, TokenTree, cached_model, generate, last_token_logits, verify_tree
from specdec_utils.run.cached import CachedModel
from specdec_utils.run.unfolded import UnfoldedModel
from specdec_utils.run.windowed import WindowedModel

KINDS = WINDOWED | UNFOLDED
TEXT = torch.randint(0, 29, (40,), generator=torch.Generator().manual_seed(1)).tolist()
TREE = TokenTree.from_branches([[1, 5, 8, 2, 4], [1, 6], [2, 7, 3], [2, 9]])  # nodes: 1 5 8 2 4 6 2 7 3 9


def assert_is_alone(logits, model, ids):
    """The row is what an uncached pass over `ids` says of what follows them."""
    torch.testing.assert_close(logits, last_token_logits(model, torch.tensor([ids])), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_of_model_is_run_in_its_own_way(name):
    assert type(cached_model(tiny_model(KINDS[name]), 8)) is (WindowedModel if name in WINDOWED else UnfoldedModel)


def test_models_with_full_attention_are_run_as_they_are():
    assert {type(cached_model(tiny_model(kind), 8, lean=False)) for kind in PLAIN.values()} == {CachedModel}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("length", [0, 1, 5, 7, 40])
def test_tree_logits_equal_each_path_alone(name, length):
    """Behind nothing, where the window of 8 is not yet full, at its edge, and far behind it; most of the text read before."""
    model, text = tiny_model(KINDS[name]), TEXT[:length] + [7]
    runner = cached_model(model, 64)
    if length > 1:
        runner.feed(text[:length - 1])
    for node, row in zip(range(-1, len(TREE)), verify_tree(runner, text, TREE), strict=True):
        assert_is_alone(row, model, text + TREE.path_tokens(node))
    assert runner.length == len(text) + len(TREE)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("leaf", range(-1, len(TREE)))
def test_after_keeping_a_path_the_text_goes_on_as_if_nothing_else_had_been_read(name, leaf):
    model = tiny_model(KINDS[name])
    runner, text = cached_model(model, 128), TEXT[:12]
    for _ in range(2):
        verify_tree(runner, text, TREE)
        runner.keep(len(text), [len(text) + node for node in TREE.path(leaf)])
        text = text + TREE.path_tokens(leaf)
        assert runner.length == len(text)
        text.append(11)
    assert_is_alone(verify_tree(runner, text, TREE)[9], model, text + TREE.path_tokens(8))
    runner.keep(5, [])  # back to where the window was not yet full
    assert_is_alone(runner.feed([3])[0], model, text[:5] + [3])


@pytest.mark.parametrize("name", KINDS)
def test_a_tree_can_grow_level_by_level_in_the_cache(name):
    """As a drafter grows it: later nodes see some of the nodes before, which start at several depths here."""
    model, tree = tiny_model(KINDS[name]), TREE
    runner, first = cached_model(model, 64), [0, 1, 2, 6]
    runner.feed(TEXT)
    order = [*first, *(node for node in range(len(tree)) if node not in first)]
    for nodes in (first, order[4:6], order[6:]):
        done = order[:order.index(nodes[0])]
        mask = torch.tensor([[other in tree.path(node) for other in [*done, *nodes]] for node in nodes])
        positions = [40 + len(tree.path(node)) - 1 for node in nodes]
        rows = runner.feed([tree.tokens[node] for node in nodes], len(nodes), positions, mask)
        for node, row in zip(nodes, rows, strict=True):
            assert_is_alone(row, model, TEXT + tree.path_tokens(node))


@pytest.mark.parametrize("name", KINDS)
def test_hidden_states_are_those_of_each_token_read(name):
    model = tiny_model(KINDS[name])
    runner = cached_model(model, 64)
    logits = verify_tree(runner, TEXT[:6], TREE, (-1, 0))
    assert runner.hidden.shape == (6 + len(TREE), 32)
    for node in range(-1, len(TREE)):
        ids = TEXT[:6] + TREE.path_tokens(node)
        with torch.inference_mode():
            states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
        expected = torch.cat([states[-1][0, -1], states[0][0, -1]])
        torch.testing.assert_close(runner.hidden[6 + node], expected, atol=1e-4, rtol=1e-4)
    assert len(logits) == 1 + len(TREE) and runner.calls == 1


@pytest.mark.parametrize("name", KINDS)
def test_mask_without_positions_is_refused(name):
    with pytest.raises(ValueError, match="A mask needs positions"):
        cached_model(tiny_model(KINDS[name]), 16).feed([1, 2], 2, mask=torch.ones(2, 2, dtype=torch.bool))


@pytest.mark.parametrize("name", WINDOWED)
def test_texts_across_the_windows_edge_equal_transformers(name, random_heads, random_eagle, reference):
    """From 4 tokens to 40, through a window of 8; verifier and drafter are both windowed."""
    verifier, prompt = tiny_model(WINDOWED[name]), torch.tensor([TEXT[:4]])
    pair = ModelPair(with_noise(verifier), verifier, heads=random_heads(), eagle=random_eagle())
    expected = reference(verifier, prompt, 36)
    for method, draft, branches in (("greedy", "auto", 1), ("one_pass", "auto", 3), ("tree", "top", 3), ("tree", "branches", 3),
                                    ("tree", "paths", 3), ("tree", "top", 1), ("lookup", "auto", 1), ("heads", "auto", 3),
                                    ("eagle", "top", 3), ("eagle", "branches", 3), ("eagle", "paths", 3), ("eagle", "top", 1)):
        cfg = Cfg(max_new_tokens=36, draft=draft, topk_branch=branches, draft_span=4)
        assert generate(pair, prompt, cfg, method).new_ids == expected, (method, draft, branches)
