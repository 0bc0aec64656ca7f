"""Typical wrong answers to the exercises of notebook 10; each check must refuse each of them."""
WRONG = {
    "10.residual": [
        "def residual(p, q):\n    return p",
        "def residual(p, q):\n    return [max(a - b, 0) for a, b in zip(p, q)]",
        """def residual(p, q):
    excess = [abs(a - b) for a, b in zip(p, q)]
    return [e / sum(excess) for e in excess]""",
        """def residual(p, q):
    excess = [max(b - a, 0) for a, b in zip(p, q)]
    return [e / sum(excess) for e in excess]""",
        """def residual(p, q):
    excess = [max(a - b, 0) for a, b in zip(p, q)]
    return [e / sum(excess) for e in excess]""",
        "def residual(p, q):\n    return [a - b for a, b in zip(p, q)]",
        """def residual(p, q):
    excess = [max(a - b, 0) for a, b in zip(p, q)]
    return [e / max(sum(excess), 1e-9) for e in excess]""",
        "def residual(p, q):\n    return None",
    ],
    "10.is_exact": [
        """def is_exact(rule, p, q, k):
    accepted, drawn = output_law(rule, p, q, distinct(q, k))
    return sum(accepted + drawn) == 1""",
        """def is_exact(rule, p, q, k):
    accepted, drawn = output_law(rule, p, q, distinct(q, k))
    return bool(all(accepted == p))""",
        """def is_exact(rule, p, q, k):
    accepted, drawn = output_law(rule, p, q, distinct(q, k))
    return bool(any(accepted + drawn == p))""",
        """def is_exact(rule, p, q, k):
    accepted, drawn = output_law(rule, p, q, distinct(q, 1))
    return bool(all(accepted + drawn == p))""",
        """def is_exact(rule, p, q, k):
    accepted, drawn = output_law(rule, p, q, independent(q, k))
    return bool(all(accepted + drawn == p))""",
        """def is_exact(rule, p, q, k):
    accepted, drawn = output_law(rule, p, q, distinct(q, k))
    return accepted + drawn""",
    ],
    "10.some_accepted": [
        """def some_accepted(p, q, k):
    beta = sum(min(a, b) for a, b in zip(p, q))
    return 1 - (1 - beta) ** k""",
        """def some_accepted(p, q, k):
    return k * sum(min(a, b) for a, b in zip(p, q))""",
        """def some_accepted(p, q, k):
    refused = 1
    for _ in range(k):
        beta = sum(min(a, b) for a, b in zip(p, q))
        refused *= 1 - beta
        p = [max(a - b, 0) / (1 - beta) for a, b in zip(p, q)]
    return 1 - refused""",
        """def some_accepted(p, q, k):
    refused = 1
    for _ in range(k):
        beta = sum(min(a, b) for a, b in zip(p, q))
        refused *= 1 - beta
        p = [max(a - b, 0) for a, b in zip(p, q)]
    return 1 - refused""",
        """def some_accepted(p, q, k):
    refused = 1
    for _ in range(k):
        beta = sum(min(a, b) for a, b in zip(p, q))
        if beta == 1:
            return 0
        refused *= 1 - beta
        p = [max(a - b, 0) / (1 - beta) for a, b in zip(p, q)]
    return refused""",
    ],
}
