"""Operations on each element."""

from typing import Any

import numpy as np

from export.conversion.converter import Converter, converts, dtype_of, shape_of
from export.conversion.values import UnsupportedError, Value, constant

SAME = {
    "Abs": "Abs",
    "Add": "Add",
    "AddV2": "Add",
    "Asinh": "Asinh",
    "Atanh": "Atanh",
    "Ceil": "Ceil",
    "Cos": "Cos",
    "Elu": "Elu",
    "Equal": "Equal",
    "Erf": "Erf",
    "Exp": "Exp",
    "Floor": "Floor",
    "Greater": "Greater",
    "GreaterEqual": "GreaterOrEqual",
    "IsNan": "IsNaN",
    "Less": "Less",
    "LessEqual": "LessOrEqual",
    "Log": "Log",
    "LogicalAnd": "And",
    "LogicalNot": "Not",
    "LogicalOr": "Or",
    "Maximum": "Max",
    "Minimum": "Min",
    "Mul": "Mul",
    "Neg": "Neg",
    "Pow": "Pow",
    "Reciprocal": "Reciprocal",
    "Relu": "Relu",
    "SelectV2": "Where",
    "Sigmoid": "Sigmoid",
    "Sign": "Sign",
    "Sin": "Sin",
    "Sinh": "Sinh",
    "Softplus": "Softplus",
    "Sqrt": "Sqrt",
    "Sub": "Sub",
    "Tanh": "Tanh",
}
# Of two constants, which no node is needed for.
ON_CONSTANTS: dict[str, Any] = {
    "Add": np.add,
    "AddV2": np.add,
    "Exp": np.exp,
    "Mul": np.multiply,
    "Neg": np.negative,
    "Sub": np.subtract,
}


@converts(*SAME)
def _same(c: Converter, op: Any, inputs: list[Value]) -> Value:
    if op.type == "Mul" and not shape_of(op.outputs[0]):
        for value, other in (inputs, inputs[::-1]):
            if value.sides is not None and other.constant is not None and other.constant == 1:
                return value
    known = all(value.constant is not None for value in inputs)
    if known and op.type in ON_CONSTANTS:
        array = ON_CONSTANTS[op.type](*(value.constant for value in inputs))
        repeats = next((value.repeats for value in inputs if value.repeats is not None), None)
        shape = shape_of(op.outputs[0])
        if sum(value.repeats is not None for value in inputs) <= 1 or len(shape) == 1:
            return constant(array.astype(dtype_of(op.outputs[0])), shape, repeats)
    return c.elementwise(op, SAME[op.type], inputs)


@converts("RealDiv")
def _divided(c: Converter, op: Any, inputs: list[Value]) -> Value:
    value, by = inputs
    if by.constant is None or by.constant.dtype.kind != "f" or not (by.constant != 0).all():
        return c.elementwise(op, "Div", inputs)
    # A factor may go into a convolution.
    factor = constant((1.0 / by.constant).astype(by.dtype), by.shape, by.repeats)
    return c.elementwise(op, "Mul", [value, factor])


@converts("Identity", "StopGradient", "PreventGradient", "Snapshot", "CheckNumerics")
def _identity(c: Converter, op: Any, inputs: list[Value]) -> Value:
    return inputs[0]


@converts("IdentityN")
def _identities(c: Converter, op: Any, inputs: list[Value]) -> list[Value]:
    return inputs


@converts("Square")
def _square(c: Converter, op: Any, inputs: list[Value]) -> Value:
    return c.elementwise(op, "Mul", [inputs[0], inputs[0]])


@converts("SquaredDifference")
def _squared_difference(c: Converter, op: Any, inputs: list[Value]) -> Value:
    difference = c.elementwise(op, "Sub", inputs)
    return c.elementwise(op, "Mul", [difference, difference])


@converts("Rsqrt")
def _rsqrt(c: Converter, op: Any, inputs: list[Value]) -> Value:
    return c.elementwise(op, "Reciprocal", [c.elementwise(op, "Sqrt", inputs)])


@converts("LeakyRelu")
def _leaky_relu(c: Converter, op: Any, inputs: list[Value]) -> Value:
    return c.elementwise(op, "LeakyRelu", inputs, alpha=float(op.get_attr("alpha")))


@converts("NotEqual")
def _not_equal(c: Converter, op: Any, inputs: list[Value]) -> Value:
    return c.elementwise(op, "Not", [c.elementwise(op, "Equal", inputs)])


@converts("IsFinite")
def _is_finite(c: Converter, op: Any, inputs: list[Value]) -> Value:
    # Of an infinite number and of NaN this is NaN.
    zero = c.elementwise(op, "Sub", [inputs[0], inputs[0]])
    zero.dtype = inputs[0].dtype
    return c.elementwise(op, "Equal", [zero, constant(np.zeros((), inputs[0].dtype))])


@converts("FloorMod", "FloorDiv")
def _floor_mod(c: Converter, op: Any, inputs: list[Value]) -> Value:
    if inputs[0].dtype.kind not in "iu":
        raise UnsupportedError(f"{op.type} of {inputs[0].dtype}")
    # Of integers that are not negative, as in counters; ONNX's division rounds towards zero.
    if op.type == "FloorDiv" and not _is_natural(inputs[1]):
        raise UnsupportedError("FloorDiv by what may be negative")
    return c.elementwise(op, "Mod" if op.type == "FloorMod" else "Div", inputs)


def _is_natural(value: Value) -> bool:
    return value.constant is not None and bool((value.constant > 0).all())


@converts("Cast")
def _cast(c: Converter, op: Any, inputs: list[Value]) -> Value:
    import onnx

    value, dtype = inputs[0], dtype_of(op.outputs[0])
    if value.dtype == dtype:
        return value
    if value.sides is not None:
        return Value(value.shape, dtype, sides=value.sides)
    if value.constant is not None:
        return constant(value.constant.astype(dtype), value.shape, value.repeats)
    to = onnx.helper.np_dtype_to_tensor_dtype(dtype)
    if value.folded is not None:
        inner = value.folded
        name = c.scope.emit("Cast", [c.scope.in_order(inner, inner.order)], to=to)[0]
        return Value(value.shape, dtype, folded=Value(inner.shape, dtype, name, inner.order))
    return c.result(op, c.scope.emit("Cast", [value.name], to=to)[0], value.order)


@converts("AddN")
def _add_n(c: Converter, op: Any, inputs: list[Value]) -> Value:
    return c.elementwise(op, "Sum", inputs)
