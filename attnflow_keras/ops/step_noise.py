"""Noise inside ``fit``, a function of the seed and the step alone."""

from typing import Any

import keras
from keras import ops

from attnflow_keras import backend
from attnflow_keras.core.noise import LEVELS
from attnflow_keras.ops.replicas import Share, rows_of

Tensor = Any

# Between the seeds of the draws of one step, so that nearby seeds do not share them.
STRIDE = 1_000_003


class FixedSeed(keras.random.SeedGenerator):
    """A seed generator that always gives the seed it holds.

    It has no state variable: training that resumes at a step draws that step's noise.
    """

    def __init__(self, seed: int, step: Tensor) -> None:
        self._value = ops.stack([ops.cast(part, backend.SEED_DTYPE) for part in (seed, step)])

    def next(self, ordered: bool = True) -> Tensor:
        return self._value


class StepNoise:
    """The noise of one training step, handed down to all that draws some of it.

    A model makes one in each call and passes it to its layers as ``noise=``, and they to their
    networks; without it there is no dropout. (Keras' own ``training`` does not get there on JAX,
    where the layers inside a model don't inherit the argument.)

    >>> noise = StepNoise(seed=0, step=7)
    >>> mask = noise.keep_mask((4, 3), 0.5, "float32")

    Args:
        seed: seed of the training.
        step: number of the step, an integer or a tensor.
        share: this replica's part of the batch, if there are several.
    """

    def __init__(self, seed: int, step: Tensor, share: Share | None = None) -> None:
        self.seed = seed
        self.step = step
        self.share = share
        #: How many masks, signs and numbers have been drawn.
        self.masks = 0

    def copy(self) -> "StepNoise":
        """The same noise, whose next mask is the next one of this."""
        other = StepNoise(self.seed, self.step, self.share)
        other.masks = self.masks
        return other

    def dequantization(self, shape: tuple[Any, ...], dtype: str) -> Tensor:
        """Uniform noise in (0, 1), on the grid of ``noise.LEVELS``."""
        u = self._uniform(shape, FixedSeed(self.seed, self.step))
        return ops.cast((ops.floor(u * LEVELS) + 0.5) / LEVELS, dtype)

    def keep_mask(self, shape: tuple[Any, ...], rate: float, dtype: str) -> Tensor:
        """Dropout as a factor: 0 with probability ``rate``, else ``1 / (1 - rate)``.

        Each call is a draw of its own.
        """
        kept = ops.greater_equal(self._uniform(shape, self._next()), rate)
        return ops.cast(kept, dtype) / (1.0 - rate)

    def signs(self, shape: tuple[Any, ...], dtype: str) -> Tensor:
        """1 or -1, each with probability 1/2. Each call is a draw of its own."""
        drawn = self._uniform(shape, self._next())
        return 2.0 * ops.cast(ops.less(drawn, 0.5), dtype) - 1.0

    def number(self) -> Tensor:
        """One uniform float32 in [0, 1), for all images. Each call is a draw of its own."""
        return keras.random.uniform((), seed=self._next(), dtype="float32")

    def _next(self) -> FixedSeed:
        self.masks += 1
        return FixedSeed(self.seed + STRIDE * self.masks, self.step)

    def _uniform(self, shape: tuple[Any, ...], seed: FixedSeed) -> Tensor:
        """Uniform float32 in [0, 1); the first axis is that of the images."""
        return rows_of(
            lambda whole: keras.random.uniform(whole, seed=seed, dtype="float32"),
            shape,
            self.share,
        )


def dropped(
    x: Tensor, rate: float, noise: StepNoise | None, shape: tuple[Any, ...] | None = None
) -> Tensor:
    """``x`` with dropout, in a training step.

    Args:
        x: the tensor.
        rate: probability that an element becomes 0; others are divided by ``1 - rate``.
        noise: the noise of the step; None outside of training.
        shape: shape of the mask, if it is not that of ``x``.
    """
    if not rate or noise is None:
        return x
    return x * noise.keep_mask(ops.shape(x) if shape is None else shape, rate, x.dtype)
