"""Checks for notebook 03, drafting."""
from types import SimpleNamespace

import torch

from . import exercise


class _Bigram:
    """A model whose logits depend on the current token only, logits[t] = table[ids[t]], and that counts its passes."""

    def __init__(self, table: torch.Tensor):
        self.table, self.passes = table, 0

    def __call__(self, ids: torch.Tensor):
        self.passes += 1
        return SimpleNamespace(logits=self.table[ids])


def _is_int(value) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


@exercise("03.nucleus_size")
def _nucleus_size(answer):
    for values, top_p, right in (([0.6, 0.25, 0.1, 0.03, 0.02], 0.9, 3), ([0.55, 0.4, 0.05], 0.9, 2),
                                 ([0.97, 0.02, 0.01], 0.9, 1), ([0.02, 0.6, 0.03, 0.25, 0.1], 0.9, 3),
                                 ([0.25, 0.25, 0.25, 0.25], 0.6, 3)):
        got = answer(torch.tensor(values), top_p)
        if isinstance(got, torch.Tensor) and got.ndim:
            return "return how many tokens there are, a whole number, not the tokens themselves."
        if not isinstance(got, (int, torch.Tensor)):
            return f"return how many tokens there are, a whole number, not a {type(got).__name__}."
        got = int(got)
        if got == right:
            continue
        if values != sorted(values, reverse=True):
            return f"{values} gave {got}, not {right}: the probabilities come in any order, so sort them, largest first."
        if got == right - 1:
            return (f"{values} with top_p={top_p} gave {got}, not {right}: the token that crosses top_p was dropped, as in the "
                    "original; compare the mass before each token.")
        if got == right + 1:
            return f"{values} with top_p={top_p} gave {got}, not {right}: one too many; the set had already reached top_p."
        return f"{values} with top_p={top_p} gave {got}, not {right}."
    return None


@exercise("03.top_k_first_tokens")
def _top_k_first_tokens(answer):
    table = torch.tensor([[0.1, 3.0, -1.0, 2.0, 1.0], [4.0, 0.0, 1.0, 2.0, 3.0], [-5.0, -1.0, -4.0, -2.0, -3.0],
                          [0.0, 1.0, 2.0, 3.0, 4.0], [1.0, 0.0, 3.0, 2.0, -9.0]])
    for row, k in (([0, 2, 1], 2), ([1, 2], 3), ([3, 0], 1)):
        model = _Bigram(table)
        got = answer(model, torch.tensor([row]), k)
        order = table[row[-1]].argsort(descending=True).tolist()
        if isinstance(got, torch.Tensor) or not isinstance(got, list):
            return f"return a plain list of ints, not a {type(got).__name__}; .tolist() turns a tensor into one."
        if got == order[:k] and all(_is_int(t) for t in got):
            if model.passes != 1:
                return f"right tokens, but {model.passes} forward passes where one is enough."
            continue
        if any(not _is_int(t) for t in got):
            return "these are the values of the top k; the token ids are their indices."
        if len(got) != k:
            return f"asked for k={k} tokens, got {len(got)}."
        if got == table[row[0]].argsort(descending=True).tolist()[:k]:
            return "these are the tokens that follow the first position of ids; the last position is the one that counts."
        if sorted(got) == sorted(order[:k]):
            return "the right tokens in the wrong order: the best one comes first."
        if got == order[::-1][:k]:
            return "these are the least probable tokens: sort in descending order."
        return f"the {k} best tokens were {order[:k]}, yours are {got}."
    return None


@exercise("03.longest_span")
def _longest_span(answer):
    for budget, k in ((9, 4), (1, 4), (4, 1), (12, 4), (15, 2), (13, 4), (3, 8)):
        right = 1 + (budget - 1) // k
        got = answer(budget, k)
        if got == right and not isinstance(got, float):
            continue
        if isinstance(got, float):
            return f"a span is a whole number: {got} came back for budget={budget}, k={k}; round down with //."
        if not _is_int(got):
            return f"return a whole number, not {type(got).__name__}."
        if got < 1:
            return f"budget={budget}, k={k} gave {got}: one pass always pays for the first tokens, so the span is at least 1."
        cost = 1 + k * (got - 1)
        if cost > budget:
            return f"budget={budget}, k={k} gave span {got}, which costs {cost} passes: too many."
        return (f"budget={budget}, k={k} gave span {got}, but span {right} fits too, at {1 + k * (right - 1)} passes: all first "
                "tokens share one pass.")
    return None


@exercise("03.careful_rollout")
def _careful_rollout(answer):
    # 0 -> 1 (sure) -> 2 (sure) -> 3 (unsure) -> 0 (sure)
    sure, unsure = 5.0, 0.5
    table = torch.zeros(4, 4)
    table[0, 1], table[1, 2], table[2, 3], table[3, 0] = sure, sure, unsure, sure
    for first, span, threshold, right in ((0, 6, 0.6, [0, 1, 2]), (0, 2, 0.6, [0, 1]), (0, 1, 0.6, [0]), (2, 4, 0.6, [2]),
                                          (0, 5, 0.0, [0, 1, 2, 3, 0]), (3, 3, 0.6, [3, 0, 1])):
        got = answer(_Bigram(table), torch.tensor([[3, 2]]), first, span, threshold)
        if not isinstance(got, (list, tuple)):
            return f"return the branch as a list of tokens, not a {type(got).__name__}."
        got = list(got)
        if got == right:
            continue
        case = f"first_tok={first}, span={span}, threshold={threshold}: the branch is {right}, yours is {got}"
        if not got or got[0] != first:
            return f"{case}; it starts with first_tok."
        if len(got) > span:
            return f"{case}; span counts all tokens, the first one included."
        if got[:len(right)] == right and len(got) == len(right) + 1:
            return f"{case}; the unsure token itself was kept: look at q.max() before you append."
        if got[:len(right)] == right:
            return f"{case}; the rollout did not stop where the drafter was unsure."
        if right[:len(got)] == got:
            return f"{case}; it stopped too early (compare a probability with the threshold, not a logit)."
        return f"{case}; each token must follow from the context with the token before it appended."
    return None
