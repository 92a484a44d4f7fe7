"""Spherical interpolation of latents, in NumPy alone."""

import math
from typing import Any

import numpy as np


def between(a: Any, b: Any, steps: int) -> tuple[np.ndarray, ...]:
    """Latents between ``a`` and ``b``, both ends included.

    Directions are interpolated spherically (slerp), lengths linearly: latents of a normal
    distribution lie near a sphere.

    Args:
        a: latents, arrays ``(n, *shape)``.
        b: those of the other end.
        steps: number of latents, including both ends.

    Returns:
        Arrays ``(n * steps, *shape)``, those of one pair after another.
    """
    shapes = [np.shape(z)[1:] for z in a]
    rows = slerp(_flatten(a), _flatten(b), steps)
    rows = rows.reshape(-1, rows.shape[-1])
    ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
    parts = np.split(rows, ends, axis=1)
    return tuple(p.reshape(len(rows), *s) for p, s in zip(parts, shapes, strict=True))


def slerp(a: np.ndarray, b: np.ndarray, steps: int) -> np.ndarray:
    """Spherical interpolation: ``(n, D)`` and ``(n, D)`` to ``(n, steps, D)``."""
    t = np.linspace(0.0, 1.0, steps)[None, :, None]
    length_a = np.linalg.norm(a, axis=1)[:, None, None]
    length_b = np.linalg.norm(b, axis=1)[:, None, None]
    unit_a, unit_b = a[:, None] / length_a, b[:, None] / length_b
    angle = np.arccos(np.clip(np.sum(unit_a * unit_b, axis=-1, keepdims=True), -1.0, 1.0))
    sine = np.maximum(np.sin(angle), 1e-6)
    direction = (np.sin((1 - t) * angle) * unit_a + np.sin(t * angle) * unit_b) / sine
    # Parallel ends span no circle; there linear interpolation gives the same directions.
    direction = np.where(angle < 1e-4, (1 - t) * unit_a + t * unit_b, direction)
    return (direction * ((1 - t) * length_a + t * length_b)).astype("float32")


def _flatten(latents: Any) -> np.ndarray:
    return np.concatenate([np.asarray(z).reshape(len(z), -1) for z in latents], axis=1)
