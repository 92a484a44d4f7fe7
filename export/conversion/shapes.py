"""Operations that move elements: reshapes, transposes, parts and joins."""

import itertools
from typing import Any

import numpy as np

from export.conversion.converter import Converter, converts, dtype_of, ints, shape_of
from export.conversion.values import (
    REST,
    Batch,
    Order,
    UnsupportedError,
    Value,
    constant,
    groups,
    without_axes,
)


@converts("Reshape")
def _reshape(c: Converter, op: Any, inputs: list[Value]) -> Value:
    value, shape = inputs[0], shape_of(op.outputs[0])
    asked = inputs[1].sides if len(inputs) > 1 else None
    if asked is not None:
        known = [None if isinstance(side, Batch) or side == -1 else side for side in asked]
        shape = tuple(
            asked_side if found is None else found
            for asked_side, found in zip(known, shape, strict=True)
        )
    if value.folded is not None:
        value = value.folded
        if shape == value.shape:
            return value
    if value.sides is not None and len(shape) == 1:
        return value
    value = c.scope.materialized(value)
    if value.rank > 2 and len(shape) == 2 and shape[-1] == value.shape[-1] is not None:
        return Value(shape, value.dtype, folded=value)
    runs = groups(value.shape, shape)
    if runs is None or value.constant is not None:
        name, order = c.scope.plain(value), None
        sides = [-1 if side is None else side for side in shape]
    else:
        name, sides, order = _kept_in_order(c, value, shape, runs)
    if sides.count(-1) > 1:
        unknown = shape.count(None)
        if len(inputs) < 2 or (order is not None and unknown > 1):
            raise UnsupportedError(f"a reshape to {shape}")
        target = _target(c, inputs[1])
    else:
        target = c.scope.integers(sides)
    return value.with_shape(shape, order, c.scope.emit("Reshape", [name, target])[0])


def _target(c: Converter, value: Value) -> str:
    """The vector of sides of a reshape, where they are known at run time alone."""
    if value.sides is None:
        return c.scope.shape_vector(value)
    return c.scope.vector([-1 if side == REST else side for side in value.sides])


def _kept_in_order(
    c: Converter, value: Value, shape: Any, runs: list[tuple[list[int], list[int]]]
) -> tuple[str, list[int], Order | None]:
    """The array to reshape, the sides of the result's array and the order of its axes.

    Without a transpose if axes that are merged lie next to one another.
    """
    layout = value.layout
    if all(_adjoin([layout[axis] for axis in before]) for before, _ in runs):
        sequence = sorted(runs, key=lambda run: layout[run[0][0]] if run[0] else value.rank)
    elif len(shape) == 4 and runs[-1][1] == [3] and runs[0][1][:1] == [0]:
        # Channels first, as the next convolution wants them.
        sequence = [runs[0], runs[-1], *runs[1:-1]] if runs[0][1] == [0] else runs
    else:
        sequence = runs
    before = [axis for run in sequence for axis in run[0]]
    after = [axis for run in sequence for axis in run[1]]
    name = c.scope.in_order(value, tuple(before.index(axis) for axis in range(value.rank)))
    sides = [shape[axis] for axis in after]
    order = tuple(after.index(axis) for axis in range(len(shape)))
    return name, [-1 if side is None else side for side in sides], order


def _adjoin(places: list[int]) -> bool:
    return all(after == before + 1 for before, after in itertools.pairwise(places))


@converts("Transpose")
def _transpose(c: Converter, op: Any, inputs: list[Value]) -> Value:
    permutation = ints(inputs[1])
    value = c.scope.materialized(inputs[0])
    shape = tuple(value.shape[i] for i in permutation)
    if value.constant is not None:
        return constant(np.transpose(value.constant, permutation))
    order = tuple(value.layout[i] for i in permutation)
    return Value(shape, value.dtype, value.name, order)


@converts("ExpandDims")
def _expand(c: Converter, op: Any, inputs: list[Value]) -> Value:
    (axis,) = ints(inputs[1])
    value = inputs[0]
    axis %= value.rank + 1
    if value.constant is not None:
        value = c.scope.materialized(value)
    if value.constant is not None:
        return constant(np.expand_dims(value.constant, axis))
    return _with_axis(c, value, axis)


def _with_axis(c: Converter, value: Value, axis: int) -> Value:
    """The tensor with one more axis, of side 1."""
    value = c.scope.materialized(value)
    layout = value.layout
    # Next to the array's axis that the following axis is.
    place = layout[axis] if axis < value.rank else (layout[-1] + 1 if layout else 0)
    name = c.scope.in_order(value, value.order)
    name = c.scope.emit("Unsqueeze", [name, c.scope.integers([place])])[0]
    order = [i + (i >= place) for i in layout]
    order.insert(axis, place)
    shape = (*value.shape[:axis], 1, *value.shape[axis:])
    return Value(shape, value.dtype, name, tuple(order))


@converts("Squeeze")
def _squeeze(c: Converter, op: Any, inputs: list[Value]) -> Value:
    value = c.scope.materialized(inputs[0])
    axes = [axis % value.rank for axis in op.get_attr("squeeze_dims")]
    return _dropped(c, value, axes or [i for i, side in enumerate(value.shape) if side == 1])


def _dropped(c: Converter, value: Value, axes: list[int]) -> Value:
    """The tensor without some axes of side 1."""
    if not axes:
        return value
    shape = tuple(side for i, side in enumerate(value.shape) if i not in axes)
    places = sorted(value.layout[axis] for axis in axes)
    name = c.scope.in_order(value, value.order)
    name = c.scope.emit("Squeeze", [name, c.scope.integers(places)])[0]
    return Value(shape, value.dtype, name, without_axes(value.order, value.rank, set(axes)))


@converts("ConcatV2")
def _concat(c: Converter, op: Any, inputs: list[Value]) -> Value:
    *parts, along = inputs
    (axis,) = ints(along)
    known = all(part.sides is not None or part.constant is not None for part in parts)
    if known and any(part.sides is not None for part in parts):
        sides = [side for part in parts for side in _sides(part)]
        return Value((len(sides),), parts[0].dtype, sides=sides)
    rank = len(shape_of(op.outputs[0]))
    order = c.common_order(parts, rank)
    axis %= rank
    place = axis if order is None else order[axis]
    first, *rest = parts
    if rest and _is_uniform(first, axis) and all(part.constant is None for part in rest):
        names = [c.scope.in_order(part, order) for part in rest]
        name = names[0] if len(names) == 1 else c.scope.emit("Concat", names, axis=place)[0]
        margins = np.zeros((2, rank), "int64")
        margins[0, place] = first.shape[axis]
        fill = c.scope.array(np.asarray(first.constant).reshape(()))
        name = c.scope.emit("Pad", [name, c.scope.integers(margins.ravel()), fill])[0]
        return c.result(op, name, order)
    names = [c.scope.in_order(part, order) for part in parts]
    return c.result(op, c.scope.emit("Concat", names, axis=place)[0], order)


def _is_uniform(value: Value, axis: int) -> bool:
    """Whether it is one number, as often as is known along an axis."""
    return (
        value.constant is not None
        and value.constant.size == 1
        and None in value.shape
        and (value.shape[axis] is not None)
    )


def _sides(value: Value) -> list[Any]:
    return value.sides if value.sides is not None else ints(value)


@converts("Split", "SplitV")
def _split(c: Converter, op: Any, inputs: list[Value]) -> list[Value]:
    if op.type == "Split":
        along, value = inputs
    else:
        value, _, along = inputs
    (axis,) = ints(along)
    value = c.scope.materialized(value)
    axis %= value.rank
    sizes = [shape_of(tensor)[axis] for tensor in op.outputs]
    if len(sizes) == 1:
        return [value]
    if None in sizes:
        raise UnsupportedError("parts of sizes that are not known")
    names = c.scope.emit(
        "Split",
        [c.scope.in_order(value, value.order), c.scope.integers(sizes)],
        count=len(sizes),
        axis=value.layout[axis],
    )
    return [c.result(op, name, value.order, i) for i, name in enumerate(names)]


@converts("Unpack")
def _unpack(c: Converter, op: Any, inputs: list[Value]) -> list[Value]:
    value = c.scope.materialized(inputs[0])
    axis = op.get_attr("axis") % value.rank
    count = len(op.outputs)
    names = [c.scope.in_order(value, value.order)]
    if count > 1:
        sizes = c.scope.integers([1] * count)
        names = c.scope.emit("Split", [names[0], sizes], count=count, axis=value.layout[axis])
    shape = (*value.shape[:axis], 1, *value.shape[axis + 1 :])
    parts = [Value(shape, value.dtype, name, value.order) for name in names]
    return [_dropped(c, part, [axis]) for part in parts]


@converts("Pack")
def _pack(c: Converter, op: Any, inputs: list[Value]) -> Value:
    axis = op.get_attr("axis") % (inputs[0].rank + 1)
    simple = all(v.sides is not None or v.constant is not None for v in inputs)
    if simple and inputs[0].rank == 0 and inputs[0].dtype.kind == "i":
        sides = [side for value in inputs for side in _sides(value)]
        return Value((len(sides),), inputs[0].dtype, sides=sides)
    rank = inputs[0].rank + 1
    parts = [_with_axis(c, value, axis) for value in inputs]
    order = c.common_order(parts, rank)
    names = [c.scope.in_order(part, order) for part in parts]
    name = c.scope.emit("Concat", names, axis=axis if order is None else order[axis])[0]
    return c.result(op, name, order)


@converts("Pad", "PadV2", "MirrorPad")
def _pad(c: Converter, op: Any, inputs: list[Value]) -> Value:
    value = c.scope.materialized(inputs[0])
    margins = np.reshape(ints(inputs[1]), (-1, 2))
    sides = np.zeros_like(margins)
    for axis, pair in enumerate(margins):
        sides[value.layout[axis]] = pair
    names = [c.scope.in_order(value, value.order), c.scope.integers(sides.T.ravel())]
    mode = "constant"
    if op.type == "MirrorPad":
        mode = {"REFLECT": "reflect", "SYMMETRIC": "wrap"}[op.get_attr("mode").decode()]
        if mode == "wrap":
            raise UnsupportedError("symmetric padding")
    elif len(inputs) > 2:
        names.append(c.scope.plain(inputs[2]))
    return c.result(op, c.scope.emit("Pad", names, mode=mode)[0], value.order)


@converts("Tile")
def _tile(c: Converter, op: Any, inputs: list[Value]) -> Value:
    value = c.scope.materialized(inputs[0])
    if inputs[1].constant is None and inputs[1].sides is None:
        raise UnsupportedError("a tile of times that are not known")
    times = _sides(inputs[1])
    if all(time == 1 for time in times):
        return value
    placed: list[Any] = [1] * value.rank
    for axis, time in enumerate(times):
        placed[value.layout[axis]] = time
    names = [c.scope.in_order(value, value.order), c.scope.vector(placed)]
    return c.result(op, c.scope.emit("Tile", names)[0], value.order)


@converts("Shape")
def _shape(c: Converter, op: Any, inputs: list[Value]) -> Value:
    value = inputs[0]
    if value.folded is not None and None in value.shape[1:]:
        raise UnsupportedError("the shape of a matrix of rows")
    sides: list[Any] = list(value.shape)
    if None in sides:
        value = c.scope.materialized(value)
        sides = [
            Batch(value.name, value.layout[i]) if side is None else side
            for i, side in enumerate(sides)
        ]
    return Value((len(sides),), dtype_of(op.outputs[0]), sides=sides)


@converts("BroadcastTo")
def _broadcast(c: Converter, op: Any, inputs: list[Value]) -> Value:
    value, target = inputs
    shape = shape_of(op.outputs[0])
    if value.shape == shape and value.constant is None and None not in shape[1:]:
        return value
    if value.constant is not None:
        return constant(value.constant, shape, target)
    value = c.scope.materialized(value)
    name = c.scope.emit("Expand", [c.scope.plain(value), c.scope.shape_vector(target)])[0]
    return c.result(op, name)


@converts("Fill")
def _fill(c: Converter, op: Any, inputs: list[Value]) -> Value:
    target, value = inputs
    if value.constant is None:
        name = c.scope.emit("Expand", [c.scope.plain(value), c.scope.shape_vector(target)])[0]
        return c.result(op, name)
    return constant(value.constant, shape_of(op.outputs[0]), target)


@converts("ZerosLike", "OnesLike")
def _like(c: Converter, op: Any, inputs: list[Value]) -> Value:
    shape, dtype = shape_of(op.outputs[0]), dtype_of(op.outputs[0])
    number = np.asarray(op.type == "OnesLike", dtype)
    if None not in shape:
        return constant(number, shape)
    value = c.scope.materialized(inputs[0])
    sides = [
        Batch(value.name, value.layout[i]) if side is None else side for i, side in enumerate(shape)
    ]
    return constant(number, shape, Value((len(sides),), "int64", sides=sides))
