"""A drafter with few pieces drafts what else stands in the text: rows turned as its own were, only these, only for its own text."""
import pytest
import torch
from torch import nn

from specdec_utils import CachedEagle, LeanEagle, pack
from specdec_utils.run.packed import why_not_packed
from specdec_utils.run.text_pieces import TextPieces, learnt_turn, output_matrix, text_pieces

FEW = torch.tensor([0, 3, 4, 7, 8, 11, 12, 13, 14, 15, 16, 18, 19, 20, 21, 22, 24, 25, 26, 28])
FEATURES = torch.randn(9, 48, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
EMBEDDINGS, MATRIX = torch.randn(2, 29, 16, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
TURN = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(2), dtype=torch.float64))[0]
CLASSES = pytest.mark.parametrize("cached", [CachedEagle, LeanEagle])


@pytest.fixture
def turned(random_eagle):
    """A drafter of 20 tokens whose output matrix is the verifier's, each row turned by `TURN`."""
    drafter = random_eagle(draft_ids=FEW).double()
    with torch.no_grad():
        drafter.lm_head.weight.copy_(MATRIX[FEW] @ TURN)
    return drafter


def test_one_turn_of_all_rows_is_found_and_rows_that_say_nothing_stay():
    torch.testing.assert_close(learnt_turn(MATRIX[FEW], MATRIX[FEW] @ TURN), TURN, atol=0.02, rtol=0)
    one = torch.zeros(3, 4)
    one[0, 0] = 2.0
    assert torch.allclose(learnt_turn(one, 3 * one), torch.diag(torch.tensor([3.0, 1, 1, 1])), atol=0.01)


@CLASSES
def test_tokens_of_the_text_are_written_as_if_the_drafter_had_learnt_them(turned, cached):
    text, runner, plain = [9, 4, 2, 9], cached(turned, EMBEDDINGS, 32, MATRIX), cached(turned, EMBEDDINGS, 32)
    logits, own = (each.read(FEATURES[:4], text, 4) for each in (runner, plain))
    can = set(FEW.tolist()) | {9, 2}
    assert torch.equal(logits[:, FEW], own[:, FEW]) and all((logits[0, token] > -torch.inf) == (token in can) for token in range(29))
    states = turned.norm(runner.outputs)
    torch.testing.assert_close(logits[:, [2, 9]], states @ (MATRIX[[2, 9]] @ TURN).T, atol=0.2, rtol=0.02)
    logits = runner.draft(runner.outputs[-1:], [2])
    assert {token for token in range(29) if logits[0, token] > -torch.inf} == can  # what is drafted is no text
    logits = runner.read(FEATURES[4:5], [17])
    assert logits[0, 17] > -torch.inf


def test_lean_and_plain_passes_write_the_same(turned):
    lean, plain = (cached(turned, EMBEDDINGS, 32, MATRIX) for cached in (LeanEagle, CachedEagle))
    for first, last in ((0, 4), (4, 6)):
        one, other = (each.read(FEATURES[first:last], [9, 4, 2, 23, 17, 5][first:last], 2) for each in (lean, plain))
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_of_runs_that_are_made_together_each_writes_its_own_text(turned):
    texts = [[9, 4], [2, 3, 17], [4, 4]]
    runs, single = ([LeanEagle(turned, EMBEDDINGS, 32, MATRIX) for _ in texts] for _ in range(2))
    asked = [(FEATURES[:len(text)], text) for text in texts]
    for one, run, (features, text) in zip(LeanEagle.together(runs, "read", asked), single, asked, strict=True):
        torch.testing.assert_close(one, run.read(features, text), atol=1e-6, rtol=1e-6)
    drafted = LeanEagle.together(runs, "draft", [(run.outputs, [4]) for run in runs])
    for one, run in zip(drafted, single, strict=True):
        torch.testing.assert_close(one, run.draft(run.outputs, [4]), atol=1e-6, rtol=1e-6)
    assert [int((one > -torch.inf).sum()) for one in drafted] == [21, 22, 20]


def test_a_changed_matrix_is_seen_by_the_next_run(turned):
    before = TextPieces(turned, MATRIX).turn
    assert TextPieces(turned, MATRIX).turn is before
    with torch.no_grad():
        turned.lm_head.weight.mul_(2)
    torch.testing.assert_close(TextPieces(turned, MATRIX).turn, 2 * before, atol=0.02, rtol=0)


def test_nothing_is_added_where_nothing_is_missing_or_there_are_no_rows(turned, random_eagle, random_model):
    assert text_pieces(random_eagle(), MATRIX.float()) is None and text_pieces(turned, None) is None
    assert text_pieces(random_eagle(draft_ids=torch.arange(29)), MATRIX.float()) is None
    assert isinstance(text_pieces(turned, MATRIX), TextPieces)
    turned.lm_head = nn.Sequential(turned.lm_head)
    assert text_pieces(turned, MATRIX) is None
    model = random_model(1)
    assert output_matrix(model) is model.lm_head.weight
    model.lm_head = nn.Linear(16, 29)
    assert output_matrix(model) is None  # rows and a bias


@pytest.mark.skipif(bool(why_not_packed(torch.float32)), reason="packing is not possible here")
def test_rows_of_a_packed_verifier_are_its_embeddings_where_it_has_them_too(random_model):
    tied, apart = random_model(1), random_model(2)
    weight = tied.lm_head.weight = tied.transformer.wte.weight
    pack(tied)
    pack(apart)
    assert output_matrix(tied) is weight and output_matrix(apart) is None
