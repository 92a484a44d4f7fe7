"""Tensors of a graph that is being converted, and the orders in which their axes are stored."""

import math
from typing import Any, NamedTuple

import numpy as np

Shape = tuple[int | None, ...]
Order = tuple[int, ...]

# Channels first, which ONNX's convolutions have: axis i of (n, h, w, c) is stored as NCHW[i].
NCHW: Order = (0, 2, 3, 1)


class UnsupportedError(Exception):
    """An operation, or a form of one, that this converter doesn't know; the message says which."""


class Batch(NamedTuple):
    """A side that is known at run time: that of an axis of a stored array."""

    name: str
    axis: int


# What is left for a side of a reshaped tensor.
REST = Batch("", -1)


class Value:
    """A tensor of the TensorFlow graph as ONNX has it.

    Args:
        shape: its shape; None where a side is not known.
        dtype: of its elements.
        name: of the array in the ONNX graph; "" for one that does not exist there.
        order: axis i of the tensor is axis ``order[i]`` of the array; None where they are the
            same.
        constant: its value, which may have sides of 1 where the tensor repeats it.
        sides: of a vector that is a shape, integers and ``Batch``.
        folded: the array of a map or of tokens, of which the tensor is the matrix of rows.
        repeats: the vector of the sides that the constant is repeated to.
    """

    def __init__(
        self,
        shape: Shape,
        dtype: Any,
        name: str = "",
        order: Order | None = None,
        constant: np.ndarray | None = None,
        sides: list[Any] | None = None,
        folded: "Value | None" = None,
        repeats: "Value | None" = None,
    ) -> None:
        self.shape = tuple(shape)
        self.dtype = np.dtype(dtype)
        self.name = name
        self.order = None if order == tuple(range(len(self.shape))) else order
        self.constant = constant
        self.sides = sides
        self.folded = folded
        self.repeats = repeats

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def layout(self) -> Order:
        """The order of its axes, never None."""
        return self.order or tuple(range(self.rank))

    def with_shape(self, shape: Shape, order: Order | None, name: str) -> "Value":
        """An array made from this one."""
        return Value(shape, self.dtype, name, order)


def constant(value: Any, shape: Shape | None = None, repeats: Value | None = None) -> Value:
    """A constant, which a tensor of another shape may repeat."""
    value = np.asarray(value)
    return Value(
        value.shape if shape is None else shape, value.dtype, constant=value, repeats=repeats
    )


def inverse(order: Order) -> Order:
    """The permutation that undoes one."""
    return tuple(int(i) for i in np.argsort(order))


def between(now: Order, wanted: Order) -> Order:
    """``perm`` of a Transpose from an array stored in one order to the same tensor in another."""
    return tuple(now[i] for i in inverse(wanted))


def stored(array: np.ndarray, order: Order | None) -> np.ndarray:
    """A constant as an array in this order."""
    return array if order is None else np.transpose(array, inverse(order))


def without_axes(order: Order | None, rank: int, axes: set[int]) -> Order | None:
    """The order of a tensor that lost some axes."""
    left = [(order or tuple(range(rank)))[i] for i in range(rank) if i not in axes]
    return tuple(sorted(left).index(place) for place in left)


def size(shape: Shape) -> int:
    """Elements, with 1 for sides that are not known."""
    return math.prod(1 if side is None else side for side in shape)


def groups(before: Shape, after: Shape) -> list[tuple[list[int], list[int]]] | None:
    """Which axes of a tensor become which of a reshaped one, in the shortest runs.

    None where that isn't known: unknown sides other than one of each at the same place. One of
    the two lists of a run is empty where only sides of 1 are left.
    """
    found: list[tuple[list[int], list[int]]] = []
    i = j = 0
    while i < len(before) or j < len(after):
        if i < len(before) and j < len(after) and before[i] is None and after[j] is None:
            found.append(([i], [j]))
            i, j = i + 1, j + 1
            continue
        left, right = i, j
        product = [1, 1]
        while (
            product[0] != product[1]
            or (left == i and i < len(before))
            or (right == j and j < len(after))
        ):
            first = left < len(before) and (product[0] <= product[1] or right == len(after))
            side = before[left] if first else after[right] if right < len(after) else None
            if side is None:
                return None
            product[0 if first else 1] *= side
            left, right = left + first, right + (not first)
        found.append((list(range(i, left)), list(range(j, right))))
        i, j = left, right
    return found
