"""A matrix on the channels, in LU form."""

from typing import Any

from keras import ops

from attnflow_keras.bijectors.base import FlowBijector, condition_number, per_sample, value_range

Tensor = Any


class ChannelMatmul(FlowBijector):
    """``y = W x`` at every position, ``W = P L U`` (Glow, arXiv:1807.03039, section 3.2).

    The determinant is read off U's diagonal and cannot reach zero, because the diagonal is
    given by its logarithm and sign.

    >>> swap = bijectors.ChannelMatmul(
    ...     permutation=np.eye(2, dtype="float32")[::-1],
    ...     lower=np.eye(2, dtype="float32"),
    ...     strict_upper=np.zeros((2, 2), "float32"),
    ...     sign=np.ones(2, "float32"),
    ...     log_abs_diag=np.zeros(2, "float32"),
    ... )
    >>> y, log_det = swap.forward_and_log_det(np.array([[[[1.0, 2.0]]]], "float32"))
    >>> np.array(y).ravel().tolist()
    [2.0, 1.0]

    Args:
        permutation: ``(c, c)``, the fixed permutation matrix P.
        lower: ``(c, c)``, unit lower triangular L.
        strict_upper: ``(c, c)``, U above its diagonal, zero elsewhere.
        sign: ``(c,)``, fixed signs of U's diagonal.
        log_abs_diag: ``(c,)``, log|diagonal of U|.
        name: name of the bijector.
    """

    def __init__(
        self,
        permutation: Tensor,
        lower: Tensor,
        strict_upper: Tensor,
        sign: Tensor,
        log_abs_diag: Tensor,
        name: str = "channel_matmul",
    ) -> None:
        self.permutation = permutation
        self.lower = lower
        self.upper = strict_upper + ops.diag(sign * ops.exp(log_abs_diag))
        self.log_abs_diag = log_abs_diag
        super().__init__(
            name=name,
            permutation=permutation,
            lower=lower,
            strict_upper=strict_upper,
            sign=sign,
            log_abs_diag=log_abs_diag,
        )

    def kernel(self) -> Tensor:
        """W as a ``(c_out, c_in)`` matrix."""
        return ops.matmul(self.permutation, ops.matmul(self.lower, self.upper))

    def inverse_kernel(self) -> Tensor:
        """W^-1, by two triangular solves in float64.

        It depends on the weights alone, so that an exporter can fold it to a constant.
        """
        lower, upper, permutation = (
            ops.cast(m, "float64") for m in (self.lower, self.upper, self.permutation)
        )
        half_solved = ops.solve_triangular(lower, ops.transpose(permutation), lower=True)
        inverse = ops.solve_triangular(upper, half_solved, lower=False)
        return ops.cast(inverse, self.lower.dtype)

    def forward_and_log_det(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return ops.matmul(x, ops.transpose(self.kernel())), self._log_det(x)

    def inverse_and_log_det(self, y: Tensor) -> tuple[Tensor, Tensor]:
        return ops.matmul(y, ops.transpose(self.inverse_kernel())), -self._log_det(y)

    def statistics(self) -> dict[str, Any]:
        return {
            "condition_number": condition_number(self.kernel()),
            "log_scale": value_range(self.log_abs_diag),
        }

    def _log_det(self, x: Tensor) -> Tensor:
        positions = float(x.shape[1] * x.shape[2])
        return per_sample(positions * ops.sum(self.log_abs_diag), x)
