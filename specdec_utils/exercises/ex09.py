"""Checks of notebook 09: nodes of a trie, positions in a tree, the expected length of a step."""
import math

from . import exercise


@exercise("09.count_nodes")
def _(answer):
    cases = ([[1, 2, 3], [1, 2, 4], [5, 2, 3]], [[1, 2], [3, 4]], [[7, 7, 7]], [[1, 2], [1, 2]], [[1], [1, 2], [1, 2, 3]],
             [[1, 2, 3], [4, 2, 3]], [[1, 2, 3], [2, 3, 1]])
    for branches in cases:
        got, want = answer([list(branch) for branch in branches]), len({tuple(b[:i + 1]) for b in branches for i in range(len(b))})
        if got == want:
            continue
        case = f"for {branches} you return {got!r}"
        if got == sum(map(len, branches)):
            return f"{case}, every token of every branch; what two branches share from their start is one node."
        if got == len({token for branch in branches for token in branch}):
            return f"{case}, the number of different tokens; the same token in two different texts is two nodes."
        if got == len({(i, token) for branch in branches for i, token in enumerate(branch)}):
            return f"{case}: you merge equal tokens at equal depth, but they must also have the same tokens before them."
        if got == len({tuple(branch) for branch in branches}):
            return f"{case}, the number of different branches; count their nodes, one for each prefix."
        if got == want + 1:
            return f"{case}, one too many: the empty prefix is the context, which is not a node."
        return f"{case}; there are {want} different prefixes."
    return None


@exercise("09.node_positions")
def _(answer):
    cases = (([-1, 0, 1, 1, -1, 4, 5], 10), ([-1, -1, -1], 4), ([-1, 0, 1, 2], 7), ([-1, -1, 0, 0, 1, 4], 1), ([-1, 0, -1, 2, 0, 4], 0))
    for parents, start in cases:
        want = []
        for parent in parents:
            want.append(start if parent == -1 else want[parent] + 1)
        got = answer(list(parents), start)
        got = [int(x) for x in got] if hasattr(got, "__iter__") else got
        if got == want:
            continue
        case = f"for parents={parents}, start={start} you return {got}"
        if got == list(range(start, start + len(parents))):
            return f"{case}: these are the places in the row, the silent fault of this section; siblings share their position."
        if got == [x - start for x in want] and start:
            return f"{case}: these are the depths; the context's {start} positions come before them."
        if got == [x + 1 for x in want]:
            return f"{case}, all one too far: positions count from 0, so a context of {start} tokens ends at {start - 1}."
        if got == [start if parent == -1 else start + parent + 1 for parent in parents]:
            return f"{case}: you count from the parent's *number*; take the parent's *position*, and add one."
        if isinstance(got, list) and len(got) != len(want):
            return f"{case}; there are {len(want)} nodes, and each has one position."
        return f"{case}; the positions are {want}: start directly after the context, else one more than the parent's position."
    return None


@exercise("09.expected_length")
def _(answer):
    cases = (([-1, -1, 0], [0.6, 0.3, 0.5]), ([-1, 0, 1], [0.5, 0.5, 0.5]), ([-1, -1], [0.5, 0.25]), ([], []),
             ([-1, 0, 0, 1, -1], [0.7, 0.6, 0.2, 0.9, 0.1]))
    for parents, accept in cases:
        reached, paths = [], []
        for node, (parent, chance) in enumerate(zip(parents, accept)):
            reached.append(chance * (1.0 if parent == -1 else reached[parent]))
            paths.append([node] if parent == -1 else [*paths[parent], node])
        want, got = 1 + sum(reached), float(answer(list(parents), list(accept)))
        if math.isclose(got, want, abs_tol=1e-9):
            continue
        case = f"for parents={parents}, accept={accept} you return {got:.4g}"
        if math.isclose(got, want - 1, abs_tol=1e-9):
            return f"{case}, one too few: the verifier's own token is always added, whatever is accepted."
        if math.isclose(got, 1 + sum(accept), abs_tol=1e-9):
            return f"{case}: you add the acceptances, but a node counts only if its whole path is accepted, so multiply along the path."
        if math.isclose(got, 1 + math.prod(accept), abs_tol=1e-9):
            return f"{case}: you multiply over all nodes; multiply along each path, then add up over the nodes."
        leaves = [node for node in range(len(parents)) if node not in parents]
        if math.isclose(got, 1 + sum(reached[node] for node in leaves), abs_tol=1e-9):
            return f"{case}: you count the ends of branches only; every node on the way adds a token too."
        if leaves and math.isclose(got, 1 + max(sum(reached[node] for node in paths[leaf]) for leaf in leaves), abs_tol=1e-9):
            return f"{case}: you follow the best path only; siblings have a chance as well."
        by_parent = [chance * (1.0 if parent == -1 else accept[parent]) for parent, chance in zip(parents, accept)]
        if math.isclose(got, 1 + sum(by_parent), abs_tol=1e-9):
            return f"{case}: you multiply by the parent's acceptance only; a grandparent must be accepted as well."
        return f"{case}; E is {want:.4g}."
    return None
