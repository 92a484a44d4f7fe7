"""Even columns beside odd ones."""

from typing import Any

from keras import ops

from attnflow_keras.bijectors.base import FlowBijector, per_sample

Tensor = Any


class SplitColumns(FlowBijector):
    """``(h, w, c)`` to ``(h, w / 2, 2 c)``: channels of even columns first, then of odd ones.

    >>> y, _ = bijectors.SplitColumns().forward_and_log_det(np.arange(4.0).reshape(1, 1, 4, 1))
    >>> np.array(y).tolist()
    [[[[0.0, 1.0], [2.0, 3.0]]]]

    Args:
        name: name of the bijector.
    """

    def __init__(self, name: str = "split_columns") -> None:
        super().__init__(name=name)

    def forward_and_log_det(self, x: Tensor) -> tuple[Tensor, Tensor]:
        n, h, w, c = ops.shape(x)
        return ops.reshape(x, (n, h, w // 2, 2 * c)), _zeros(x)

    def inverse_and_log_det(self, y: Tensor) -> tuple[Tensor, Tensor]:
        n, h, w, c = ops.shape(y)
        return ops.reshape(y, (n, h, 2 * w, c // 2)), _zeros(y)


def _zeros(x: Tensor) -> Tensor:
    return per_sample(ops.zeros((), dtype=x.dtype), x)
