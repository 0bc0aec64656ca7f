"""Typical wrong answers to the exercises of notebook 14; each check must refuse each of them."""
WRONG = {
    "14.pass_seconds": [
        """def pass_seconds(weights, bytes_each, tokens, bandwidth, arithmetic):
    return weights * bytes_each / bandwidth + 2 * weights * tokens / arithmetic""",
        """def pass_seconds(weights, bytes_each, tokens, bandwidth, arithmetic):
    return min(weights * bytes_each / bandwidth, 2 * weights * tokens / arithmetic)""",
        """def pass_seconds(weights, bytes_each, tokens, bandwidth, arithmetic):
    return max(weights * bytes_each * tokens / bandwidth, 2 * weights * tokens / arithmetic)""",
        """def pass_seconds(weights, bytes_each, tokens, bandwidth, arithmetic):
    return max(weights * bytes_each / bandwidth, weights * tokens / arithmetic)""",
        """def pass_seconds(weights, bytes_each, tokens, bandwidth, arithmetic):
    return max(weights / bandwidth, 2 * weights * tokens / arithmetic)""",
        """def pass_seconds(weights, bytes_each, tokens, bandwidth, arithmetic):
    return max(weights * bytes_each / bandwidth, 2 * weights / arithmetic)""",
        "def pass_seconds(weights, bytes_each, tokens, bandwidth, arithmetic):\n    return weights * bytes_each / bandwidth",
        "def pass_seconds(weights, bytes_each, tokens, bandwidth, arithmetic):\n    return 2 * weights * tokens / arithmetic",
        """def pass_seconds(weights, bytes_each, tokens, bandwidth, arithmetic):
    return 1000 * max(weights * bytes_each / bandwidth, 2 * weights * tokens / arithmetic)""",
    ],
    "14.tokens_for_nothing": [
        "def tokens_for_nothing(bytes_each, bandwidth, arithmetic):\n    return bytes_each * arithmetic / (2 * bandwidth)",
        "def tokens_for_nothing(bytes_each, bandwidth, arithmetic):\n    return -int(-bytes_each * arithmetic // (2 * bandwidth))",
        "def tokens_for_nothing(bytes_each, bandwidth, arithmetic):\n    return int(bytes_each * arithmetic / bandwidth)",
        "def tokens_for_nothing(bytes_each, bandwidth, arithmetic):\n    return int(arithmetic / (2 * bandwidth))",
        "def tokens_for_nothing(bytes_each, bandwidth, arithmetic):\n    return int(2 * bandwidth / (bytes_each * arithmetic))",
        "def tokens_for_nothing(bytes_each, bandwidth, arithmetic):\n    return max(1, int(bytes_each * arithmetic / (2 * bandwidth)))",
    ],
    "14.winner": [
        """def winner(runs, verify, draft):
    def rate(steps):
        return sum(w / (verify(1 + n) + p * draft) for n, p, w in steps) / len(steps)
    return max(runs, key=lambda name: rate(runs[name]))""",
        "def winner(runs, verify, draft):\n    return max(runs, key=lambda name: sum(step[2] for step in runs[name]) / len(runs[name]))",
        """def winner(runs, verify, draft):
    def rate(steps):
        return sum(w for _, _, w in steps) / sum(verify(1 + n) for n, _, _ in steps)
    return max(runs, key=lambda name: rate(runs[name]))""",
        """def winner(runs, verify, draft):
    def rate(steps):
        return sum(w for _, _, w in steps) / sum(verify(1) + p * draft for _, p, _ in steps)
    return max(runs, key=lambda name: rate(runs[name]))""",
        """def winner(runs, verify, draft):
    def seconds(steps):
        return sum(verify(1 + n) + p * draft for n, p, _ in steps)
    return min(runs, key=lambda name: seconds(runs[name]))""",
        """def winner(runs, verify, draft):
    def rate(steps):
        return sum(w for _, _, w in steps) / sum(verify(1 + n) + p * draft for n, p, _ in steps)
    return min(runs, key=lambda name: rate(runs[name]))""",
        """def winner(runs, verify, draft):
    def rate(steps):
        return sum(w for _, _, w in steps) / sum(verify(1 + n) + p * draft for n, p, _ in steps)
    return max(rate(steps) for steps in runs.values())""",
    ],
}
