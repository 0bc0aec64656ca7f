"""Floor 6: what a reader sees: figures, steppers, explorers."""
