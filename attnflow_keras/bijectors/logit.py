"""Float images to the whole real line."""

import math
from typing import Any

from keras import ops

from attnflow_keras.bijectors.base import FlowBijector
from attnflow_keras.ops.numerics import sum_event

Tensor = Any


class Logit(FlowBijector):
    """``logit(margin + (1 - 2 margin) (x + 1/2))`` in [-1/2, 1/2], a straight line beyond.

    >>> y, log_det = bijectors.Logit(0.05).forward_and_log_det(np.zeros((1, 2, 2, 1)))
    >>> float(np.abs(y).max())
    0.0

    Args:
        margin: what is left of [0, 1] at each end.
        name: name of the bijector.
    """

    def __init__(self, margin: float, name: str = "logit") -> None:
        self.margin = margin
        self.width = 1.0 - 2.0 * margin
        self.edge = math.log((1.0 - margin) / margin)
        self.slope = self.width / (margin * (1.0 - margin))
        super().__init__(name=name, margin=margin)

    def forward_and_log_det(self, x: Tensor) -> tuple[Tensor, Tensor]:
        # By symmetry half of the line: the distance of the other end has no cancellation.
        sign = _sign(x)
        size = sign * x
        inside = ops.minimum(size, 0.5)
        rest = self.margin + self.width * (0.5 - inside)
        log_rest, log_other = ops.log(rest), ops.log1p(-rest)
        y = log_other - log_rest + self.slope * (size - inside)
        return sign * y, sum_event(math.log(self.width) - log_rest - log_other)

    def inverse_and_log_det(self, y: Tensor) -> tuple[Tensor, Tensor]:
        sign = _sign(y)
        size = sign * y
        inside = ops.minimum(size, self.edge)
        rest = ops.sigmoid(-inside)
        x = 0.5 - (rest - self.margin) / self.width + (size - inside) / self.slope
        return sign * x, sum_event(ops.log(rest) + ops.log1p(-rest) - math.log(self.width))


def _sign(x: Tensor) -> Tensor:
    """1 or -1, also of 0, where the slope is to be that of its surroundings."""
    return ops.where(ops.less(x, 0.0), -ops.ones_like(x), ops.ones_like(x))
