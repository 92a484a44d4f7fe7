"""Small numerical pieces that several layers share, written in ``keras.ops``."""

import math
from typing import Any

from keras import ops

from attnflow_keras import backend
from attnflow_keras.core.checks import check_number
from attnflow_keras.ops import loops

Tensor = Any

LN2 = math.log(2.0)
LN_2PI = math.log(2.0 * math.pi)


def soft_clamp(x: Tensor, bound: float) -> Tensor:
    """Squash ``x`` smoothly into (-bound, bound); slope 1 at 0."""
    return bound * backend.tanh(x / bound)


def softplus(x: Tensor) -> Tensor:
    """``log(1 + exp(x))``, also in LiteRT, whose converter takes that literally and overflows."""
    if loops.for_litert():
        return ops.relu(x) + ops.log(1.0 + ops.exp(-ops.abs(x)))
    return ops.softplus(x)


def sinh(x: Tensor) -> Tensor:
    """Hyperbolic sine, also in LiteRT, which has none."""
    if loops.for_litert():
        grown = ops.exp(x)
        return 0.5 * (grown - 1.0 / grown)
    return backend.sinh(x)


def arcsinh(x: Tensor) -> Tensor:
    """The inverse."""
    if loops.for_litert():
        size = ops.abs(x)
        return ops.sign(x) * ops.log(size + ops.sqrt(ops.square(size) + 1.0))
    return backend.arcsinh(x)


# Where a flow's networks stop following their inputs, in standard deviations of training data.
INPUT_BOUND = 5.0
# Smallest scale of a coupling by a sigmoid.
SCALE_FLOOR = 0.25


def check_input_bound(bound: Any) -> float | None:
    """Raise ValueError unless a bound of networks' inputs is a positive number or None."""
    return check_number("input_bound", bound, "(0, inf)", none=True)


def clipped(x: Tensor, bound: float | None) -> Tensor:
    """``x`` cut at +-bound; as it is without a bound."""
    return x if bound is None else ops.clip(x, -bound, bound)


def inverse_soft_clamp(y: Any, bound: float) -> Any:
    """Value that :func:`soft_clamp` maps to ``y``; ``y`` is first clipped inside the bound."""
    limit = 0.999 * bound
    return bound * backend.arctanh(ops.clip(y, -limit, limit) / bound)


# SRFlow's scale: close to 1 at the start, and never so small that its inverse explodes.
SIGMOID_OFFSET = 2.0
SMALLEST_SCALE = 1e-4


def sigmoid_log_scale(raw: Tensor, floor: float = 0.0) -> Tensor:
    """Log of the scale ``max(sigmoid(raw + 2) + 1e-4, floor)``, at most 1.0001."""
    scale = ops.sigmoid(raw + SIGMOID_OFFSET) + SMALLEST_SCALE
    return ops.log(ops.maximum(scale, floor) if floor else scale)


def check_scale_floor(floor: float) -> float:
    """Raise ValueError unless a smallest scale is a number in [0, 1)."""
    return check_number("scale_floor", floor, "[0, 1)")


def sum_event(x: Tensor) -> Tensor:
    """Sum over height, width and channels: ``(n, h, w, c)`` to ``(n,)``."""
    return ops.sum(x, axis=(1, 2, 3))


def standard_normal_log_prob(z: Tensor) -> Tensor:
    """Sum of log N(z; 0, 1) over all but the first axis, in nats, shape ``(n,)``."""
    axes = tuple(range(1, len(z.shape)))
    size = math.prod(z.shape[1:])
    return -0.5 * (ops.sum(ops.square(z), axis=axes) + size * LN_2PI)


def event_size(shape: tuple[Any, ...]) -> Any:
    """Product of the sizes in ``shape``, which may hold tensors for dynamic axes."""
    size = 1
    for side in shape:
        size = size * side
    return size
