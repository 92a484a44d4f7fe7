"""Training runs: recipes, data order, checkpoints, curves."""

import attnflow_keras._backend  # noqa: F401
from attnflow_keras.training.recipe import Recipe
from attnflow_keras.training.run import train

__all__ = ["Recipe", "train"]
