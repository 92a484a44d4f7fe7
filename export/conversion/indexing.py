"""Slices, and elements by their numbers."""

from typing import Any

import numpy as np

from export.conversion.converter import Converter, converts, dtype_of, ints
from export.conversion.shapes import _dropped, _sides, _with_axis
from export.conversion.values import Batch, UnsupportedError, Value, without_axes

END = np.iinfo("int64").max


@converts("StridedSlice")
def _strided_slice(c: Converter, op: Any, inputs: list[Value]) -> Value:
    value = inputs[0]
    begin, end, strides = map(ints, inputs[1:])
    masks = {
        name: int(op.get_attr(f"{name}_mask"))
        for name in ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    }
    items = _items(begin, end, strides, masks, value.rank)
    if value.sides is not None:
        return _of_sides(op, value, items)
    value = c.scope.materialized(value)
    cut: list[tuple[int, int, int, int]] = []
    dropped: list[int] = []
    added: list[int] = []
    axis = 0
    for item in items:
        if item is None:
            added.append(axis - len(dropped) + len(added))
            continue
        if isinstance(item, int):
            dropped.append(axis)
            if value.shape[axis] != 1:
                cut.append((axis, item, END if item == -1 else item + 1, 1))
        elif item != slice(None):
            step = item.step or 1
            first = item.start if item.start is not None else (0 if step > 0 else END)
            last = item.stop if item.stop is not None else (END if step > 0 else -END)
            cut.append((axis, first, last, step))
        axis += 1
    if cut:
        axes, starts, ends, steps = zip(*cut, strict=True)
        places = [value.layout[axis] for axis in axes]
        name = c.scope.in_order(value, value.order)
        parts = [c.scope.integers(part) for part in (starts, ends, places, steps)]
        name = c.scope.emit("Slice", [name, *parts])[0]
        shape = [
            None if side is None else len(range(side)[_range(axis, cut)])
            for axis, side in enumerate(value.shape)
        ]
        shape = [1 if axis in dropped else side for axis, side in enumerate(shape)]
        value = value.with_shape(tuple(shape), value.order, name)
    value = _dropped(c, value, dropped)
    for axis in added:
        value = _with_axis(c, value, axis)
    return value


def _range(axis: int, cut: list[tuple[int, int, int, int]]) -> slice:
    for place, first, last, step in cut:
        if place == axis:
            return slice(first, None if last == -END else last, step)
    return slice(None)


def _items(
    begin: list[int], end: list[int], strides: list[int], masks: dict[str, int], rank: int
) -> list[Any]:
    """What stands between the brackets: integers, slices and None for a new axis."""
    items: list[Any] = []
    taken = sum(
        not (masks["new_axis"] >> i & 1) and not (masks["ellipsis"] >> i & 1)
        for i in range(len(begin))
    )
    for i in range(len(begin)):
        if masks["ellipsis"] >> i & 1:
            items += [slice(None)] * (rank - taken)
        elif masks["new_axis"] >> i & 1:
            items.append(None)
        elif masks["shrink_axis"] >> i & 1:
            items.append(begin[i])
        else:
            first = None if masks["begin"] >> i & 1 else begin[i]
            last = None if masks["end"] >> i & 1 else end[i]
            step = None if strides[i] == 1 else strides[i]
            items.append(slice(first or None, last, step))
    return items


def _of_sides(op: Any, value: Value, items: list[Any]) -> Value:
    if len(items) != 1 or value.sides is None:
        raise UnsupportedError("a slice of a shape")
    part = value.sides[items[0]]
    dtype = dtype_of(op.outputs[0])
    if isinstance(part, list):
        return Value((len(part),), dtype, sides=part)
    return _side(part, dtype)


def _side(part: Any, dtype: Any) -> Value:
    """One side, a number."""
    if isinstance(part, Batch):
        return Value((), dtype, sides=[part])
    return Value((), dtype, constant=np.asarray(part, dtype))


@converts("GatherV2")
def _gather(c: Converter, op: Any, inputs: list[Value]) -> Value:
    value, places, along = inputs
    if op.get_attr("batch_dims"):
        raise UnsupportedError("GatherV2 with batch_dims")
    (axis,) = ints(along)
    dtype = dtype_of(op.outputs[0])
    if value.sides is not None and places.constant is not None:
        if places.rank:
            part = [value.sides[i] for i in ints(places)]
            return Value((len(part),), dtype, sides=part)
        return _side(value.sides[ints(places)[0]], dtype)
    value = c.scope.materialized(value)
    axis %= value.rank
    indices = c.scope.plain(places)
    order, place = value.order, value.layout[axis]
    if places.rank > 1:
        order, place = None, axis
    name = c.scope.emit("Gather", [c.scope.in_order(value, order), indices], axis=place)[0]
    if places.rank == 0:
        order = without_axes(order, value.rank, {axis})
    return c.result(op, name, order)


@converts("OneHot")
def _one_hot(c: Converter, op: Any, inputs: list[Value]) -> Value:
    places, depth, on, off = inputs
    if on.constant is None or off.constant is None:
        raise UnsupportedError("OneHot of values that are not known")
    values = c.scope.array(np.stack([off.constant, on.constant]))
    count = c.scope.integers(ints(depth))
    axis = int(op.get_attr("axis"))
    name = c.scope.plain(places)
    first = c.scope.integers([0])
    if places.rank == 0:  # which ONNX's operator doesn't take
        name = c.scope.emit("Unsqueeze", [name, first])[0]
    name = c.scope.emit("OneHot", [name, count, values], axis=axis)[0]
    if places.rank == 0:
        name = c.scope.emit("Squeeze", [name, first])[0]
    return c.result(op, name)


@converts("Slice")
def _slice(c: Converter, op: Any, inputs: list[Value]) -> Value:
    value = inputs[0]
    begin, sizes = _sides(inputs[1]), _sides(inputs[2])
    if any(isinstance(side, Batch) for side in begin):
        raise UnsupportedError("a slice from a place that is not known")
    value = c.scope.materialized(value)
    axes = [i for i in range(value.rank) if begin[i] or sizes[i] not in (-1, value.shape[i])]
    axes = [i for i in axes if not isinstance(sizes[i], Batch)]
    if not axes:
        return value
    ends = [END if sizes[i] == -1 else begin[i] + sizes[i] for i in axes]
    parts = [[begin[i] for i in axes], ends, [value.layout[i] for i in axes]]
    names = [c.scope.in_order(value, value.order), *map(c.scope.integers, parts)]
    return c.result(op, c.scope.emit("Slice", names)[0], value.order)
