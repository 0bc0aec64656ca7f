"""Floor 1: settings, devices, tokens, distributions, prompts."""
