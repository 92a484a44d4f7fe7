"""Elementwise shift and scale."""

import math
from typing import Any

from keras import ops

from attnflow_keras.bijectors.base import FlowBijector, per_sample, value_range

Tensor = Any


class ShiftScale(FlowBijector):
    """``y = (x + shift) * exp(log_scale)``.

    Actnorm, affine coupling, the Gaussian priors and iMap are this map with parameters
    from different places.

    >>> double = bijectors.ShiftScale(shift=None, log_scale=np.log([2.0]).astype("float32"))
    >>> y, log_det = double.forward_and_log_det(np.ones((1, 2, 2, 1), "float32"))
    >>> float(y[0, 0, 0, 0]), round(float(log_det[0]), 3)
    (2.0, 2.773)

    Args:
        shift: broadcastable to ``x``, or None for no shift.
        log_scale: broadcastable to ``x``; of rank 4 with the batch first, or of rank 1 (one value
            per channel, the same for every sample).
        name: name of the bijector.
    """

    def __init__(self, shift: Tensor | None, log_scale: Tensor, name: str = "shift_scale") -> None:
        self.shift = shift
        self.log_scale = log_scale
        super().__init__(name=name, shift=shift, log_scale=log_scale)

    def forward_and_log_det(self, x: Tensor) -> tuple[Tensor, Tensor]:
        shifted = x if self.shift is None else x + self.shift
        return shifted * ops.exp(self.log_scale), self._log_det(x)

    def inverse_and_log_det(self, y: Tensor) -> tuple[Tensor, Tensor]:
        x = y * ops.exp(-self.log_scale)
        return (x if self.shift is None else x - self.shift), -self._log_det(y)

    def statistics(self) -> dict[str, Any]:
        return {"log_scale": value_range(self.log_scale)}

    def _log_det(self, x: Tensor) -> Tensor:
        # A scale that is shared along an axis counts once for each element along it.
        event = x.shape[1:]
        given = self.log_scale.shape[1:] if len(self.log_scale.shape) == 4 else None
        if given is None:
            repeats = _size(event) / _size(self.log_scale.shape)
            return per_sample(ops.sum(self.log_scale) * repeats, x)
        total = ops.sum(self.log_scale, axis=(1, 2, 3)) * (_size(event) / _size(given))
        return per_sample(total, x) if self.log_scale.shape[0] == 1 else total


def _size(shape: tuple[int, ...]) -> float:
    return float(math.prod(shape))
