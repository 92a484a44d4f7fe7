"""High-resolution images that are a given small one when they are downsampled."""

import functools
from typing import Any

import numpy as np
from keras import ops

from attnflow_keras.data.bicubic import bicubic_matrix

Tensor = Any


def consistent(x: Tensor, small: Tensor, scale: int) -> Tensor:
    """The image nearest to ``x`` along smooth directions that downsamples to ``small``.

    The difference between ``small`` and the reduced ``x`` is enlarged and added; it is enlarged
    such that reduction gives it back exactly. What ``x`` has beyond the low-resolution image's
    resolution stays as it is.

    Args:
        x: floats ``(n, s h, s w, c)``.
        small: floats ``(n, h, w, c)``.
        scale: the factor s.

    Returns:
        ``(n, s h, s w, c)``, whose reduction by MATLAB's bicubic, before rounding, is ``small``.
    """
    height, width = int(small.shape[1]), int(small.shape[2])
    (reduce_rows, enlarge_rows), (reduce_columns, enlarge_columns) = (
        _matrices(side, scale) for side in (height, width)
    )
    missing = small - _along_axes(x, reduce_rows, reduce_columns)
    return x + _along_axes(missing, enlarge_rows, enlarge_columns)


@functools.lru_cache(maxsize=64)
def _matrices(side: int, scale: int) -> tuple[np.ndarray, np.ndarray]:
    """Reduction of one axis, and the smooth enlargement that it turns back."""
    reduction = bicubic_matrix(scale * side, side)
    enlargement = bicubic_matrix(side, scale * side)
    return reduction, enlargement @ np.linalg.inv(reduction @ enlargement)


def _along_axes(x: Tensor, rows: np.ndarray, columns: np.ndarray) -> Tensor:
    by_channel = ops.transpose(x, (0, 3, 1, 2))
    left = ops.convert_to_tensor(rows, dtype=x.dtype)
    right = ops.convert_to_tensor(columns.T, dtype=x.dtype)
    resized = ops.matmul(ops.matmul(left, by_channel), right)
    return ops.transpose(resized, (0, 2, 3, 1))
