"""Usual mistakes in the exercises of notebook 01; every one must be refused."""
WRONG = {
    "01.private_draws": [
        """def private_draws(seed, n):
    torch.manual_seed(seed)
    return torch.rand(n).tolist()""",
        """def private_draws(seed, n):
    return torch.rand(n, generator=torch.Generator()).tolist()""",
        """def private_draws(seed, n):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(n, generator=generator)""",
        """def private_draws(seed, n):
    generator = torch.Generator()
    generator.seed()
    return torch.rand(n, generator=generator).tolist()""",
    ],
    "01.choice_is_safe": [
        """def choice_is_safe(logits, error):
    first, second = torch.topk(logits, 2).values.tolist()
    return first - second >= error""",
        """def choice_is_safe(logits, error):
    return bool(logits.max() - logits.min() >= 2 * error)""",
        """def choice_is_safe(logits, error):
    first, second = torch.topk(logits, 2).values.tolist()
    return first - second > 2 * error""",
        """def choice_is_safe(logits, error):
    return bool(logits[0] - logits[1] >= 2 * error)""",
    ],
}
