"""Typical wrong answers to the exercises of notebook 11; each check must refuse each of them."""
WRONG = {
    "11.head_pairs": [
        "def head_pairs(ids, head):\n    return list(enumerate(ids[head:]))",
        "def head_pairs(ids, head):\n    return list(enumerate(ids[head + 2:]))",
        "def head_pairs(ids, head):\n    return ids[head + 1:]",
        "def head_pairs(ids, head):\n    return [(t, ids[t + head + 1]) for t in range(len(ids))]",
        "def head_pairs(ids, head):\n    return [(t, ids[(t + head + 1) % len(ids)]) for t in range(len(ids))]",
        "def head_pairs(ids, head):\n    return [(t, ids[t]) for t in range(head + 1, len(ids))]",
    ],
    "11.expected_tokens": [
        "def expected_tokens(tree):\n    return sum(tree.reach(node) for node in range(len(tree)))",
        "def expected_tokens(tree):\n    return 1 + sum(tree.probs)",
        "def expected_tokens(tree):\n    return 1 + sum(tree.reach(leaf) for leaf in tree.leaves())",
        """def expected_tokens(tree):
    best = max(tree.leaves(), key=tree.reach, default=-1)
    return 1 + sum(tree.reach(node) for node in tree.path(best))""",
        "def expected_tokens(tree):\n    return len(tree)",
    ],
    "11.look_up": [
        """def look_up(ids, size, span):
    for end in range(len(ids), size - 1, -1):
        if ids[end - size:end] == ids[-size:]:
            return ids[end:end + span]
    return []""",
        """def look_up(ids, size, span):
    for end in range(size, len(ids)):
        if ids[end - size:end] == ids[-size:]:
            return ids[end:end + span]
    return []""",
        """def look_up(ids, size, span):
    for start in range(len(ids) - size - 1, -1, -1):
        if ids[start:start + size] == ids[-size:]:
            return ids[start:start + span]
    return []""",
        """def look_up(ids, size, span):
    for end in range(len(ids) - 1, size - 1, -1):
        if ids[end - size:end] == ids[-size:]:
            return ids[end:]
    return []""",
        """def look_up(ids, size, span):
    for end in range(len(ids) - 1, 0, -1):
        if ids[end - 1] == ids[-1]:
            return ids[end:end + span]
    return []""",
        """def look_up(ids, size, span):
    for end in range(len(ids) - 1, size - 1, -1):
        if ids[end - size:end] == ids[-size:]:
            return ids[end:end + span]""",
    ],
}
