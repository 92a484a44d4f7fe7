"""One graph, or the body of a loop, operation by operation."""

from collections.abc import Callable
from typing import Any

import numpy as np

from export.conversion.scope import Scope
from export.conversion.tracing import constant_operations, evaluate
from export.conversion.values import Order, Shape, UnsupportedError, Value, constant, size

Handler = Callable[["Converter", Any, list[Value]], Any]

HANDLERS: dict[str, Handler] = {}


def converts(*kinds: str) -> Callable[[Handler], Handler]:
    """Register a handler for TensorFlow operations of these types.

    It takes the converter, the operation and the values of its inputs, and gives the value of its
    output, or a list of those of all outputs.
    """

    def register(handler: Handler) -> Handler:
        HANDLERS.update(dict.fromkeys(kinds, handler))
        return handler

    return register


class Converter:
    """Conversion of some tensors of a graph.

    Args:
        graph: the TensorFlow graph.
        scope: where the nodes go.
        given: name of a tensor of the graph -> its value; those of inputs, and constants.
    """

    def __init__(self, graph: Any, scope: Scope, given: dict[str, Value]) -> None:
        self.graph = graph
        self.scope = scope
        self.values = dict(given)

    def convert(self, wanted: list[Any]) -> list[Value]:
        """Values of tensors of the graph."""
        known = {
            name: value.constant
            for name, value in self.values.items()
            if value.constant is not None and value.constant.shape == value.shape
        }
        constants = constant_operations(self.graph, known)
        needed, frontier = self._needed(wanted, constants)
        for name, array in evaluate(self.graph, frontier, known).items():
            self.values[name] = constant(array)
        for op in self.graph.get_operations():
            if op.name in needed:
                self._convert(op)
        return [self.values[tensor.name] for tensor in wanted]

    def _needed(self, wanted: list[Any], constants: set[str]) -> tuple[set[str], list[str]]:
        """Operations to convert, and the constants that they take."""
        needed: set[str] = set()
        frontier: dict[str, None] = {}
        left = list(wanted)
        while left:
            tensor = left.pop()
            if tensor.op.name in constants:
                if tensor.name not in self.values:
                    frontier[tensor.name] = None
            elif tensor.op.name not in needed and tensor.name not in self.values:
                needed.add(tensor.op.name)
                left += tensor.op.inputs[:1] if _is_static_reshape(tensor.op) else tensor.op.inputs
        return needed, list(frontier)

    def _convert(self, op: Any) -> None:
        handler = HANDLERS.get(op.type)
        if handler is None:
            raise UnsupportedError(f"operation {op.type} ({op.name})")
        inputs = op.inputs[:1] if _is_static_reshape(op) else op.inputs
        outputs = handler(self, op, [self.values[tensor.name] for tensor in inputs])
        if not isinstance(outputs, list):
            outputs = [outputs]
        for tensor, value in zip(op.outputs, outputs, strict=False):
            self.values[tensor.name] = value

    def result(self, op: Any, name: str, order: Order | None = None, index: int = 0) -> Value:
        """The value of an output of an operation, as an array."""
        tensor = op.outputs[index]
        return Value(shape_of(tensor), dtype_of(tensor), name, order)

    def common_order(self, values: list[Value], rank: int) -> Order | None:
        """The order in which the largest of these tensors is stored."""
        full = [v for v in values if v.constant is None and v.rank == rank and v.sides is None]
        if not full:
            return None
        # Of equal ones that which is not as TensorFlow has it: it is next to a convolution.
        return max(full, key=lambda v: (size(v.shape), v.order is not None)).order

    def operand(self, value: Value, order: Order | None, shape: Shape, scalars: bool) -> str:
        """Name of an array that broadcasts against tensors of a shape, stored in an order.

        With ``scalars`` another array has the full rank.
        """
        rank = len(shape)
        if value.constant is not None:
            array = value.constant
            last = shape[order.index(rank - 1) if order else -1] if rank else None
            # Where the last side is 1, onnxruntime takes one element at a time of a number
            # without axes, which takes some forty times as long.
            if array.size == 1 and scalars and last != 1:
                return self.scope.array(array.reshape(()))
            array = array.reshape((1,) * (rank - array.ndim) + array.shape)
            return self.scope.in_order(constant(array), order)
        missing = rank - value.rank
        if not missing:
            return self.scope.in_order(value, order)
        name = self.scope.plain(value)
        if order is None or value.rank == 0:
            return name
        name = self.scope.emit("Unsqueeze", [name, self.scope.integers(range(missing))])[0]
        full = Value((1,) * missing + value.shape, value.dtype, name)
        return self.scope.in_order(full, order)

    def elementwise(self, op: Any, kind: str, inputs: list[Value], **attributes: Any) -> Value:
        """An operation of ONNX that broadcasts its inputs."""
        shape = shape_of(op.outputs[0])
        rank = len(shape)
        for value, other in (inputs, inputs[::-1]) if len(inputs) == 2 else ():
            # Whose neutral element is on the right where the order counts.
            right = other is inputs[1]
            if value.constant is None and value.shape == shape and _is_neutral(kind, other, right):
                return value
        inputs = [self._repeated(value, inputs, shape) for value in inputs]
        order = self.common_order(inputs, rank)
        full = any(value.constant is None and value.rank == rank for value in inputs)
        names = [self.operand(value, order, shape, full) for value in inputs]
        return self.result(op, self.scope.emit(kind, names, **attributes)[0], order)

    def _repeated(self, value: Value, inputs: list[Value], shape: Any) -> Value:
        """The input as it is unless only it gives the result its batch."""
        if value.constant is None or value.constant.shape == value.shape:
            return value
        others = [v for v in inputs if v.constant is None and v.rank == len(shape)]
        for axis, side in enumerate(shape):
            if side is None and not any(v.shape[axis] is None for v in others):
                return self.scope.materialized(value)
        return value


def shape_of(tensor: Any) -> tuple[int | None, ...]:
    """Static shape of a tensor."""
    if tensor.shape.rank is None:
        raise UnsupportedError(f"a tensor of unknown rank ({tensor.name})")
    return tuple(tensor.shape)


def dtype_of(tensor: Any) -> np.dtype:
    """NumPy's dtype of a tensor."""
    return np.dtype(tensor.dtype.as_numpy_dtype)


def ints(value: Value) -> list[int]:
    """A constant vector, or a number, of integers."""
    if value.constant is None:
        raise UnsupportedError("axes or sizes that are not known before run time")
    return [int(i) for i in np.ravel(value.constant)]


def _is_neutral(kind: str, value: Value, right: bool) -> bool:
    if value.constant is None or value.constant.size != 1:
        return False
    neutral = {"Mul": 1, "Div": 1, "Add": 0, "Sub": 0}.get(kind)
    return (
        neutral is not None
        and bool(value.constant == neutral)
        and (right or kind in ("Mul", "Add"))
    )


def _is_static_reshape(op: Any) -> bool:
    if op.type != "Reshape" or op.outputs[0].shape.rank is None:
        return False
    sides = tuple(op.outputs[0].shape)
    return sum(side is None for side in sides) <= 1 and 0 not in sides
