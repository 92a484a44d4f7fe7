"""A matrix on the channels for each sample, in LU form."""

from typing import Any

import numpy as np
from keras import ops

from attnflow_keras.bijectors.base import FlowBijector, condition_number, value_range
from attnflow_keras.ops import loops

Tensor = Any


class SampleChannelMatmul(FlowBijector):
    """``y = W x`` at every position, ``W = R L D U``, with L, D and U of each sample's own.

    As :class:`ChannelMatmul`, of any batch size. The inverse matrices come from forward and back
    substitution over the channels.

    >>> zeros = np.zeros((3, 2, 2), "float32")
    >>> halve = bijectors.SampleChannelMatmul(
    ...     rotation=np.eye(2, dtype="float32"),
    ...     strict_lower=zeros,
    ...     log_diag=np.full((3, 2), np.log(0.5), "float32"),
    ...     strict_upper=zeros,
    ... )
    >>> y, log_det = halve.forward_and_log_det(np.ones((3, 4, 4, 2), "float32"))
    >>> np.array(y[0, 0, 0]).tolist()
    [0.5, 0.5]

    Args:
        rotation: ``(c, c)``, a fixed orthogonal matrix R.
        strict_lower: ``(n, c, c)``, L below its diagonal, which is 1; zero elsewhere.
        log_diag: ``(n, c)``, log of D's diagonal.
        strict_upper: ``(n, c, c)``, U above its diagonal, which is 1; zero elsewhere.
        name: name of the bijector.
    """

    def __init__(
        self,
        rotation: Tensor,
        strict_lower: Tensor,
        log_diag: Tensor,
        strict_upper: Tensor,
        name: str = "sample_channel_matmul",
    ) -> None:
        self.rotation = rotation
        self.strict_lower = strict_lower
        self.log_diag = log_diag
        self.strict_upper = strict_upper
        self.identity = ops.cast(np.eye(rotation.shape[0]), strict_lower.dtype)
        super().__init__(
            name=name,
            rotation=rotation,
            strict_lower=strict_lower,
            log_diag=log_diag,
            strict_upper=strict_upper,
        )

    def kernels(self) -> Tensor:
        """W as ``(n, c_out, c_in)`` matrices."""
        diagonal = ops.expand_dims(ops.exp(self.log_diag), -1)
        upper = diagonal * (self.strict_upper + self.identity)
        return ops.matmul(self.rotation, ops.matmul(self.strict_lower + self.identity, upper))

    def inverse_kernels(self) -> Tensor:
        """W^-1 as ``(n, c_in, c_out)`` matrices."""
        right = ops.broadcast_to(ops.transpose(self.rotation), ops.shape(self.strict_lower))
        half_solved = _substitute(self.strict_lower, right, backward=False)
        half_solved = half_solved * ops.expand_dims(ops.exp(-self.log_diag), -1)
        return _substitute(self.strict_upper, half_solved, backward=True)

    def forward_and_log_det(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return _apply(self.kernels(), x), self._log_det(x)

    def inverse_and_log_det(self, y: Tensor) -> tuple[Tensor, Tensor]:
        return _apply(self.inverse_kernels(), y), -self._log_det(y)

    def statistics(self) -> dict[str, Any]:
        return {
            "condition_number": condition_number(self.kernels()),
            "log_scale": value_range(self.log_diag),
        }

    def _log_det(self, x: Tensor) -> Tensor:
        return float(x.shape[1] * x.shape[2]) * ops.sum(self.log_diag, axis=-1)


def _substitute(strict: Tensor, right: Tensor, backward: bool) -> Tensor:
    """X of ``(strict + I) X = right``, for strictly triangular ``(n, c, c)`` matrices.

    One row of X a step: the last one first with ``backward``, where ``strict`` is upper
    triangular, else the first one.
    """
    count = strict.shape[-1]
    # Rows first, so that a step takes one.
    strict, right = (ops.transpose(part, (1, 0, 2)) for part in (strict, right))

    def step(i: Any, state: Any) -> Any:
        (solved,) = state  # (n, c, c), zero in the rows to come
        row = count - 1 - i if backward else i
        known = ops.matmul(ops.expand_dims(loops.at(strict, row), 1), solved)[:, 0]
        value = loops.at(right, row) - known
        place = ops.reshape(ops.one_hot(row, count, dtype=solved.dtype), (1, count, 1))
        return (solved + place * ops.expand_dims(value, 1),)

    start = ops.transpose(ops.zeros_like(right), (1, 0, 2))
    return loops.repeat(count, step, (start,))[0]


def _apply(matrices: Tensor, x: Tensor) -> Tensor:
    """Each sample's matrix on its channels, ``(n, h, w, c)``."""
    height, width, channels = x.shape[1:]
    flat = ops.reshape(x, (-1, height * width, channels))
    product = ops.matmul(flat, ops.transpose(matrices, (0, 2, 1)))
    return ops.reshape(product, (-1, height, width, channels))
