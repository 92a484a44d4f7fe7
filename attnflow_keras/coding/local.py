"""Local bits-back coding of an elementwise map on a grid (Ho, Lohn, Abbeel, arXiv:1905.08500).

A flow maps real numbers, and what is coded are integers, numbers of points on a fine grid. So x
gets a value z near f(x) with normal noise of a small standard deviation s f'(x), which is popped
from the stack, and x is pushed given z, with noise s around the inverse of z. On average the
stack then grows by minus the log-determinant of f.
"""

import numpy as np

from attnflow_keras.coding.elementwise import Elementwise
from attnflow_keras.coding.stack import Stack

# Points of the grid in a unit of float images, and in a grey level.
UNIT_BITS = 28
LEVEL_BITS = UNIT_BITS - 8
UNIT = float(1 << UNIT_BITS)
# Standard deviation of the noise in x, in points of the grid: 1/2000 of a grey level or so. Where f
# is flat it is more, so that the noise in z has as many as the stack needs. Just below a power of
# two the stack's cells are finest.
NOISE = 480.0
LEAST = 240.0


def encode_map(stack: Stack, f: Elementwise, x: np.ndarray) -> np.ndarray:
    """Integers z for x, int64 ``(m,)``; pops z and pushes x."""
    z = stack.pop_normal(*_around_value(f, x))
    stack.push_normal(x, *_around_inverse(f, z))
    return z


def decode_map(stack: Stack, f: Elementwise, z: np.ndarray) -> np.ndarray:
    """The x of z: undoes :func:`encode_map`, on the stack too."""
    x = stack.pop_normal(*_around_inverse(f, z))
    stack.push_normal(z, *_around_value(f, x))
    return x


def to_floats(numbers: np.ndarray) -> np.ndarray:
    """Numbers on the grid as float64."""
    return numbers / UNIT


def _around_value(f: Elementwise, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of z given x, on the grid."""
    values, slopes = f.forward(to_floats(x))
    return values * UNIT, np.maximum(NOISE * slopes, LEAST)


def _around_inverse(f: Elementwise, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of x given z, on the grid."""
    values, slopes = f.inverse(to_floats(z))
    return values * UNIT, np.maximum(NOISE, LEAST / slopes)
