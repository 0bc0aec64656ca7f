"""Checks of notebook 11: what a head is asked, what a pass should bring, n-gram lookup."""
import math

from ..decode.tree import ROOT, TokenTree
from . import exercise


@exercise("11.head_pairs")
def _(answer):
    for ids, head in (([5, 6, 7, 8, 9], 1), ([5, 6, 7, 8, 9], 2), ([5, 6, 7, 8, 9], 3), ([3, 3, 4, 1], 1), ([5, 6], 1), ([5, 6, 7], 4)):
        got = answer(list(ids), head)
        if not isinstance(got, (list, tuple)) or not all(isinstance(pair, (list, tuple)) and len(pair) == 2 for pair in got):
            return f"for ids={ids}, head={head} you return {got!r}; return a list of pairs (position, target)."
        got, want = [tuple(pair) for pair in got], [(t, ids[t + 1 + head]) for t in range(len(ids) - 1 - head)]
        if got == want:
            continue
        case = f"ids={ids}, head={head}"
        for shift, whose in ((0, "that is the token at the position itself"), (1, "the next token is the verifier's own")):
            if head == 1 and got == [(t, ids[t + shift]) for t in range(len(ids) - shift)]:
                return f"for {case} your targets lie {shift} place(s) ahead; {whose}, and head 1 starts 2 places ahead."
        if got == [(t, ids[t + head]) for t in range(len(ids) - head)]:
            return f"for {case} your targets lie {head} places ahead; head i guesses the token i places after the *next* one."
        if got == [(t + 1 + head, token) for t, token in want]:
            return f"for {case} you name the target's position; the pair needs the position of the hidden state."
        if len(got) > len(want):
            return (f"for {case} there are {len(want)} positions with a target, but you return {len(got)} pairs; the last ones "
                    "look past the end.")
        return f"for {case} the pairs are {want}, but you return {got}."
    return None


def _trees():
    chain, wide, mixed = TokenTree(), TokenTree(), TokenTree()
    chain.add(chain.add(chain.add(ROOT, 4, 0.5), 5, 0.5), 6, 0.4)
    for token, prob in ((1, 0.6), (2, 0.3)):
        wide.add(ROOT, token, prob)
    top = mixed.add(ROOT, 1, 0.6)
    mixed.add(ROOT, 2, 0.25)
    mixed.add(mixed.add(top, 7, 0.5), 9, 0.2)
    mixed.add(top, 8, 0.4)
    return {"one branch 0.5, 0.5, 0.4": chain, "two siblings 0.6, 0.3": wide,
            "0.6 with children 0.5 (and its child 0.2) and 0.4, beside 0.25": mixed, "the empty tree": TokenTree()}


@exercise("11.expected_tokens")
def _(answer):
    for case, tree in _trees().items():
        got, reach = answer(tree), [tree.reach(node) for node in range(len(tree))]
        want = 1 + sum(reach)
        try:
            got = float(got)
        except (TypeError, ValueError):
            return f"for {case} you return {got!r}; return a number."
        if math.isclose(got, want, abs_tol=1e-6):
            continue
        if math.isclose(got, want - 1, abs_tol=1e-6):
            return f"for {case} you return {got:.2f}: the verifier's own token, which every pass adds, is missing."
        if math.isclose(got, 1 + sum(tree.probs), abs_tol=1e-6) or math.isclose(got, sum(tree.probs), abs_tol=1e-6):
            return f"for {case} you return {got:.2f}: a node counts with the product along its path, because its parent may be rejected."
        if reach and math.isclose(got, 1 + max(sum(math.prod(tree.probs[n] for n in tree.path(leaf)[:i + 1])
                                                   for i in range(len(tree.path(leaf)))) for leaf in tree.leaves()), abs_tol=1e-6):
            return f"for {case} you return {got:.2f}, the best branch alone; another branch may be the accepted one."
        if math.isclose(got, 1 + sum(reach[leaf] for leaf in tree.leaves()), abs_tol=1e-6):
            return f"for {case} you return {got:.2f}: you count the leaves only, but every node on the way is a token as well."
        return f"for {case} the answer is {want:.2f}, but you return {got:.2f}."
    return None


def _look_up(ids, size, span):
    """What followed the latest find, what followed the first, and what begins with the latest; [] each without a find."""
    ends = [end for end in range(size, len(ids)) if ids[end - size:end] == ids[-size:]]
    return [ids[at:at + span] for at in (ends[-1], ends[0], ends[-1] - size)] if ends else [[], [], []]


@exercise("11.look_up")
def _(answer):
    cases = (([1, 2, 3, 4, 1, 2], 2, 2), ([1, 2, 3, 1, 2, 4, 1, 2], 2, 1), ([1, 2, 3, 4], 2, 3), ([7, 7, 7], 1, 2), ([1, 2, 9, 1, 2], 2, 5),
             ([3, 1, 2, 5, 4, 2, 6, 1, 2], 2, 2), ([5, 6], 2, 2))
    for ids, size, span in cases:
        want, earliest, match = _look_up(ids, size, span)
        got = answer(list(ids), size, span)
        got = list(got) if isinstance(got, (list, tuple)) else got
        if got == want:
            continue
        case = f"ids={ids}, size={size}, span={span}"
        if got is None:
            return f"for {case} you return None; where nothing is found the answer is []."
        if got == [] and want:
            return f"for {case} the answer is {want}, but you return []; did you find the tail itself, after which nothing stands?"
        if got == earliest:
            return f"for {case} you return {got}, which followed the *first* find; the latest one counts."
        if got == match:
            return f"for {case} you return {got}, which starts with the match itself; return what *followed* it."
        if isinstance(got, list) and len(got) > span:
            return f"for {case} you return {len(got)} tokens, but at most span={span} may be drafted."
        if want == [] and got:
            return f"for {case} the last {size} tokens stand nowhere earlier, so the answer is [], but you return {got}."
        return f"for {case} the answer is {want}, but you return {got!r}."
    return None
