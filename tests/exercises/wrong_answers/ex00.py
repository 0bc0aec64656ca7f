"""Usual mistakes in the exercises of notebook 00; every one must be refused."""
WRONG = {
    "00.tokens_added": [
        """def tokens_added(draft, choices):
    added = []
    for guess, choice in zip(draft, choices):
        if guess != choice:
            break
        added.append(guess)
    return added""",
        """def tokens_added(draft, choices):
    return [guess for guess, choice in zip(draft, choices) if guess == choice] + choices[-1:]""",
        """def tokens_added(draft, choices):
    added = []
    for guess, choice in zip(draft, choices):
        added.append(choice)
        if guess != choice:
            break
    return added""",
        """def tokens_added(draft, choices):
    added = []
    for guess, choice in zip(draft, choices):
        added.append(guess)
        if guess != choice:
            return added
    return added + choices[-1:]""",
    ],
    "00.tokens_per_step": [
        """def tokens_per_step(alpha, gamma):
    return sum(alpha**i for i in range(1, gamma + 1))""",
        """def tokens_per_step(alpha, gamma):
    return sum(alpha**i for i in range(gamma))""",
        """def tokens_per_step(alpha, gamma):
    return (1 - alpha ** (gamma + 1)) / (1 - alpha)""",
        """def tokens_per_step(alpha, gamma):
    return 1 + alpha * gamma""",
    ],
}
