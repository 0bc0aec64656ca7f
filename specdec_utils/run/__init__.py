"""Floor 3: how a model is called: any model, and lean passes for those we know."""
