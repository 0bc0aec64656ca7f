"""Checks of notebook 05: what a branch adds, the bonus token, the one branch worth checking."""
from . import exercise


@exercise("05.tokens_added")
def _(answer):
    for accepted, mismatched in (([4, 5], True), ([], True), ([4, 5, 6], False), ([4], False), ([9], True)):
        got, want = answer(accepted, mismatched), len(accepted) + bool(mismatched)
        if got == want:
            continue
        case = f"accepted={accepted}, mismatched={mismatched}"
        if got == len(accepted) - bool(mismatched):
            return f"for {case} you return {got}, the score; a mismatch costs a point there, but it *adds* the verifier's token."
        if got == len(accepted):
            return f"for {case} you count only the accepted tokens; at a mismatch the verifier's own token is appended too."
        return f"for {case} the context grows by {want}, and you return {got!r}."
    return None


@exercise("05.keep_with_bonus")
def _(answer):
    cases = (([4, 5, 6], [4, 5, 6, 7]), ([4, 5, 6], [4, 8, 6, 7]), ([4, 5, 6], [9, 5, 6, 7]), ([3], [3, 1]), ([3], [2, 1]),
             ([4, 5, 6], [4, 5, 2, 7]))
    for branch, choices in cases:
        kept = 0
        while kept < len(branch) and branch[kept] == choices[kept]:
            kept += 1
        want = branch[:kept] + [choices[kept]]
        got = answer(list(branch), list(choices))
        got = list(got) if isinstance(got, (list, tuple)) else got
        if got == want:
            continue
        case = f"branch={branch}, choices={choices}"
        if kept == len(branch) and got == branch:
            return f"for {case} you return {got}: all tokens were accepted, so the last choice is still unused; it is the bonus token."
        if got == branch[:kept]:
            return f"for {case} you stop before the mismatch and drop the verifier's own token {choices[kept]}, which is correct text."
        if got == branch[:kept + 1]:
            return f"for {case} you keep the rejected draft {branch[kept]}; the verifier wrote {choices[kept]} there."
        if got == choices:
            return f"for {case} you keep every choice, but those after the mismatch continue a text that was never written."
        if isinstance(got, list) and len(got) > len(want):
            return f"for {case} you go on after the first mismatch; later choices follow a token that was rejected."
        return f"for {case} the new tokens are {want}, and you return {got!r}."
    return None


@exercise("05.only_candidate")
def _(answer):
    cases = (([[4, 5], [6, 7], [8, 9]], 6, 1), ([[4, 5], [6, 7]], 4, 0), ([[4, 5], [6, 7], [8, 9]], 8, 2), ([[4, 6], [6, 7]], 6, 1),
             ([[4, 5], [6, 7]], 7, None), ([[4, 5], [6, 7]], 3, None), ([[2]], 2, 0))
    for branches, choice, want in cases:
        got = answer([list(branch) for branch in branches], choice)
        if got == want and type(got) is type(want):
            continue
        case = f"branches={branches}, choice={choice}"
        inside = [i for i, branch in enumerate(branches) if choice in branch]
        if got in branches:
            return f"for {case} you return the branch itself; return its index."
        if inside and got == inside[0]:
            return f"for {case} you look for {choice} anywhere in a branch; only the *first* token is in the position of that choice."
        if want is None:
            return f"for {case} no branch starts with {choice}, so the answer is None, and you return {got!r}."
        if got is None:
            return f"for {case} branch index {want} starts with {choice}, and you return None (does the function have a return?)."
        return f"for {case} the answer is {want}, and you return {got!r}."
    return None
