"""Floor 2: the models: pairs, where they come from, Medusa heads."""
