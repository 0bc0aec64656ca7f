"""Typical wrong answers to the exercises of notebook 15; each check must refuse each of them."""
WRONG = {
    "15.passes": [
        "def passes(lengths, slots):\n    return sum(max(lengths[i:i + slots]) for i in range(0, len(lengths), slots))",
        "def passes(lengths, slots):\n    return sum(lengths)",
        "def passes(lengths, slots):\n    return -(-sum(lengths) // slots)",
        "def passes(lengths, slots):\n    return sum(lengths) / slots",
        "def passes(lengths, slots):\n    return max(lengths)",
        """def passes(lengths, slots):
    ends = [0] * slots
    for length in sorted(lengths):
        ends[ends.index(min(ends))] += length
    return max(ends)""",
    ],
    "15.best_span": [
        """def best_span(shares, seconds):
    tokens, reach, best, speed = 1, 1.0, 0, 1 / seconds[0]
    for n, share in enumerate(shares, start=1):
        reach *= share
        tokens += reach
        if tokens / seconds[n] > speed:
            best, speed = n, tokens / seconds[n]
    return best""",
        "def best_span(shares, seconds):\n    return max(range(len(seconds)), key=lambda n: sum(shares[:n]) / seconds[n])",
        "def best_span(shares, seconds):\n    return max(range(len(seconds)), key=lambda n: 1 + sum(shares[:n]))",
        "def best_span(shares, seconds):\n    return max(range(1, len(seconds)), key=lambda n: (1 + sum(shares[:n])) / seconds[n])",
        "def best_span(shares, seconds):\n    return len(shares)",
        "def best_span(shares, seconds):\n    return max((1 + sum(shares[:n])) / seconds[n] for n in range(len(seconds)))",
        "def best_span(shares, seconds):\n    return sum(share > 0.5 for share in shares)",
    ],
    "15.gpus": [
        """def gpus(weights, bytes_each, cache_bytes, tokens, memory):
    return next((n for n in (1, 2, 4, 8) if weights * bytes_each / n <= memory), None)""",
        """def gpus(weights, bytes_each, cache_bytes, tokens, memory):
    return next((n for n in (1, 2, 4, 8) if weights * bytes_each / n + cache_bytes * tokens <= memory), None)""",
        """def gpus(weights, bytes_each, cache_bytes, tokens, memory):
    return next((n for n in (1, 2, 4, 8) if weights * bytes_each + cache_bytes * tokens / n <= memory), None)""",
        """def gpus(weights, bytes_each, cache_bytes, tokens, memory):
    return -int(-(weights * bytes_each + cache_bytes * tokens) // memory)""",
        """def gpus(weights, bytes_each, cache_bytes, tokens, memory):
    return next((n for n in (1, 2, 4, 8) if (weights + cache_bytes * tokens) / n <= memory), None)""",
        """def gpus(weights, bytes_each, cache_bytes, tokens, memory):
    return next((n for n in (1, 2, 4, 8) if (weights * bytes_each + cache_bytes * tokens) / n <= memory), 8)""",
    ],
}
