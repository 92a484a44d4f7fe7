"""Sums, means and extremes over axes."""

from typing import Any

from export.conversion.converter import Converter, converts, ints
from export.conversion.values import REST, Batch, Value, without_axes

KINDS = {
    "Max": "ReduceMax",
    "Mean": "ReduceMean",
    "Min": "ReduceMin",
    "Prod": "ReduceProd",
    "Sum": "ReduceSum",
    "All": "ReduceMin",
    "Any": "ReduceMax",
}


@converts(*KINDS)
def _reduce(c: Converter, op: Any, inputs: list[Value]) -> Value:
    import numpy as np

    value, axes = inputs[0], ints(inputs[1])
    if value.sides is not None and op.type == "Prod":
        known = [side for side in value.sides if not isinstance(side, Batch)]
        unknown = [side for side in value.sides if isinstance(side, Batch)]
        product = int(np.prod(known, dtype="int64"))
        if not unknown:
            return Value((), value.dtype, constant=np.asarray(product, value.dtype))
        side = unknown[0] if len(unknown) == 1 and product == 1 else REST
        return Value((), value.dtype, sides=[side])
    value = c.scope.materialized(value)
    axes = [axis % max(value.rank, 1) for axis in axes]
    keep = bool(op.get_attr("keep_dims"))
    name = c.scope.in_order(value, value.order)
    truth = op.type in ("All", "Any")
    if truth:
        name = c.scope.cast(name, "int32")
    places = c.scope.integers(sorted(value.layout[axis] for axis in axes))
    name = c.scope.emit(KINDS[op.type], [name, places], keepdims=int(keep))[0]
    if truth:
        name = c.scope.cast(name, "bool")
    order = value.order if keep else without_axes(value.order, value.rank, set(axes))
    return c.result(op, name, order)


@converts("Softmax", "LogSoftmax")
def _softmax(c: Converter, op: Any, inputs: list[Value]) -> Value:
    value = c.scope.materialized(inputs[0])
    name = c.scope.in_order(value, value.order)
    name = c.scope.emit(op.type, [name], axis=value.layout[-1])[0]
    return c.result(op, name, value.order)


@converts("ArgMax", "ArgMin")
def _argmax(c: Converter, op: Any, inputs: list[Value]) -> Value:
    name = c.scope.plain(inputs[0])
    (axis,) = ints(inputs[1])
    name = c.scope.emit(op.type, [name], axis=axis, keepdims=0)[0]
    return c.result(op, c.scope.cast(name, op.outputs[0].dtype.as_numpy_dtype))


@converts("Cumsum")
def _cumsum(c: Converter, op: Any, inputs: list[Value]) -> Value:
    value = c.scope.materialized(inputs[0])
    (axis,) = ints(inputs[1])
    place = c.scope.array(np_scalar(value.layout[axis]))
    name = c.scope.emit(
        "CumSum",
        [c.scope.in_order(value, value.order), place],
        exclusive=int(op.get_attr("exclusive")),
        reverse=int(op.get_attr("reverse")),
    )[0]
    return c.result(op, name, value.order)


def np_scalar(number: int) -> Any:
    """An int64 array without axes."""
    import numpy as np

    return np.asarray(number, "int64")
