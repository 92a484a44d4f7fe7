"""Training runs: recipes, data order, checkpoints, curves."""
