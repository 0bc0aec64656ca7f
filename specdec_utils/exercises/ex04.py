"""Checks for notebook 04, verification."""
import torch

from . import exercise


@exercise("04.causal_mask")
def _causal_mask(answer):
    for n in (1, 2, 5):
        got = answer(n)
        right = torch.tensor([[j <= i for j in range(n)] for i in range(n)])
        if not isinstance(got, torch.Tensor):
            return f"return a tensor [n, n], not a {type(got).__name__}."
        if tuple(got.shape) != (n, n):
            return f"for n={n} the shape must be [{n}, {n}], yours is {list(got.shape)}."
        if got.dtype != torch.bool:
            return f"the mask must be boolean, yours is {got.dtype}; dtype=torch.bool or .bool() makes it so."
        if torch.equal(got, right):
            continue
        if torch.equal(got, right & ~torch.eye(n, dtype=torch.bool)):
            return "the diagonal is missing: a token may look at itself."
        if torch.equal(got, right.T):
            return "this is the upper triangle: row i would look at the tokens after it, the future."
        if torch.equal(got, ~right):
            return "True and False are swapped: True means that row i may look at column j."
        return f"for n={n} the mask should be {right.int().tolist()}, yours is {got.int().tolist()}."
    return None


@exercise("04.pick_rows")
def _pick_rows(answer):
    for seed, (context_length, n) in enumerate(((4, 3), (1, 2), (5, 1), (3, 0))):
        total = context_length + n
        best = torch.randperm(11, generator=torch.Generator().manual_seed(seed))[:total]  # all different: each row is told apart
        logits = torch.zeros(total, 11)
        logits[torch.arange(total), best] = 2.0
        best, case = best.tolist(), f"for a context of {context_length} and a branch of {n}"
        right = best[context_length - 1:]
        got = answer(logits, context_length)
        if isinstance(got, torch.Tensor) or not isinstance(got, (list, tuple)):
            return f"return a list of token ids, not a {type(got).__name__}; .tolist() turns a tensor into one."
        got = list(got)
        if got == right:
            continue
        if got == right[1:]:
            return (f"{case} the first choice is missing: the verifier's choice for the first drafted token is in row T - 1, the "
                    "row of the last context token.")
        if got == right[:-1]:
            return f"{case} the last choice is missing: the row after the whole branch counts too (n + 1 choices, not n)."
        if got == best:
            return f"{case} rows about the context itself are in the answer: start at row T - 1."
        if len(got) > len(right) and got[-len(right):] == right:
            return f"{case} the answer starts too early: row T - 1 is the first one that has seen the whole context."
        if any(not isinstance(t, int) for t in got):
            return f"{case} the answer must hold one token id for each row: take the argmax over the vocabulary, dim=-1."
        return f"{case} the choices were {right}, yours are {got}."
    return None


@exercise("04.positions")
def _positions(answer):
    for T, n in ((40, 8), (10, 1), (7, 3), (5, 0), (1, 4)):
        right = sum(T + i for i in range(n + 1)), T + n
        got = answer(T, n)
        if not isinstance(got, (tuple, list)) or len(got) != 2:
            return "return a pair: (token by token, one pass)."
        slow, fast = got
        if (slow, fast) == right:
            continue
        case = f"T={T}, n={n}"
        if (fast, slow) == right:
            return "the two numbers are swapped: token by token comes first."
        if fast != right[1]:
            return (f"{case}: one pass reads the context and the whole branch, T + n = {right[1]} positions; "
                    f"yours says {fast}.")
        if slow == sum(T + i for i in range(n)):
            return f"{case}: {slow} counts n passes, but n + 1 choices need n + 1 passes (the last one after the branch)."
        if slow == (n + 1) * T:
            return f"{case}: {slow} forgets that the context grows by one token from pass to pass."
        if slow == right[0] - T:
            return f"{case}: {slow} leaves out the first pass, over the context alone."
        return f"{case}: token by token reads {right[0]} positions (T, T + 1, ..., T + n), yours says {slow}."
    return None
