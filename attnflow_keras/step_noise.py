"""Noise inside ``fit``, a function of the seed and the step alone."""

from typing import Any

import keras
from keras import ops

from attnflow_keras.noise import LEVELS

Tensor = Any


class FixedSeed(keras.random.SeedGenerator):
    """A seed generator that always gives the seed it holds.

    It has no state variable: training that resumes at a step draws that step's noise.
    """

    def __init__(self, seed: int, step: Tensor) -> None:
        dtype = "uint32" if keras.backend.backend() == "jax" else "int64"
        self._value = ops.stack([ops.cast(seed, dtype), ops.cast(step, dtype)])

    def next(self, ordered: bool = True) -> Tensor:
        return self._value


def step_uniform(shape: tuple[Any, ...], seed: int, step: Tensor, dtype: str) -> Tensor:
    """Dequantization noise of one training step, in (0, 1), on the grid of ``noise.LEVELS``."""
    u = keras.random.uniform(shape, seed=FixedSeed(seed, step), dtype="float32")
    return ops.cast((ops.floor(u * LEVELS) + 0.5) / LEVELS, dtype)
