"""Gaussian elimination on small matrices, unrolled into plain operations.

The same code runs eagerly, under XLA and in ONNX, none of which agree on a solver or a
determinant. Strictly row-diagonally dominant matrices need no pivoting; for others there is
partial pivoting, which moves rows by one-hot products because a graph can't swap them in place.
"""

from typing import Any

import numpy as np
from keras import ops

Tensor = Any


def solve_and_log_det(
    matrix: Tensor, right_side: Tensor | None, pivot: bool = False
) -> tuple[Tensor | None, Tensor]:
    """Solve ``matrix @ x = right_side`` and give log|det matrix|.

    Args:
        matrix: ``(..., n, n)``; without ``pivot``, strictly diagonally dominant by rows.
        right_side: ``(..., n, p)``, or None when only the determinant is wanted.
        pivot: partial pivoting, for matrices that are not diagonally dominant. A singular
            matrix gives a solution that is not finite.

    Returns:
        ``x`` of the shape of ``right_side`` (or None) and the log-determinant ``(...)``.
    """
    size = matrix.shape[-1]
    work = matrix if right_side is None else ops.concatenate([matrix, right_side], axis=-1)
    rows = []
    pivots = []
    for remaining in range(size, 0, -1):
        if pivot and remaining > 1:
            work = _pivot_to_top(work, remaining)
        # The first column is dropped once its pivot has been used, so the pivot of the
        # remaining block is always at [0, 0].
        row = work[..., :1, :]
        top = row[..., :, :1]
        rows.append(row[..., 1:] / top)
        pivots.append(top[..., 0, 0])
        below = work[..., 1:, :]
        work = below[..., 1:] - below[..., :1] * rows[-1]
    log_det = sum(ops.log(ops.abs(value)) for value in pivots)
    if right_side is None:
        return None, log_det

    solved: Tensor = None
    for k in reversed(range(size)):
        remaining = size - 1 - k
        value = rows[k][..., remaining:]
        if remaining:
            value = value - ops.matmul(rows[k][..., :remaining], solved)
        solved = value if solved is None else ops.concatenate([value, solved], axis=-2)
    return solved, log_det


def _pivot_to_top(work: Tensor, count: int) -> Tensor:
    """Exchange the first of ``count`` rows with that of the largest first element."""
    size = ops.abs(work[..., 0])
    # The first of the largest, without argmax, which ONNX gets from Keras in a form it can't run.
    is_largest = ops.greater_equal(size, ops.max(size, axis=-1, keepdims=True))
    places = ops.cast(np.arange(count), work.dtype)
    first_place = ops.min(ops.where(is_largest, places, float(count)), axis=-1, keepdims=True)
    chosen = ops.expand_dims(ops.cast(ops.equal(places, first_place), work.dtype), -1)
    first = ops.cast(np.eye(count, 1), work.dtype)
    pivot_row = ops.sum(chosen * work, axis=-2, keepdims=True)
    top_row = work[..., :1, :]
    work = work * (1.0 - chosen) + chosen * top_row
    return work * (1.0 - first) + first * pivot_row
