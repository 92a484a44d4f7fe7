"""Fewer and larger nodes: factors and biases in the convolutions next to them.

Passes over the nodes of a graph or of a loop's body, which they change in place.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from export.conversion.scope import Scope, reads

SHIFTS = ("Add", "Sub")


class Part:
    """The nodes of a graph or of a loop's body, with who makes and who reads what.

    Args:
        scope: where the nodes are, all of them made.
        outputs: names that are read from outside.
    """

    def __init__(self, scope: Scope, outputs: list[str]) -> None:
        self.scope = scope
        self.outputs = set(outputs)
        self.makers = {name: node for node in scope.nodes for name in node.output}
        self.readers = Counter(name for node in scope.nodes for name in reads(node))
        for node in scope.nodes:
            # A node that reads something twice is two readers of it.
            for name, times in Counter(node.input).items():
                self.readers[name] += times - 1

    def only_reader(self, name: str) -> bool:
        """Whether just one node, and nobody outside, reads a name."""
        return self.readers[name] == 1 and name not in self.outputs

    def constant(self, name: str) -> np.ndarray | None:
        """The value of an initializer."""
        return self.scope.root.arrays.get(name)

    def by_channel(self, name: str, channels: int) -> np.ndarray | None:
        """A constant that has one value for each channel of (n, c, h, w), or one for all."""
        value = self.constant(name)
        if value is None:
            return None
        if value.size == 1:
            return np.full(channels, value.reshape(()), value.dtype)
        shape = (1,) * (4 - value.ndim) + value.shape
        return value.reshape(channels) if shape == (1, channels, 1, 1) else None

    def operands(self, node: Any, channels: int) -> tuple[str, np.ndarray] | None:
        """What a node adds or multiplies, and the constant by which; None for other nodes."""
        if len(node.input) != 2:
            return None
        for place in (1, 0):
            value = self.by_channel(node.input[place], channels)
            if value is not None and (place == 1 or node.op_type != "Sub"):
                return node.input[1 - place], value
        return None

    def remove(self, dead: set[int]) -> None:
        """Leave out nodes."""
        self.scope.nodes[:] = [node for node in self.scope.nodes if id(node) not in dead]


def fused(scope: Scope, outputs: list[str]) -> None:
    """Fuse what can be fused."""
    for fusion in (_unread, _after_convolutions, _before_convolutions, _gates, _sums, _unread):
        fusion(Part(scope, outputs))


def _unread(part: Part) -> None:
    """Leave out nodes that nobody reads."""
    needed = set(part.outputs)
    dead = set()
    for node in reversed(part.scope.nodes):
        if needed.intersection(node.output):
            needed |= reads(node)
        else:
            dead.add(id(node))
    part.remove(dead)


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


def _after_convolutions(part: Part) -> None:
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


def _before_convolutions(part: Part) -> None:
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


def _gates(part: Part) -> None:
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


def _sums(part: Part) -> None:
    """Constants that are added, or multiplied, one after the other, become one."""
    dead: set[int] = set()
    for node in part.scope.nodes:
        if node.op_type not in ("Add", "Mul"):
            continue
        while True:
            before = _chained(part, node)
            if before is None:
                break
            dead.add(id(before))
    part.remove(dead)


def _chained(part: Part, node: Any) -> Any:
    """The node of the same kind whose constant went into this one's; None if there is none."""
    operation: Callable[..., Any] = np.add if node.op_type == "Add" else np.multiply
    for place in (0, 1):
        value = part.constant(node.input[place])
        before = part.makers.get(node.input[1 - place])
        if value is None or before is None or before.op_type != node.op_type:
            continue
        if not part.only_reader(node.input[1 - place]):
            continue
        for inner in (0, 1):
            other = part.constant(before.input[inner])
            if other is None or not (
                other.size == 1 or value.size == 1 or other.shape == value.shape
            ):
                continue
            source = before.input[1 - inner]
            del node.input[:]
            node.input.extend([source, part.scope.array(operation(other, value))])
            return before
    return None


def _same_shape(a: np.ndarray, b: np.ndarray) -> bool:
    return a.shape == b.shape or 1 in (a.size, b.size)
