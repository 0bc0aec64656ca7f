"""Floor 7: what a reader sees: figures, steppers, explorers."""
