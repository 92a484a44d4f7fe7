"""Training: noise of a step, recipes, checkpoints."""
