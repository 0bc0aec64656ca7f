import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from specdec_utils import (
    ROOT,
    TokenTree,
    accept_greedy,
    accept_sampled,
    accept_until_mismatch,
    drafter_rollout_greedy,
    score_branch,
)

tokens = st.integers(0, 3)


@given(st.lists(tokens, min_size=1, max_size=5), st.lists(tokens, min_size=8, max_size=8), st.lists(tokens, max_size=8))
@example([0], [1, 2, 3, 0, 1, 2, 3, 0], [1, 2, 3])
@example([0], [1, 2, 3, 0, 1, 2, 3, 0], [])
def test_keeps_the_longest_prefix_that_the_verifier_would_have_written(prompt, writes, branch):
    asked = []

    def choose(verifier, ids):
        asked.append(ids[0].tolist())
        return writes[ids.shape[1] - len(prompt)]

    ids, accepted, mismatched = accept_until_mismatch(None, torch.tensor([prompt]), branch, choose)
    agree = next((i for i, (a, b) in enumerate(zip(branch, writes)) if a != b), len(branch))
    assert accepted == branch[:agree]
    assert mismatched == (agree < len(branch))
    assert ids[0].tolist() == prompt + writes[:agree + mismatched]  # the verifier's own tokens and nothing else
    assert asked == [prompt + writes[:i] for i in range(agree + mismatched)]  # asked once for each token compared
    assert score_branch(accepted, mismatched) == agree - mismatched


@pytest.mark.parametrize("branch, row, accepted, mismatched", [
    ([3, 4, 5], [2, 3, 4, 5], [3, 4, 5], False),  # all right: no token is added beyond the branch
    ([3, 4, 9], [2, 3, 4, 5], [3, 4], True),
    ([9, 4, 5], [2, 3], [], True),  # what follows a mismatch is never looked at
    ([], [2], [], False)])
def test_counting_verifier_corrects_the_first_wrong_guess(counting, branch, row, accepted, mismatched):
    ids, kept, broke = accept_until_mismatch(counting().verifier, torch.tensor([[2]]), branch)
    assert (ids.tolist(), kept, broke) == ([row], accepted, mismatched)


def test_verifiers_own_rollout_is_accepted_whole(random_model):
    model, ids = random_model(1), torch.tensor([[5, 17]])
    first = int(model(ids).logits[0, -1].argmax())
    branch = drafter_rollout_greedy(model, ids, first, span=6)
    longer, accepted, mismatched = accept_until_mismatch(model, ids, branch)
    assert accepted == branch and not mismatched and longer[0, 2:].tolist() == branch


def test_input_ids_stay_as_they_were(counting):
    ids = torch.tensor([[2]])
    accept_until_mismatch(counting().verifier, ids, [3, 9])
    assert ids.tolist() == [[2]]


@pytest.mark.parametrize("accepted, mismatched, score", [([], True, -1), ([], False, 0), ([4, 5], False, 2), ([4, 5], True, 1)])
def test_score_is_accepted_tokens_less_one_for_a_mismatch(accepted, mismatched, score):
    assert score_branch(accepted, mismatched) == score


# -- a tree at once

branches = st.lists(st.lists(tokens, min_size=1, max_size=4), max_size=6)
merged = st.booleans()


@given(branches, merged, st.data())
@example([], True, None)
def test_accepted_path_is_what_the_verifier_would_have_written_and_its_token_comes_behind(branches, merged, data):
    tree = TokenTree.from_branches(branches, merged)
    choices = [2] if data is None else data.draw(st.lists(tokens, min_size=1 + len(tree), max_size=1 + len(tree)))
    path, extra = accept_greedy(tree, choices)
    parents = [ROOT, *path]
    assert [tree.parents[node] for node in path] == parents[:-1]
    assert [*(tree.tokens[node] for node in path), extra] == [choices[node + 1] for node in parents]
    assert extra not in [tree.tokens[node] for node in tree.children.get(parents[-1], [])]  # and no child could have been kept


@given(branches, merged, st.sampled_from(["deterministic", "with_replacement"]), st.data())
def test_sampling_from_one_hot_distributions_is_the_greedy_case(branches, merged, rule, data):
    tree = TokenTree.from_branches(branches, merged)
    choices = data.draw(st.lists(tokens, min_size=1 + len(tree), max_size=1 + len(tree)))
    tree.drawn_from = {node: (rule, torch.full((4,), 0.25, dtype=torch.float64)) for node in tree.children}
    targets = torch.nn.functional.one_hot(torch.tensor(choices), 4).double()
    assert accept_sampled(tree, targets) == accept_greedy(tree, choices)


def test_empty_tree_leaves_the_verifiers_own_draw():
    targets = torch.tensor([[0.0, 0.25, 0.75]], dtype=torch.float64)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        assert {accept_sampled(TokenTree(), targets)[1] for _ in range(40)} == {1, 2}


def test_walk_takes_a_fresh_random_number_for_every_candidate(monkeypatch):
    numbers = iter([0.5, 0.3, 0.1, 0.9])
    monkeypatch.setattr(torch, "rand", lambda *size, dtype=None, generator=None: torch.tensor(next(numbers), dtype=dtype))
    targets = torch.full((4, 4), 0.25, dtype=torch.float64)
    tree = TokenTree.from_branches([[0], [1, 2]])  # chances 1/4, then 1/3, then 1/4
    assert accept_sampled(tree, targets)[0] == [1, 2]
    assert list(numbers) == [0.9]
