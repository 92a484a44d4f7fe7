"""What bits-back coding does at each layer of a flow, on maps of integers.

A map is int64 ``(n, values)``, flat images of the layer's shape. ``encode`` goes from the image
towards the latents and ``decode`` back; each undoes the other, on the stack too.
"""

from typing import Any, Protocol

import numpy as np

from attnflow_keras.coding.elementwise import Elementwise, Scale
from attnflow_keras.coding.lifting import lift, triangular
from attnflow_keras.coding.local import UNIT, decode_map, encode_map
from attnflow_keras.coding.stack import Stack

Grid = np.ndarray


class Step(Protocol):
    """One layer, or a part of it."""

    def encode(self, stack: Stack, x: Grid) -> Grid:
        """The layer's output for its input."""

    def decode(self, stack: Stack, y: Grid) -> Grid:
        """The input for an output."""


class Move:
    """Values that change their places.

    Args:
        places: for each value of the output where it is in the input.
    """

    def __init__(self, places: np.ndarray) -> None:
        self._places = places
        self._back = np.argsort(places)

    def encode(self, stack: Stack, x: Grid) -> Grid:
        """See :class:`Step`."""
        return x[:, self._places]

    def decode(self, stack: Stack, y: Grid) -> Grid:
        """See :class:`Step`."""
        return y[:, self._back]


class Shift:
    """A number added to each value, exact on the grid.

    Args:
        shift: ``(values,)``.
    """

    def __init__(self, shift: np.ndarray) -> None:
        self._shift = np.rint(shift * UNIT).astype("int64")

    def encode(self, stack: Stack, x: Grid) -> Grid:
        """See :class:`Step`."""
        return x + self._shift

    def decode(self, stack: Stack, y: Grid) -> Grid:
        """See :class:`Step`."""
        return y - self._shift


class ScaleAll:
    """A factor for each value, the same for all images.

    Args:
        factors: ``(values,)``.
    """

    def __init__(self, factors: np.ndarray) -> None:
        self._factors = factors

    def encode(self, stack: Stack, x: Grid) -> Grid:
        """See :class:`Step`."""
        return encode_map(stack, self._map(len(x)), x.reshape(-1)).reshape(x.shape)

    def decode(self, stack: Stack, y: Grid) -> Grid:
        """See :class:`Step`."""
        return decode_map(stack, self._map(len(y)), y.reshape(-1)).reshape(y.shape)

    def _map(self, n: int) -> Elementwise:
        return Scale(0.0, np.tile(self._factors, n))


class LiftChannels:
    """A triangular matrix on the channels, with ones on its diagonal; costs no bits.

    Args:
        matrix: ``(c, c)``.
        upper: whether it is upper triangular.
    """

    def __init__(self, matrix: np.ndarray, upper: bool) -> None:
        self._matrix = matrix
        self._upper = upper

    def encode(self, stack: Stack, x: Grid) -> Grid:
        """See :class:`Step`."""
        return self._lifted(x, inverse=False)

    def decode(self, stack: Stack, y: Grid) -> Grid:
        """See :class:`Step`."""
        return self._lifted(y, inverse=True)

    def _lifted(self, x: Grid, inverse: bool) -> Grid:
        by_channel = np.ascontiguousarray(x.reshape(-1, len(self._matrix)).T)
        lifted = lift(by_channel, self._matrix, self._upper, inverse)
        return np.ascontiguousarray(lifted.T).reshape(x.shape)


class Several:
    """Steps one after the other."""

    def __init__(self, *steps: Step) -> None:
        self.steps = steps

    def encode(self, stack: Stack, x: Grid) -> Grid:
        """See :class:`Step`."""
        for step in self.steps:
            x = step.encode(stack, x)
        return x

    def decode(self, stack: Stack, y: Grid) -> Grid:
        """See :class:`Step`."""
        for step in reversed(self.steps):
            y = step.decode(stack, y)
        return y


class Conditional:
    """A map of some values, given the others.

    Args:
        changed: ``(values,)``, bool, the values that it changes.
        network: from the other values, with zeros in place of these, to what ``make`` takes.
        make: the step of the changed values for the network's outputs.
        others: the step of the other values, after that; None leaves them as they are.
    """

    def __init__(self, changed: np.ndarray, network: Any, make: Any, others: Any = None) -> None:
        self._changed = changed
        self._network = network
        self._make = make
        self._others = others

    def encode(self, stack: Stack, x: Grid) -> Grid:
        """See :class:`Step`."""
        y = x.copy()
        y[:, self._changed] = self._step(x).encode(stack, x[:, self._changed])
        if self._others is not None:
            y[:, ~self._changed] = self._others.encode(stack, x[:, ~self._changed])
        return y

    def decode(self, stack: Stack, y: Grid) -> Grid:
        """See :class:`Step`."""
        x = y.copy()
        if self._others is not None:
            x[:, ~self._changed] = self._others.decode(stack, y[:, ~self._changed])
        x[:, self._changed] = self._step(x).decode(stack, y[:, self._changed])
        return x

    def _step(self, x: Grid) -> Step:
        seen = np.where(self._changed, 0, x)
        return self._make(*self._network(seen))


class Each:
    """An elementwise map of all values.

    Args:
        f: of ``(n values,)`` numbers.
    """

    def __init__(self, f: Elementwise) -> None:
        self._f = f

    def encode(self, stack: Stack, x: Grid) -> Grid:
        """See :class:`Step`."""
        return encode_map(stack, self._f, x.reshape(-1)).reshape(x.shape)

    def decode(self, stack: Stack, y: Grid) -> Grid:
        """See :class:`Step`."""
        return decode_map(stack, self._f, y.reshape(-1)).reshape(y.shape)


class MixTokens:
    """A matrix an image on tokens, for the values of each head: lifting, scaling, lifting.

    Args:
        matrices: ``(n, heads, N, N)``, each dominated by its diagonal.
        heads: for each head where its values are among those that the step gets, ``(N, columns)``.
    """

    def __init__(self, matrices: np.ndarray, heads: list[np.ndarray]) -> None:
        self._factors = [triangular(np.moveaxis(m, 0, -1)) for m in np.moveaxis(matrices, 1, 0)]
        self._heads = heads

    def encode(self, stack: Stack, x: Grid) -> Grid:
        """See :class:`Step`."""
        y = x.copy()
        for (lower, diagonal, upper), places in zip(self._factors, self._heads, strict=True):
            rows = self._rows(x, places)
            rows = lift(rows, upper[..., None], True)
            rows = Each(_scale(diagonal, rows)).encode(stack, rows)
            self._put(y, places, lift(rows, lower[..., None], False))
        return y

    def decode(self, stack: Stack, y: Grid) -> Grid:
        """See :class:`Step`."""
        x = y.copy()
        for (lower, diagonal, upper), places in zip(
            self._factors[::-1], self._heads[::-1], strict=True
        ):
            rows = lift(self._rows(y, places), lower[..., None], False, inverse=True)
            rows = Each(_scale(diagonal, rows)).decode(stack, rows)
            self._put(x, places, lift(rows, upper[..., None], True, inverse=True))
        return x

    @staticmethod
    def _rows(x: Grid, places: np.ndarray) -> Grid:
        """``(N, n, columns)``."""
        return np.ascontiguousarray(x[:, places].transpose(1, 0, 2))

    @staticmethod
    def _put(x: Grid, places: np.ndarray, rows: Grid) -> None:
        x[:, places] = rows.transpose(1, 0, 2)


def _scale(diagonal: np.ndarray, rows: Grid) -> Elementwise:
    return Scale(0.0, np.broadcast_to(diagonal[..., None], rows.shape).reshape(-1))
