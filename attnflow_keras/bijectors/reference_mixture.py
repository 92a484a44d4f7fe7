"""The mixture CDF with the rounding of mAR-SCF's own code: a diagnostic."""

from typing import Any

from keras import ops

from attnflow_keras.bijectors.mixture_logistic_cdf import AXIS, MixtureLogisticCDF
from attnflow_keras.ops.numerics import sum_event

Tensor = Any

# Where its logarithms are cut.
LEAST = 1e-22


class ReferenceMixtureLogisticCDF(MixtureLogisticCDF):
    """:class:`MixtureLogisticCDF` whose forward pass computes F itself, as mAR-SCF's code does.

    ``logit F = -log(1 / F - 1)`` and ``-log F - log(1 - F)``, with logarithms cut at 1e-22. In
    float32 F rounds to 1 some 17 scale units above a component's mean: y is constant there, and
    the log-determinant about 50 too large. It is **no density**: scores by it say only how much
    of a model's bits/dim is rounding. The inverse is the exact one.

    >>> zeros = np.zeros((1, 1, 1, 1, 1), "float32")
    >>> cdf = bijectors.ReferenceMixtureLogisticCDF(zeros, zeros, zeros)  # one logistic: y = x
    >>> y, log_det = cdf.forward_and_log_det(np.full((1, 1, 1, 1), 18.0, "float32"))
    >>> round(float(log_det[0]), 2)  # 0 is right
    32.66
    """

    def forward_and_log_det(self, x: Tensor) -> tuple[Tensor, Tensor]:
        z = (ops.expand_dims(x, AXIS) - self.means) * ops.exp(-self.log_scales)
        log_cdf = ops.log_sigmoid(z)
        log_pdf = log_cdf + ops.log_sigmoid(-z) - self.log_scales
        cdf = ops.exp(ops.logsumexp(self.log_weights + log_cdf, axis=AXIS))
        log_slope = ops.logsumexp(self.log_weights + log_pdf, axis=AXIS)
        log_slope = log_slope - _log(cdf) - _log(1.0 - cdf)
        y = (-_log(1.0 / cdf - 1.0) + self.shift) * ops.exp(self.log_scale)
        return y, sum_event(log_slope + self.log_scale)


def _log(x: Tensor) -> Tensor:
    return ops.log(ops.maximum(x, LEAST))
