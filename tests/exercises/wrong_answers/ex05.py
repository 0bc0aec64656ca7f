"""Typical wrong answers to the exercises of notebook 05; each check must refuse each of them."""
WRONG = {
    "05.tokens_added": [
        "def tokens_added(accepted, mismatched):\n    return len(accepted)",
        "def tokens_added(accepted, mismatched):\n    return len(accepted) - (1 if mismatched else 0)",
        "def tokens_added(accepted, mismatched):\n    return len(accepted) + 1",
    ],
    "05.keep_with_bonus": [
        """def keep_with_bonus(branch, choices):
    kept = []
    for drafted, choice in zip(branch, choices):
        kept.append(choice)
        if drafted != choice:
            break
    return kept""",
        """def keep_with_bonus(branch, choices):
    kept = []
    for drafted, choice in zip(branch, choices):
        if drafted != choice:
            return kept
        kept.append(drafted)
    return kept + [choices[-1]]""",
        """def keep_with_bonus(branch, choices):
    kept = [drafted for drafted, choice in zip(branch, choices) if drafted == choice]
    return kept + [choices[len(kept)]]""",
        """def keep_with_bonus(branch, choices):
    kept = []
    for drafted, choice in zip(branch, choices):
        kept.append(drafted)
        if drafted != choice:
            return kept
    return kept + [choices[-1]]""",
        "def keep_with_bonus(branch, choices):\n    return choices",
    ],
    "05.only_candidate": [
        """def only_candidate(branches, choice):
    for i, branch in enumerate(branches):
        if choice in branch:
            return i
    return None""",
        """def only_candidate(branches, choice):
    return max(range(len(branches)), key=lambda i: branches[i][0] == choice)""",
        """def only_candidate(branches, choice):
    for branch in branches:
        if branch[0] == choice:
            return branch
    return None""",
        """def only_candidate(branches, choice):
    for i, branch in enumerate(branches):
        if branch[0] == choice:
            i""",
    ],
}
