"""Typical wrong answers to the exercises of notebook 12; each check must refuse each of them."""
WRONG = {
    "12.tokens_from_chances": [
        "def tokens_from_chances(chances):\n    return 1 + sum(chances)",
        """def tokens_from_chances(chances):
    tokens, reach = 0.0, 1.0
    for chance in chances:
        reach *= chance
        tokens += reach
    return tokens""",
        """def tokens_from_chances(chances):
    reach = 1.0
    for chance in chances:
        reach *= chance
    return 1 + reach""",
        """def tokens_from_chances(chances):
    tokens, reach = 0.0, 1.0
    for chance in chances:
        tokens += reach
        reach *= chance
    return tokens""",
        """def tokens_from_chances(chances):
    alpha = sum(chances) / max(1, len(chances))
    return sum(alpha**i for i in range(len(chances) + 1))""",
    ],
    "12.dearest_drafter": [
        "def dearest_drafter(alpha, gamma, v):\n    return (sum(alpha**i for i in range(gamma + 1)) - 1) / gamma",
        "def dearest_drafter(alpha, gamma, v):\n    return sum(alpha**i for i in range(gamma + 1)) - v",
        "def dearest_drafter(alpha, gamma, v):\n    return sum(alpha**i for i in range(gamma + 1)) / gamma - v",
        "def dearest_drafter(alpha, gamma, v):\n    return (sum(alpha**i for i in range(gamma)) - v) / gamma",
        "def dearest_drafter(alpha, gamma, v):\n    return (sum(alpha**i for i in range(gamma + 1)) - v) / (gamma + 1)",
        "def dearest_drafter(alpha, gamma, v):\n    return max(0.0, (sum(alpha**i for i in range(gamma + 1)) - v) / gamma)",
        "def dearest_drafter(alpha, gamma, v):\n    return alpha",
    ],
    "12.speed_from_counts": [
        "def speed_from_counts(tokens, nodes, drafter_passes, c, v):\n    return tokens / (len(nodes) + c * drafter_passes)",
        "def speed_from_counts(tokens, nodes, drafter_passes, c, v):\n    return tokens / sum(v(1 + n) for n in nodes)",
        "def speed_from_counts(tokens, nodes, drafter_passes, c, v):\n    return tokens / (sum(v(n) for n in nodes) + c * drafter_passes)",
        "def speed_from_counts(tokens, nodes, drafter_passes, c, v):\n    return tokens / (v(1 + sum(nodes)) + c * drafter_passes)",
        "def speed_from_counts(tokens, nodes, drafter_passes, c, v):\n    return (sum(v(1 + n) for n in nodes) + c * drafter_passes) / tokens",
        "def speed_from_counts(tokens, nodes, drafter_passes, c, v):\n    return tokens / (sum(v(1 + n) for n in nodes) + drafter_passes)",
    ],
}
