"""All randomness outside training, in NumPy alone.

The same code serves Keras and a runtime without it, so that a seed means the same noise in
both. Streams are NumPy's Philox; a stream is drawn image by image, so the noise of an image
does not depend on the batch size.
"""

import math
from typing import Any

import numpy as np

from attnflow_keras.core.checks import check_integer, check_number

# Streams of one seed that must differ from each other.
DEQUANTIZATION, LATENTS, SUBSET = range(3)

# u has 14 bits, so that (k + u) / 256 - 0.5 is exact in float32 and never rounds up into the
# next grey level.
LEVELS = 2**14

# Float images lie in [-0.5, 0.5]; what a flow decodes may leave that range, but values of
# this size are grey levels that somebody forgot to scale.
FLOAT_LIMIT = 16.0
# Data to learn from or to count the bits of keep to the range.
DATA_LIMIT = 0.5


class NotFiniteError(ValueError):
    """Images or scores that hold NaN or Inf: an input that is unlike all training data."""


def generator(seed: int | None, stream: int) -> np.random.Generator:
    """The generator of one stream of a seed; ``None`` takes fresh entropy.

    Raises:
        ValueError: the seed is not an integer of at least 0.
    """
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    check_integer("seed", seed, 0, none=True)
    # An array: of a list with a number above 2**63 NumPy makes floats.
    key = np.array([int(seed) % 2**64, stream], "uint64")
    return np.random.Generator(np.random.Philox(key=key))


def check_range(
    name: str, values: np.ndarray, limit: float = FLOAT_LIMIT, images: bool = True
) -> None:
    """Raise ValueError for values beyond the limit, or for images that are scaled to [0, 1]."""
    low, high = float(values.min()), float(values.max())
    if max(-low, high) > limit or (images and low >= 0 and high > 0.5):
        raise ValueError(
            f"{name}: float images must lie in [-0.5, 0.5]; got values from {low:.4g} to "
            f"{high:.4g}. Pass grey levels as uint8, or scale them with dequantize"
        )


def uniform_noise(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Uniform noise for dequantization, float32 in (0, 1)."""
    draws = rng.integers(0, LEVELS, size=shape, dtype=np.uint16)
    return ((draws + np.float32(0.5)) / np.float32(LEVELS)).astype("float32")


def dequantize(images: np.ndarray, noise: np.ndarray | float) -> np.ndarray:
    """``(k + u) / 256 - 0.5``: uint8 images to floats in (-0.5, 0.5)."""
    return ((images.astype("float32") + np.float32(noise)) / np.float32(256)) - np.float32(0.5)


def quantize(x: np.ndarray) -> np.ndarray:
    """Grey levels of float images, uint8; values outside [-0.5, 0.5) go to the nearest level.

    Raises:
        NotFiniteError: NaN or Inf, which are no grey level.
    """
    if not np.isfinite(x).all():
        raise NotFiniteError("float images must be finite to have grey levels; got NaN or Inf")
    return np.clip(np.floor((x.astype("float64") + 0.5) * 256.0), 0, 255).astype("uint8")


def check_is_count(n: Any) -> None:
    """Raise ValueError for conditions in the place of the number of images to draw."""
    if getattr(n, "ndim", 0) > 0:
        raise ValueError(
            "n must be a number of images; got an array. A condition is given by name: "
            "sample(condition=...)"
        )


def check_sampled(x: np.ndarray, temperature: float) -> None:
    """Raise NotFiniteError unless drawn float images are finite."""
    if not np.isfinite(x).all():
        raise NotFiniteError(
            f"sampling at temperature={temperature} gave images that are not finite: the "
            "temperature is too high, the condition is unlike those of the training data, or "
            "the weights are damaged"
        )


def draw_latents(
    n: int, shapes: list[tuple[int, ...]], temperature: float, seed: int | None
) -> tuple[np.ndarray, ...]:
    """Latents to sample n images from: those of a seed, times the temperature.

    Raises:
        ValueError: n below 1, a temperature that is no finite number of at least 0, a bad seed.
    """
    check_integer("n", n)
    check_number("temperature", temperature)
    drawn = normal_latents(generator(seed, LATENTS), int(n), shapes)
    return tuple(np.float32(temperature) * z for z in drawn)


def normal_latents(
    rng: np.random.Generator, n: int, shapes: list[tuple[int, ...]]
) -> list[np.ndarray]:
    """Standard normal latents for n images, float32, one array ``(n, *shape)`` a shape."""
    sizes = [math.prod(shape) for shape in shapes]
    flat = rng.standard_normal((n, sum(sizes)), dtype=np.float32)
    parts = np.split(flat, np.cumsum(sizes)[:-1], axis=1)
    return [part.reshape(n, *shape) for part, shape in zip(parts, shapes, strict=True)]
