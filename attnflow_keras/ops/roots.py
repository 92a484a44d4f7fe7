"""Roots of increasing functions, element by element."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

Tensor = Any

# Steps of elements that the search does not wait for.
UNAWAITED = 4


def increasing_root(
    function: Callable[[Tensor], tuple[Tensor, Tensor]],
    target: Tensor,
    start: Tensor,
    low: Tensor,
    high: Tensor,
    steps: int,
    tolerance: float,
    unit: float,
    waits: Tensor | bool = True,
) -> Tensor:
    """Where an increasing function has a value: Newton's method inside a shrinking bracket.

    The bracket is halved where Newton's method leaves it, or did not halve the error. An element
    stays as it is from the step on that changes it by no more than the tolerance times the larger
    of its absolute value and ``unit``, or after the given steps: what others of a batch need has
    no influence on it.

    Args:
        function: from x to its value and slope.
        target: the value.
        start: the first x, in the bracket.
        low: x is at least this.
        high: x is at most this.
        steps: most steps.
        tolerance: see above.
        unit: see above.
        waits: elements that the search goes on for; others take ``UNAWAITED`` steps.
    """

    def step(i: Tensor, going: Tensor, x: Tensor, low: Tensor, high: Tensor, before: Tensor) -> Any:
        value, slope = function(x)
        error = value - target
        below = ops.less(error, 0.0)
        low = ops.where(below, x, low)
        high = ops.where(below, high, x)
        newton = x - error / slope
        inside = ops.minimum(ops.maximum(newton, low), high)
        near = tolerance * ops.maximum(ops.abs(x), unit)
        far = ops.abs(inside - x) > near
        error = ops.abs(error)
        # Rounding alone may put a root at the bracket's end out of it.
        failed = ops.logical_or(ops.abs(newton - inside) > near, error > 0.5 * before)
        moved = ops.where(ops.logical_and(failed, far), 0.5 * (low + high), inside)
        moved = ops.where(going, moved, x)
        going = ops.logical_and(going, ops.abs(moved - x) > near)
        going = ops.logical_and(going, ops.logical_or(waits, ops.less(i + 1, UNAWAITED)))
        return i + 1, going, moved, low, high, error

    return ops.while_loop(
        lambda i, going, *_: ops.logical_and(ops.any(going), ops.less(i, steps)),
        step,
        (
            ops.convert_to_tensor(0, dtype="int32"),
            ops.ones_like(start, dtype="bool"),
            start,
            low,
            high,
            ops.full_like(start, np.inf),
        ),
    )[2]
