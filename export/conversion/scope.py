"""The nodes of one ONNX graph, or of a loop's body, while they are made."""

import itertools
from typing import Any

import numpy as np

from export.conversion.values import (
    REST,
    Batch,
    Order,
    UnsupportedError,
    Value,
    between,
    constant,
    stored,
)

INT64 = np.dtype("int64")


class Scope:
    """Nodes, with the names of what they give.

    A node that was made before, here or in a graph around, is not made again.

    Args:
        outer: the scope of the graph around a loop's body.
    """

    def __init__(self, outer: "Scope | None" = None) -> None:
        self.outer = outer
        self.root: Scope = outer.root if outer else self
        self.nodes: list[Any] = []
        self.makers: dict[str, Any] = {}
        self.uses: dict[str, int] = {}
        self._made: dict[Any, list[str]] = {}
        if outer is None:
            self.initializers: dict[Any, Any] = {}
            self.arrays: dict[str, np.ndarray] = {}
            self._numbers = itertools.count()

    def new_name(self, hint: str) -> str:
        return f"{hint.lower()}_{next(self.root._numbers)}"

    def emit(self, kind: str, inputs: list[str], count: int = 1, **attributes: Any) -> list[str]:
        """Names of the outputs of a node."""
        import onnx

        key = (kind, tuple(inputs), count, repr(sorted(attributes.items())))
        scope: Scope | None = self
        while scope is not None:
            if key in scope._made:
                return scope._made[key]
            scope = scope.outer
        outputs = [self.new_name(kind) for _ in range(count)]
        node = onnx.helper.make_node(kind, inputs, outputs, **attributes)
        self.add(node)
        self._made[key] = outputs
        return outputs

    def add(self, node: Any) -> None:
        """Append a node that was made elsewhere."""
        self.nodes.append(node)
        for name in node.output:
            self.makers[name] = node

    def array(self, value: np.ndarray) -> str:
        """Name of an initializer."""
        import onnx

        value = np.ascontiguousarray(value).reshape(np.shape(value))
        key = (value.dtype.str, value.shape, value.tobytes())
        root = self.root
        if key not in root.initializers:
            name = root.new_name("constant")
            root.initializers[key] = onnx.numpy_helper.from_array(value, name)
            root.arrays[name] = value
        return root.initializers[key].name

    def integers(self, values: Any) -> str:
        return self.array(np.asarray(list(values), "int64"))

    def in_order(self, value: Value, order: Order | None) -> str:
        """Name of the array of a tensor, stored in an order."""
        value = self.materialized(value)
        wanted = order or tuple(range(value.rank))
        if value.constant is not None:
            return self.array(stored(value.constant, order))
        permutation = between(value.layout, wanted)
        if permutation == tuple(range(value.rank)):
            return value.name
        return self.emit("Transpose", [value.name], perm=list(permutation))[0]

    def plain(self, value: Value) -> str:
        """Name of the array of a tensor, stored as it is."""
        return self.in_order(value, None)

    def materialized(self, value: Value) -> Value:
        """The tensor as an array or as a constant of its full shape."""
        if value.folded is not None:
            name = self.plain(value.folded)
            rows = [-1, value.shape[-1] or 0]
            name = self.emit("Reshape", [name, self.integers(rows)])[0]
            return Value(value.shape, value.dtype, name)
        if value.sides is not None:
            name = self.vector(value.sides)
            if not value.rank:
                name = self.emit("Squeeze", [name, self.integers([0])])[0]
            if value.dtype != INT64:
                name = self.cast(name, value.dtype)
            return Value(value.shape, value.dtype, name)
        if value.constant is None or value.constant.shape == value.shape:
            return value
        full = [side for side in value.shape if side is not None]
        if len(full) == value.rank:
            return constant(np.broadcast_to(value.constant, full))
        if value.repeats is None:
            raise UnsupportedError(f"a constant of shape {value.shape}")
        target = self.shape_vector(value.repeats)
        name = self.emit("Expand", [self.array(value.constant), target])[0]
        return Value(value.shape, value.dtype, name)

    def vector(self, sides: list[Any]) -> str:
        """Name of an int64 vector of sides."""
        if REST in sides:
            raise UnsupportedError("a product of sides that are not known")
        if not any(isinstance(side, Batch) for side in sides):
            return self.integers(sides)
        parts = [
            self.emit("Shape", [side.name], start=side.axis, end=side.axis + 1)[0]
            if isinstance(side, Batch)
            else self.integers([side])
            for side in sides
        ]
        return parts[0] if len(parts) == 1 else self.emit("Concat", parts, axis=0)[0]

    def shape_vector(self, value: Value) -> str:
        """Name of the int64 array of a tensor of integers."""
        if value.sides is not None:
            return self.vector(value.sides)
        if value.constant is not None:
            return self.integers(np.ravel(value.constant))
        return self.cast(self.plain(value), INT64)

    def cast(self, name: str, dtype: Any) -> str:
        import onnx

        to = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        return self.emit("Cast", [name], to=to)[0]


def reads(node: Any) -> set[str]:
    """Names that a node, or the body of a loop, reads."""
    names = set(node.input)
    for attribute in node.attribute:
        if attribute.HasField("g"):
            for inner in attribute.g.node:
                names |= reads(inner)
            names.update(value.name for value in attribute.g.output)
    return names
