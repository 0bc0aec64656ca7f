"""Floor 4: the four verbs: propose, verify, accept, advance."""
