"""Typical wrong answers to the exercises of notebook 13; each check must refuse each of them."""
WRONG = {
    "13.features_and_tokens": [
        "def features_and_tokens(ids):\n    return [(t, ids[t], ids[t + 1]) for t in range(len(ids) - 1)]",
        "def features_and_tokens(ids):\n    return [(t, ids[t + 1], ids[t + 1]) for t in range(len(ids) - 1)]",
        "def features_and_tokens(ids):\n    return [(t, ids[t], ids[t + 2]) for t in range(len(ids) - 2)]",
        "def features_and_tokens(ids):\n    return [(t + 1, ids[t + 1], ids[t + 2]) for t in range(len(ids) - 2)]",
        "def features_and_tokens(ids):\n    return [(t, ids[t + 1], ids[(t + 2) % len(ids)]) for t in range(len(ids) - 1)]",
        "def features_and_tokens(ids):\n    return [(t, ids[t + 2]) for t in range(len(ids) - 2)]",
        "def features_and_tokens(ids):\n    return [(t, ids[t + 1], ids[t + 2]) for t in range(len(ids) - 1)]",
    ],
    "13.worth_drafting": [
        """def worth_drafting(chances, seconds, rate):
    count = 0
    for chance in chances:
        if chance < seconds * rate:
            break
        count += 1
    return count""",
        "def worth_drafting(chances, seconds, rate):\n    return sum(chance >= seconds * rate for chance in chances)",
        """def worth_drafting(chances, seconds, rate):
    count, reach = 0, 1.0
    for chance in chances:
        reach *= chance
        if reach <= seconds * rate:
            break
        count += 1
    return count""",
        """def worth_drafting(chances, seconds, rate):
    count, reach = 0, 1.0
    for chance in chances:
        reach *= chance
        if reach < seconds:
            break
        count += 1
    return count""",
        """def worth_drafting(chances, seconds, rate):
    count, reach = 0, 1.0
    for chance in chances:
        reach *= chance
        count += 1
        if reach < seconds * rate:
            break
    return count""",
        """def worth_drafting(chances, seconds, rate):
    tokens = 0.0
    reach = 1.0
    for chance in chances:
        reach *= chance
        tokens += reach
    return tokens""",
    ],
    "13.acceptance_by_depth": [
        """def acceptance_by_depth(drafts):
    depths = range(1, 1 + max((drafted for drafted, _ in drafts), default=0))
    return [sum(accepted >= depth for _, accepted in drafts) / len(drafts) for depth in depths]""",
        """def acceptance_by_depth(drafts):
    shares = []
    for depth in range(1, 1 + max((drafted for drafted, _ in drafts), default=0)):
        judged = [accepted >= depth for drafted, accepted in drafts if drafted >= depth]
        shares.append(sum(judged) / len(judged))
    return shares""",
        """def acceptance_by_depth(drafts):
    shares = []
    for depth in range(1, 1 + max((drafted for drafted, _ in drafts), default=0)):
        judged = [accepted >= depth for drafted, accepted in drafts if accepted >= depth - 1]
        shares.append(sum(judged) / max(1, len(judged)))
    return shares""",
        """def acceptance_by_depth(drafts):
    shares = []
    for depth in range(1, 1 + max((drafted for drafted, _ in drafts), default=0)):
        judged = [accepted >= depth for drafted, accepted in drafts if drafted >= depth and accepted >= depth - 1]
        shares.append(sum(judged) / max(1, len(judged)))
    return shares""",
        "def acceptance_by_depth(drafts):\n    return [accepted / drafted for drafted, accepted in drafts if drafted]",
        "def acceptance_by_depth(drafts):\n    return sum(a for _, a in drafts) / max(1, sum(d for d, _ in drafts))",
    ],
}
