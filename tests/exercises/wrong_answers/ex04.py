"""Typical wrong answers to the exercises of notebook 04; each must be refused."""
WRONG = {
    "04.causal_mask": [
        """def causal_mask(n):
    return torch.tril(torch.ones(n, n, dtype=torch.bool), diagonal=-1)
""",
        """def causal_mask(n):
    return torch.triu(torch.ones(n, n, dtype=torch.bool))
""",
        """def causal_mask(n):
    return torch.tril(torch.ones(n, n))
""",
        """def causal_mask(n):
    return torch.triu(torch.ones(n, n), diagonal=1).bool()
""",
    ],
    "04.pick_rows": [
        """def pick_rows(logits, context_length):
    return logits[context_length:].argmax(dim=-1).tolist()
""",
        """def pick_rows(logits, context_length):
    return logits[context_length - 1:-1].argmax(dim=-1).tolist()
""",
        """def pick_rows(logits, context_length):
    return logits.argmax(dim=-1).tolist()
""",
        """def pick_rows(logits, context_length):
    return logits[context_length - 1:].argmax(dim=-1)
""",
    ],
    "04.positions": [
        """def positions_processed(T, n):
    return sum(T + i for i in range(n)), T + n
""",
        """def positions_processed(T, n):
    return (n + 1) * T, T + n
""",
        """def positions_processed(T, n):
    return T + n, (n + 1) * T + n * (n + 1) // 2
""",
        """def positions_processed(T, n):
    return (n + 1) * T + n * (n + 1) // 2, n
""",
    ],
}
