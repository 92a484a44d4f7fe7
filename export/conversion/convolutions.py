"""What is next to a convolution goes into it: factors, shifts, parts and their order."""

from typing import Any

import numpy as np

from export.conversion.part import Part
from export.conversion.scope import reads

SHIFTS = ("Add", "Sub")


def _kernel(part: Part, node: Any) -> np.ndarray | None:
    return part.constant(node.input[1]) if node.op_type == "Conv" else None


def _bias(part: Part, node: Any) -> np.ndarray | None:
    """The bias of a convolution, zeros without one; None if it is no constant."""
    kernel = _kernel(part, node)
    if kernel is None:
        return None
    if len(node.input) < 3:
        return np.zeros(len(kernel), kernel.dtype)
    return part.constant(node.input[2])


def _set(part: Part, node: Any, kernel: np.ndarray, bias: np.ndarray) -> None:
    source = node.input[0]
    del node.input[:]
    node.input.extend([source, part.scope.array(kernel), part.scope.array(bias)])


def after_convolutions(part: Part) -> None:
    """A shift or a factor of each channel goes into the convolution before it."""
    dead: set[int] = set()
    renamed: dict[str, Any] = {}
    for node in part.scope.nodes:
        if node.op_type not in (*SHIFTS, "Mul"):
            continue
        for name in node.input:
            conv = renamed.get(name) or part.makers.get(name)
            if conv is None or conv.op_type != "Conv" or not part.only_reader(name):
                continue
            kernel, bias = _kernel(part, conv), _bias(part, conv)
            if kernel is None or bias is None:
                continue
            found = part.operands(node, len(kernel))
            if found is None or found[0] != name:
                continue
            value = found[1]
            if node.op_type == "Mul":
                _set(part, conv, kernel * value[:, None, None, None], bias * value)
            else:
                _set(part, conv, kernel, bias + (value if node.op_type == "Add" else -value))
            conv.output[0] = node.output[0]
            renamed[node.output[0]] = conv
            dead.add(id(node))
            break
    part.remove(dead)


def of_parts(part: Part) -> None:
    """A shift or a factor of a part of the channels goes into the convolution that gave them.

    Behind it channels are told apart, ``(n, p c, h, w)`` to ``(n, p, c, h, w)``, and p is split.
    """
    dead: set[int] = set()
    renamed: dict[str, Any] = {}
    for node in part.scope.nodes:
        if node.op_type not in (*SHIFTS, "Mul"):
            continue
        for place in (0, 1):
            name, value = node.input[place], part.constant(node.input[1 - place])
            split = renamed.get(name) or part.makers.get(name)
            if split is None or split.op_type != "Split" or value is None:
                continue
            rows = _rows(part, split, name)
            if rows is None or not part.only_reader(name) or (node.op_type == "Sub" and place):
                continue
            conv, start, count, channels = rows
            shape = (1,) * (5 - value.ndim) + value.shape
            if shape[0] != 1 or shape[3:] != (1, 1) or value.ndim > 5:
                continue
            each = np.broadcast_to(value.reshape(shape[1:3]), (count, channels)).ravel()
            kernel, bias = (np.array(part.constant(i)) for i in conv.input[1:])
            stop = start + count * channels
            if node.op_type == "Mul":
                kernel[start:stop] *= each[:, None, None, None]
                bias[start:stop] *= each
            else:
                bias[start:stop] += each if node.op_type == "Add" else -each
            _set(part, conv, kernel, bias)
            split.output[list(split.output).index(name)] = node.output[0]
            renamed[node.output[0]] = split
            dead.add(id(node))
            break
    part.remove(dead)


def _rows(part: Part, split: Any, name: str) -> tuple[Any, int, int, int] | None:
    """The convolution, the first of its channels and how many by how many they are."""
    reshape = part.makers.get(split.input[0])
    axis = next((a.i for a in split.attribute if a.name == "axis"), 0)
    if axis != 1 or reshape is None or reshape.op_type != "Reshape":
        return None
    conv = part.makers.get(reshape.input[0])
    sides, sizes = part.constant(reshape.input[1]), part.constant(split.input[1])
    if conv is None or sides is None or sizes is None or len(sides) != 5:
        return None
    bias = _bias(part, conv)
    if bias is None or len(conv.input) < 3 or sides[1] * sides[2] != len(bias):
        return None
    if not part.only_reader(split.input[0]) or not part.only_reader(reshape.input[0]):
        return None
    place = list(split.output).index(name)
    return conv, int(sizes[:place].sum() * sides[2]), int(sizes[place]), int(sides[2])


def before_convolutions(part: Part) -> None:
    """A shift or a factor of each channel goes into the 1x1 convolution behind it."""
    dead: set[int] = set()
    for conv in part.scope.nodes:
        kernel, bias = _kernel(part, conv), _bias(part, conv)
        if kernel is None or bias is None or kernel.shape[2:] != (1, 1):
            continue
        pads = [a for a in conv.attribute if a.name in ("pads", "group")]
        if any(sum(a.ints) if a.name == "pads" else a.i != 1 for a in pads):
            continue
        while True:
            name = conv.input[0]
            node = part.makers.get(name)
            if node is None or node.op_type not in (*SHIFTS, "Mul") or not part.only_reader(name):
                break
            found = part.operands(node, kernel.shape[1])
            if found is None:
                break
            matrix = kernel[:, :, 0, 0]
            if node.op_type == "Mul":
                kernel = kernel * found[1][None, :, None, None]
            else:
                bias = bias + matrix @ (found[1] if node.op_type == "Add" else -found[1])
            _set(part, conv, kernel, bias)
            conv.input[0] = found[0]
            dead.add(id(node))
    part.remove(dead)


def gates(part: Part) -> None:
    """A 1x1 convolution whose channels are split becomes one for each part.

    onnxruntime keeps channels in blocks between convolutions, and a split would undo that.
    """
    import onnx

    nodes: list[Any] = []
    for node in part.scope.nodes:
        conv = part.makers.get(node.input[0]) if node.op_type == "Split" else None
        kernel = None if conv is None else _kernel(part, conv)
        bias = None if conv is None else _bias(part, conv)
        sizes = part.constant(node.input[1]) if node.op_type == "Split" else None
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        if (
            kernel is None
            or bias is None
            or sizes is None
            or axis != 1
            or len(sizes) != 2
            or kernel.shape[2:] != (1, 1)
            or not part.only_reader(node.input[0])
        ):
            nodes.append(node)
            continue
        nodes.remove(conv)
        ends = np.cumsum(sizes)
        for name, end, count in zip(node.output, ends, sizes, strict=True):
            half = onnx.NodeProto()
            half.CopyFrom(conv)
            _set(part, half, kernel[end - count : end], bias[end - count : end])
            half.output[0] = name
            nodes.append(half)
    part.scope.nodes[:] = nodes


def _range(part: Part, node: Any, channels: int) -> tuple[int, int] | None:
    """First and last channel plus 1 that a slice takes; None for other slices and nodes."""
    if node is None or node.op_type != "Slice" or len(node.input) not in (4, 5):
        return None
    values = [part.constant(name) for name in node.input[1:]]
    if any(value is None or value.size != 1 for value in values):
        return None
    start, stop, axis, *step = (int(np.ravel(value)[0]) for value in values)  # type: ignore[arg-type]
    if axis != 1 or step not in ([], [1]):
        return None
    first, last, _ = slice(start, stop).indices(channels)
    return first, last


def flips(part: Part) -> None:
    """A 1x1 convolution of two parts that changed places takes them where they were."""
    for conv in part.scope.nodes:
        kernel = _kernel(part, conv)
        joined = part.makers.get(conv.input[0]) if kernel is not None else None
        if kernel is None or joined is None or joined.op_type != "Concat":
            continue
        if kernel.shape[2:] != (1, 1) or len(joined.input) != 2 or joined.attribute[0].i != 1:
            continue
        slices = [part.makers[name] for name in joined.input if name in part.makers]
        found = [_range(part, node, kernel.shape[1]) for node in slices]
        ranges = [ends for ends in found if ends is not None]
        if len(ranges) != 2 or slices[0].input[0] != slices[1].input[0]:
            continue
        places = [place for ends in ranges for place in range(*ends)]
        if sorted(places) != list(range(kernel.shape[1])):
            continue
        moved = kernel[:, np.argsort(places)]
        conv.input[0], conv.input[1] = slices[0].input[0], part.scope.array(moved)


def halves(part: Part) -> None:
    """A 1x1 convolution that two slices take apart becomes one for each."""
    import onnx

    readers: dict[str, list[Any]] = {}
    for node in part.scope.nodes:
        for name in reads(node):
            readers.setdefault(name, []).append(node)
    made: dict[int, Any] = {}
    dead: set[int] = set()
    for conv in part.scope.nodes:
        kernel, bias = _kernel(part, conv), _bias(part, conv)
        if kernel is None or bias is None or kernel.shape[2:] != (1, 1):
            continue
        slices = readers.get(conv.output[0], [])
        found = [_range(part, node, len(kernel)) for node in slices]
        ranges = [ends for ends in found if ends is not None]
        if len(slices) != 2 or len(ranges) != 2 or conv.output[0] in part.outputs:
            continue
        for node, ends in zip(slices, ranges, strict=True):
            half = onnx.NodeProto()
            half.CopyFrom(conv)
            _set(part, half, kernel[slice(*ends)], bias[slice(*ends)])
            half.output[0] = node.output[0]
            made[id(node)] = half
        dead.add(id(conv))
    part.scope.nodes[:] = [
        made.get(id(node), node) for node in part.scope.nodes if id(node) not in dead
    ]
