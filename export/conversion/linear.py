"""Convolutions, matrix products and pooling."""

from typing import Any

import numpy as np

from export.conversion.converter import Converter, converts, shape_of
from export.conversion.values import NCHW, UnsupportedError, Value


@converts("Conv2D")
def _conv(c: Converter, op: Any, inputs: list[Value]) -> Value:
    x, kernel = inputs
    attributes = _window(op, x, shape_of(op.inputs[1])[:2])
    if kernel.constant is not None:
        weights = c.scope.array(np.transpose(kernel.constant, (3, 2, 0, 1)))
    else:
        weights = c.scope.emit("Transpose", [c.scope.plain(kernel)], perm=[3, 2, 0, 1])[0]
    dilations = [int(d) for d in op.get_attr("dilations")][1:3]
    group = (x.shape[-1] or 0) // (kernel.shape[2] or 1)
    name = c.scope.emit(
        "Conv",
        [c.scope.in_order(x, NCHW), weights],
        dilations=dilations,
        group=group,
        kernel_shape=list(kernel.shape[:2]),
        **attributes,
    )[0]
    return c.result(op, name, NCHW)


@converts("AvgPool", "MaxPool")
def _pool(c: Converter, op: Any, inputs: list[Value]) -> Value:
    window = [int(side) for side in op.get_attr("ksize")][1:3]
    kind = "AveragePool" if op.type == "AvgPool" else "MaxPool"
    attributes = _window(op, inputs[0], window)
    name = c.scope.in_order(inputs[0], NCHW)
    name = c.scope.emit(kind, [name], kernel_shape=window, **attributes)[0]
    return c.result(op, name, NCHW)


def _window(op: Any, x: Value, sides: Any) -> dict[str, Any]:
    """Strides and padding of a convolution or a pooling."""
    if op.get_attr("data_format") != b"NHWC":
        raise UnsupportedError(f"{op.type} of {op.get_attr('data_format').decode()}")
    strides = [int(s) for s in op.get_attr("strides")][1:3]
    padding = op.get_attr("padding").decode()
    if padding == "VALID":
        return {"strides": strides}
    if padding != "SAME":
        raise UnsupportedError(f"{op.type} with {padding} padding")
    if None in x.shape[1:3]:
        return {"strides": strides, "auto_pad": "SAME_UPPER"}
    dilations = [1, 1]
    if op.type == "Conv2D":
        dilations = [int(d) for d in op.get_attr("dilations")][1:3]
    before, after = [], []
    for side, window, stride, dilation in zip(x.shape[1:3], sides, strides, dilations, strict=True):
        reach = (window - 1) * dilation + 1
        steps = -(-(side or 0) // stride)
        total = max((steps - 1) * stride + reach - (side or 0), 0)
        before.append(total // 2)
        after.append(total - total // 2)
    return {"strides": strides, "pads": [*before, *after]}


@converts("BiasAdd")
def _bias(c: Converter, op: Any, inputs: list[Value]) -> Value:
    return c.elementwise(op, "Add", inputs)


@converts("MatMul")
def _matmul(c: Converter, op: Any, inputs: list[Value]) -> Value:
    a, b = inputs
    if op.get_attr("transpose_a"):
        a = _swapped(a)
    if op.get_attr("transpose_b"):
        b = _swapped(b)
    maps = a.folded
    if maps is None:
        name = c.scope.emit("MatMul", [c.scope.plain(a), c.scope.plain(b)])[0]
        return c.result(op, name)
    shape = (*maps.shape[:-1], b.shape[-1])
    if maps.rank == 4 and b.constant is not None:
        # A convolution with a kernel of one element keeps the channels first.
        kernel = c.scope.array(np.transpose(b.constant)[:, :, None, None])
        name = c.scope.in_order(maps, NCHW)
        name = c.scope.emit("Conv", [name, kernel], kernel_shape=[1, 1])[0]
        product = maps.with_shape(shape, NCHW, name)
    else:
        name = c.scope.emit("MatMul", [c.scope.plain(maps), c.scope.plain(b)])[0]
        product = maps.with_shape(shape, None, name)
    return Value(shape_of(op.outputs[0]), product.dtype, folded=product)


@converts("BatchMatMulV2")
def _batched(c: Converter, op: Any, inputs: list[Value]) -> Value:
    a, b = inputs
    if op.get_attr("adj_x"):
        a = _swapped(a)
    if op.get_attr("adj_y"):
        b = _swapped(b)
    return c.result(op, c.scope.emit("MatMul", [c.scope.plain(a), c.scope.plain(b)])[0])


@converts("Einsum")
def _einsum(c: Converter, op: Any, inputs: list[Value]) -> Value:
    equation = op.get_attr("equation").decode()
    names = [c.scope.plain(value) for value in inputs]
    return c.result(op, c.scope.emit("Einsum", names, equation=equation)[0])


def _swapped(value: Value) -> Value:
    """The tensor with its last two axes exchanged."""
    *first, rows, columns = value.shape
    if value.constant is not None:
        array = np.swapaxes(value.constant, -1, -2)
        return Value((*first, columns, rows), value.dtype, constant=array)
    if value.folded is not None or not value.name:
        raise UnsupportedError("the transpose of a matrix of a map's rows")
    *kept, second, last = value.layout
    return Value((*first, columns, rows), value.dtype, value.name, (*kept, last, second))
