"""Padding that a network can see."""

from typing import Any

from keras import ops

Tensor = Any


def pad_with_edges(x: Tensor, margin: int = 1) -> Tensor:
    """Pad a map with zeros, and add a channel that is 1 in the padding and 0 inside.

    Glow's own code pads this way (arXiv:1807.03039).

    Args:
        x: ``(n, h, w, c)``.
        margin: rows and columns to add on each side.

    Returns:
        ``(n, h + 2 margin, w + 2 margin, c + 1)``.
    """
    sides = ((0, 0), (margin, margin), (margin, margin), (0, 0))
    edge = ops.pad(ops.zeros_like(x[..., :1]), sides, constant_values=1.0)
    return ops.concatenate([ops.pad(x, sides), edge], axis=-1)
