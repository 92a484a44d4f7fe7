"""Nodes that were made, for passes over them."""

from collections import Counter
from typing import Any

import numpy as np

from export.conversion.scope import Scope, reads


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
