"""Fewer and larger nodes: passes over the nodes of a graph or of a loop's body."""

from collections.abc import Callable
from typing import Any

import numpy as np

from export.conversion.convolutions import (
    after_convolutions,
    before_convolutions,
    flips,
    gates,
    halves,
    of_parts,
)
from export.conversion.part import Part
from export.conversion.scope import Scope, reads


def fused(scope: Scope, outputs: list[str]) -> None:
    """Fuse what can be fused, in place."""
    around = (after_convolutions, of_parts, flips, before_convolutions)
    for fusion in (unread, *around, halves, gates, clips, totals, sums, unread):
        fusion(Part(scope, outputs))


def unread(part: Part) -> None:
    """Leave out nodes that nobody reads."""
    needed = set(part.outputs)
    dead = set()
    for node in reversed(part.scope.nodes):
        if needed.intersection(node.output):
            needed |= reads(node)
        else:
            dead.add(id(node))
    part.remove(dead)


def clips(part: Part) -> None:
    """``Max(Min(x, high), low)`` of two numbers is one Clip."""
    dead: set[int] = set()
    for node in part.scope.nodes:
        if node.op_type != "Max" or len(node.input) != 2:
            continue
        low = part.constant(node.input[1])
        inner = part.makers.get(node.input[0])
        if low is None or low.size != 1 or inner is None or inner.op_type != "Min":
            continue
        high = part.constant(inner.input[1]) if len(inner.input) == 2 else None
        if high is None or high.size != 1 or low.dtype.kind != "f" or low > high:
            continue
        if not part.only_reader(node.input[0]):
            continue
        ends = [part.scope.array(value.reshape(())) for value in (low, high)]
        source = inner.input[0]
        del node.input[:]
        node.op_type = "Clip"
        node.input.extend([source, *ends])
        dead.add(id(inner))
    part.remove(dead)


def totals(part: Part) -> None:
    """Numbers in a sum of sums, of one value an image, move to its end, where they meet."""
    import onnx

    nodes: list[Any] = []
    dead: set[int] = set()
    for node in part.scope.nodes:
        number: Any = None
        summands = list(node.input)
        while node.op_type == "Add":
            found = _number(part, summands)
            if found is None:
                break
            inner, value, summands = found
            number = value if number is None else number + value
            dead.add(id(inner))
        if number is not None:
            name = part.scope.new_name("total")
            total = onnx.helper.make_node("Add", summands, [name])
            part.makers[name] = total
            part.readers[name] = 1
            nodes.append(total)
            del node.input[:]
            node.input.extend([name, part.scope.array(number)])
        nodes.append(node)
    part.scope.nodes[:] = [node for node in nodes if id(node) not in dead]


def _number(part: Part, summands: list[str]) -> tuple[Any, np.ndarray, list[str]] | None:
    """Of ``a + (b + number)``: the inner node, the number, and a and b."""
    if any(part.constant(name) is not None for name in summands):
        return None
    for place in (1, 0):
        inner = part.makers.get(summands[place])
        if inner is None or inner.op_type != "Add" or not part.only_reader(summands[place]):
            continue
        for side in (0, 1):
            value = part.constant(inner.input[side])
            if value is not None and value.size == 1:
                left = [summands[1 - place], inner.input[1 - side]]
                return inner, value, left
    return None


def sums(part: Part) -> None:
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
