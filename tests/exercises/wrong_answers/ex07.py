"""Typical wrong answers of notebook 07; each must be refused."""
WRONG = {
    "07.step_passes": [
        "def step_passes(k, span, accepted):\n    return (k - 1) + accepted + 1, 1 + k * (span - 1)\n",
        "def step_passes(k, span, accepted):\n    return (k - 1) + accepted, 1 + k * (span - 1)\n",
        "def step_passes(k, span, accepted):\n    return min(accepted + 1, span), 1 + k * (span - 1)\n",
        "def step_passes(k, span, accepted):\n    return (k - 1) + min(accepted + 1, span), k * span\n",
    ],
    "07.times_slower": [
        "def times_slower(tokens_a, seconds_a, tokens_b, seconds_b):\n    return seconds_b / seconds_a\n",
        "def times_slower(tokens_a, seconds_a, tokens_b, seconds_b):\n"
        "    return (tokens_b / seconds_b) / (tokens_a / seconds_a)\n",
    ],
    "07.positions": [
        "def positions(prompt, new, cached):\n    return prompt + new if cached else sum(prompt + i for i in range(new))\n",
        "def positions(prompt, new, cached):\n    return new if cached else sum(prompt + i for i in range(new))\n",
        "def positions(prompt, new, cached):\n    return prompt + new - 1 if cached else prompt * new\n",
        "def positions(prompt, new, cached):\n"
        "    return prompt + new - 1 if cached else sum(prompt + i + 1 for i in range(new))\n",
    ],
}
