"""What the examples share: test digits, and grids with white between their images."""

from collections.abc import Sequence

import numpy as np

GAP = 3
SCALE = 2


def grid(rows: Sequence[Sequence[np.ndarray]]) -> np.ndarray:
    """Rows of images ``(h, w, c)``, uint8, in one image, each pixel shown as ``SCALE`` squared."""
    return _beside([_beside([_enlarged(image) for image in row], 1) for row in rows], 0)


def _enlarged(image: np.ndarray) -> np.ndarray:
    return image.repeat(SCALE, axis=0).repeat(SCALE, axis=1)


def _beside(images: list[np.ndarray], axis: int) -> np.ndarray:
    parts: list[np.ndarray] = []
    for image in images:
        shape = list(image.shape)
        shape[axis] = GAP
        parts += [image, np.full(shape, 255, "uint8")]
    return np.concatenate(parts[:-1], axis=axis)
