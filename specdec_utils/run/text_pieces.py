"""Tokens of the text that a drafter has no rows of its own for: it drafts them with the verifier's, turned as its own rows have been."""
from collections.abc import Sequence

import torch
from torch import nn
from transformers import PreTrainedModel

from ..models.eagle import EagleDrafter
from .made import made_once
from .packed import PackedLinear

RIDGE = 1e-3  # of the rows' mean square: where they say less than that, a row stays as the verifier has it


def output_matrix(model: PreTrainedModel) -> torch.Tensor | None:
    """The rows [V, width] of `model`'s output layer; None where they are packed and nowhere else in it, or where there is more than a
    matrix."""
    layer = model.get_output_embeddings()
    if type(layer) is PackedLinear:
        return layer.tied[0]
    return layer.weight if type(layer) is nn.Linear and layer.bias is None else None


@torch.no_grad()
def learnt_turn(rows: torch.Tensor, learnt: torch.Tensor) -> torch.Tensor:
    """The matrix [width, width] that turns `rows` [n, width] into `learnt` [n, width] as nearly as one matrix can: least squares, held to
    the identity by `RIDGE`."""
    unit = torch.eye(rows.shape[1], dtype=torch.float64)
    gram, moved = ((rows.T @ other).cpu().double() for other in (rows, learnt - rows))
    return (unit + torch.linalg.solve(gram + RIDGE * gram.diagonal().mean() * unit, moved)).to(rows)


class TextPieces:
    """Rows for those tokens of one text that `drafter` cannot write, from the verifier's output `matrix` [V, width].

    A drafter's output matrix begins as the verifier's rows of its few tokens and learns from there. What it has learnt is, for the most
    part, one linear map of all rows; by this map a token that it has never written gets a row as well. Those that the text has are the
    ones that are worth one: a name, or the word that a question is about, comes again and again.
    """

    def __init__(self, drafter: EagleDrafter, matrix: torch.Tensor):
        weight = drafter.lm_head.weight
        self.matrix = matrix.detach()
        self.turn, self.own = made_once(drafter.lm_head, [weight, drafter.d2t, matrix], lambda: (
            learnt_turn(self.matrix[drafter.draft_ids], weight), frozenset(drafter.draft_ids.tolist())))
        self.known, self.ids = set(), drafter.draft_ids[:0]
        self.rows = self.matrix.new_empty(self.matrix.shape[1], 0)

    def take_in(self, tokens: Sequence[int]) -> None:
        """Make rows for those of `tokens` that have none yet."""
        new = [token for token in dict.fromkeys(tokens) if token not in self.own and token not in self.known]
        if new:
            self.known.update(new)
            ids = torch.tensor(new, device=self.ids.device)
            self.ids, self.rows = torch.cat([self.ids, ids]), torch.cat([self.rows, (self.matrix[ids] @ self.turn).T], dim=1)

    def add(self, logits: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
        """`logits` [n, V] with those of these tokens in them, from normalised outputs `states` [n, width]."""
        return logits.index_copy_(-1, self.ids, states @ self.rows) if self.known else logits


def text_pieces(drafter: EagleDrafter, matrix: torch.Tensor | None) -> TextPieces | None:
    """`TextPieces` for a run of `drafter`, None for one that can write all tokens and where there is no `matrix` to take rows from."""
    lacks = drafter.d2t is not None and len(drafter.d2t) < drafter.vocab_size
    return TextPieces(drafter, matrix) if matrix is not None and lacks and type(drafter.lm_head) is nn.Linear else None
