"""Gaussian elimination on small matrices, unrolled into plain operations.

The same code runs eagerly, under XLA and in ONNX, none of which agree on a solver or a
determinant. There is no pivoting: the matrices it is used for are strictly row-diagonally
dominant, for which elimination without pivoting is stable.
"""

from typing import Any

from keras import ops

Tensor = Any


def solve_and_log_det(matrix: Tensor, right_side: Tensor | None) -> tuple[Tensor | None, Tensor]:
    """Solve ``matrix @ x = right_side`` and give log|det matrix|.

    Args:
        matrix: ``(..., n, n)``, strictly diagonally dominant by rows.
        right_side: ``(..., n, p)``, or None when only the determinant is wanted.

    Returns:
        ``x`` of the shape of ``right_side`` (or None) and the log-determinant ``(...)``.
    """
    size = matrix.shape[-1]
    work = matrix if right_side is None else ops.concatenate([matrix, right_side], axis=-1)
    rows = []
    pivots = []
    for _ in range(size):
        # The first column is dropped once its pivot has been used, so the pivot of the
        # remaining block is always at [0, 0].
        row = work[..., :1, :]
        pivot = row[..., :, :1]
        rows.append(row[..., 1:] / pivot)
        pivots.append(pivot[..., 0, 0])
        below = work[..., 1:, :]
        work = below[..., 1:] - below[..., :1] * rows[-1]
    log_det = sum(ops.log(ops.abs(pivot)) for pivot in pivots)
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
