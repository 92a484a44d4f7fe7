"""Noise inside ``fit``, a function of the seed and the step alone."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import keras
from keras import ops

from attnflow_keras.core.noise import LEVELS
from attnflow_keras.ops import replicas

Tensor = Any

# Between the seeds of the draws of one step, so that nearby seeds do not share them.
STRIDE = 1_000_003


class FixedSeed(keras.random.SeedGenerator):
    """A seed generator that always gives the seed it holds.

    It has no state variable: training that resumes at a step draws that step's noise.
    """

    def __init__(self, seed: int, step: Tensor) -> None:
        dtype = "uint32" if keras.backend.backend() == "jax" else "int64"
        self._value = ops.stack([ops.cast(seed, dtype), ops.cast(step, dtype)])

    def next(self, ordered: bool = True) -> Tensor:
        return self._value


class _Step:
    """Seed and number of the training step that is being computed, and its draws so far."""

    def __init__(self, seed: int, step: Tensor, training: bool = False) -> None:
        self.seed = seed
        self.step = step
        self.training = training
        self.draws = 0


# Replicas are traced in threads of their own, each at its own step.
_current: ContextVar[_Step | None] = ContextVar("step", default=None)


@contextlib.contextmanager
def training_step(seed: int, step: Tensor, training: bool = True) -> Iterator[None]:
    """Within the block, :func:`keep_mask` draws the noise of this seed and step.

    ``training`` reaches networks that Keras does not tell: on JAX it calls a model's ``call``
    directly, and the layers inside don't inherit the argument.
    """
    token = _current.set(_Step(seed, step, training))
    try:
        yield
    finally:
        _current.reset(token)


def dropped(x: Tensor, rate: float, training: bool, shape: tuple[Any, ...] | None = None) -> Tensor:
    """``x`` with dropout, in training.

    Args:
        x: the tensor.
        rate: probability that an element becomes 0; others are divided by ``1 - rate``.
        training: the argument of that name of the network's ``call``.
        shape: shape of the mask, if it is not that of ``x``.
    """
    now = _current.get()
    if not rate or not (training or (now is not None and now.training)):
        return x
    return x * keep_mask(ops.shape(x) if shape is None else shape, rate, x.dtype)


def step_uniform(shape: tuple[Any, ...], seed: int, step: Tensor, dtype: str) -> Tensor:
    """Dequantization noise of one training step, in (0, 1), on the grid of ``noise.LEVELS``."""
    u = _uniform(shape, FixedSeed(seed, step))
    return ops.cast((ops.floor(u * LEVELS) + 0.5) / LEVELS, dtype)


def keep_mask(shape: tuple[Any, ...], rate: float, dtype: str) -> Tensor:
    """Dropout as a factor: 0 with probability ``rate``, else ``1 / (1 - rate)``.

    Each call inside a :func:`training_step` is a draw of its own; outside of one, the mask is
    always the same.
    """
    now = _current.get() or _Step(0, 0)
    now.draws += 1
    seed = FixedSeed(now.seed + STRIDE * now.draws, now.step)
    kept = ops.greater_equal(_uniform(shape, seed), rate)
    return ops.cast(kept, dtype) / (1.0 - rate)


def _uniform(shape: tuple[Any, ...], seed: FixedSeed) -> Tensor:
    """Uniform float32 in [0, 1); the first axis is that of the images."""
    return replicas.rows_of(
        lambda whole: keras.random.uniform(whole, seed=seed, dtype="float32"), shape
    )
