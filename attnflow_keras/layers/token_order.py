"""Maps as sequences of patches, in one of several orders."""

from typing import Any

import numpy as np
from keras import ops

from attnflow_keras.core.completion import ORDERS as ORDERS

Tensor = Any

# Rows and columns from a patch to those of its neighbours that come before it.
NEIGHBOURS = ((0, -1), (-1, -1), (-1, 0), (-1, 1))
CONTEXTS = ("neighbours", "previous")


class TokenOrder:
    """The patches of a map, one after another.

    ``"raster"`` goes row by row, ``"reversed"`` is that backwards, ``"columns"`` goes column by
    column. Values inside a patch are in raster order, channels last, in all of them.

    Args:
        shape: ``(height, width, channels)`` of the map.
        patch: side of a patch; divides height and width.
        order: one of ``ORDERS``.
        context: what a token sees directly: ``"neighbours"``, the four patches around it that
            come before it, or ``"previous"``, the one before it.
    """

    def __init__(self, shape: tuple[int, int, int], patch: int, order: str, context: str) -> None:
        height, width, channels = shape
        self.shape = shape
        self.patch = patch
        rows, columns = height // patch, width // patch
        self.grid = (rows, columns)
        self.tokens = rows * columns
        self.values = patch * patch * channels
        place = np.arange(self.tokens).reshape(rows, columns)
        if order == "columns":
            place = place.T
        elif order == "reversed":
            place = place[::-1, ::-1]
        # From a token's number in the order to its number in raster order, and back.
        self.raster = place.reshape(-1).astype("int32")
        self.number = np.argsort(self.raster).astype("int32")
        self.before = _before(place.shape, context)
        # Tokens with the same neighbours missing are of one kind.
        missing = self.before == self.tokens
        self.kinds = np.unique(missing, axis=0, return_inverse=True)[1].reshape(-1)

    def split(self, x: Tensor, patch: int | None = None) -> Tensor:
        """``(n, height, width, c)`` to tokens ``(n, tokens, values)`` in this order.

        A map of another resolution, with as many patches, may have another ``patch``.
        """
        patch = self.patch if patch is None else patch
        rows, columns = self.grid
        n, channels = ops.shape(x)[0], x.shape[-1]
        x = ops.reshape(x, (n, rows, patch, columns, patch, channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        x = ops.reshape(x, (n, self.tokens, patch * patch * channels))
        return self._take(x, self.raster)

    def join(self, tokens: Tensor) -> Tensor:
        """The map of tokens, the inverse of :meth:`split`."""
        rows, columns = self.grid
        n, patch = ops.shape(tokens)[0], self.patch
        x = self._take(tokens, self.number)
        x = ops.reshape(x, (n, rows, columns, patch, patch, self.shape[-1]))
        return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (n, *self.shape))

    def contexts(self, tokens: Tensor) -> Tensor:
        """What each token sees directly: ``(n, tokens, len(before) * values)``."""
        padded = ops.pad(tokens, [[0, 0], [0, 1], [0, 0]])
        seen = ops.take(padded, self.before.reshape(-1), axis=1)
        return ops.reshape(seen, (ops.shape(tokens)[0], self.tokens, -1))

    def _take(self, x: Tensor, places: np.ndarray) -> Tensor:
        in_order = (places == np.arange(self.tokens)).all()
        return x if in_order else ops.take(x, places, axis=1)


def _before(grid: tuple[int, ...], context: str) -> np.ndarray:
    """For each token the numbers of the tokens it sees, ``tokens`` for none of that kind."""
    rows, columns = grid
    none = rows * columns
    if context == "previous":
        return np.concatenate([[none], np.arange(none - 1)])[:, None].astype("int32")
    before = np.full((rows, columns, len(NEIGHBOURS)), none)
    for k, (down, right) in enumerate(NEIGHBOURS):
        for row in range(rows):
            for column in range(columns):
                i, j = row + down, column + right
                if 0 <= i < rows and 0 <= j < columns:
                    before[row, column, k] = i * columns + j
    return before.reshape(none, -1).astype("int32")
