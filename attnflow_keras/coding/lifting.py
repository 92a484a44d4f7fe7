"""Products with triangular matrices on a grid, exact both ways without a bit."""

import numpy as np


def lift(x: np.ndarray, matrix: np.ndarray, upper: bool, inverse: bool = False) -> np.ndarray:
    """Add to each row what a triangular matrix with ones on its diagonal makes of the others.

    Each addend is rounded to an integer, and the inverse computes the same one: its rows are
    known in the order in which it needs them. NumPy's products and sums are rounded one by one,
    in the order that is written here.

    >>> from attnflow_keras.coding.lifting import lift
    >>> x, lower = np.array([[5], [7]]), np.array([[1.0, 0.0], [0.3, 1.0]])
    >>> y = lift(x, lower, upper=False)
    >>> y.ravel().tolist(), lift(y, lower, upper=False, inverse=True).ravel().tolist()
    ([5, 9], [5, 7])

    Args:
        x: int64 ``(c, ...)``.
        matrix: float64 ``(c, c)``, or ``(c, c, ...)`` that broadcasts to the rest of x.
        upper: take the part above the diagonal, and not the part below.
        inverse: undo it.
    """
    count = len(x)
    order = range(count)[::-1] if upper else range(count)
    if matrix.ndim < x.ndim + 1:
        matrix = matrix.reshape(*matrix.shape, *[1] * (x.ndim + 1 - matrix.ndim))
    result = x.copy()
    addend = np.zeros(x.shape)
    for j in order:
        own = np.rint(addend[j]).astype("int64")
        result[j] = x[j] - own if inverse else x[j] + own
        source = (result if inverse else x)[j].astype("float64")
        rest = slice(0, j) if upper else slice(j + 1, count)
        addend[rest] += matrix[rest, j] * source
    return result


def triangular(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """L, d and U with ``matrix = L diag(d) U``, ones on the diagonals of L and U, no pivoting.

    Args:
        matrix: float64 ``(n, n, ...)``, of which each leading part is regular, such as one that is
            dominated by its diagonal.

    Returns:
        ``(n, n, ...)``, ``(n, ...)`` and ``(n, n, ...)``.
    """
    work = matrix.copy()
    count = len(work)
    lower, upper = np.zeros(matrix.shape), np.zeros(matrix.shape)
    pivots = np.empty(matrix.shape[1:])
    for k in range(count):
        pivots[k] = work[k, k]
        lower[k, k] = upper[k, k] = 1.0
        lower[k + 1 :, k] = work[k + 1 :, k] / pivots[k]
        upper[k, k + 1 :] = work[k, k + 1 :] / pivots[k]
        work[k + 1 :, k + 1 :] -= lower[k + 1 :, None, k] * work[None, k, k + 1 :]
    return lower, pivots, upper
