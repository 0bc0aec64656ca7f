"""Typical wrong answers to the exercises of notebook 09; each check must refuse each of them."""
WRONG = {
    "09.count_nodes": [
        "def count_nodes(branches):\n    return sum(len(branch) for branch in branches)",
        "def count_nodes(branches):\n    return len({token for branch in branches for token in branch})",
        "def count_nodes(branches):\n    return len({(i, token) for branch in branches for i, token in enumerate(branch)})",
        "def count_nodes(branches):\n    return len({tuple(branch) for branch in branches})",
        "def count_nodes(branches):\n    return len({tuple(branch[:i]) for branch in branches for i in range(len(branch) + 1)})",
        "def count_nodes(branches):\n    return len({(a, b) for branch in branches for a, b in zip([-1] + branch, branch)})",
    ],
    "09.node_positions": [
        "def node_positions(parents, start):\n    return list(range(start, start + len(parents)))",
        """def node_positions(parents, start):
    depths = []
    for parent in parents:
        depths.append(0 if parent == -1 else depths[parent] + 1)
    return depths""",
        """def node_positions(parents, start):
    positions = []
    for parent in parents:
        positions.append(start + 1 if parent == -1 else positions[parent] + 1)
    return positions""",
        "def node_positions(parents, start):\n    return [start + parent + 1 for parent in parents]",
        "def node_positions(parents, start):\n    return [start if parent == -1 else start + 1 for parent in parents]",
        "def node_positions(parents, start):\n    return sorted({start + parent + 1 for parent in parents})",
    ],
    "09.expected_length": [
        "def expected_length(parents, accept):\n    return 1 + sum(accept)",
        """def expected_length(parents, accept):
    reached = []
    for parent, chance in zip(parents, accept):
        reached.append(chance * (1.0 if parent == -1 else reached[parent]))
    return sum(reached)""",
        """def expected_length(parents, accept):
    product = 1.0
    for chance in accept:
        product *= chance
    return 1 + product""",
        "def expected_length(parents, accept):\n    return 1 + sum(a * (1 if p == -1 else accept[p]) for p, a in zip(parents, accept))",
        """def expected_length(parents, accept):
    reached = []
    for parent, chance in zip(parents, accept):
        reached.append(chance * (1.0 if parent == -1 else reached[parent]))
    return 1 + sum(r for node, r in enumerate(reached) if node not in parents)""",
        """def expected_length(parents, accept):
    best = []
    reached = []
    for parent, chance in zip(parents, accept):
        reached.append(chance * (1.0 if parent == -1 else reached[parent]))
        best.append(reached[-1] + (0.0 if parent == -1 else best[parent]))
    return 1 + max(best, default=0)""",
    ],
}
