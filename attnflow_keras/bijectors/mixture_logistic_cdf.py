"""Mixture-of-logistics CDF transformation, exact in both tails."""

import math
from typing import Any

from keras import ops

from attnflow_keras.bijectors.base import FlowBijector, value_range
from attnflow_keras.numerics import sum_event

Tensor = Any

# Every third step halves the bracket, so that 36 steps shrink it at least 4096 times even
# if Newton's method never helps; where it does, convergence is quadratic.
INVERSE_STEPS = 36


class MixtureLogisticCDF(FlowBijector):
    """``y = (logit F(x) + shift) * exp(log_scale)``, F the CDF of a mixture of logistics.

    Flow++ (arXiv:1902.00275, section 3.2) with the shift before the scale, as in mAR-SCF.
    Computed from log F and log(1 - F), never from F, which rounds to 1 in float32 some 17
    scale units above the mean.

    The inverse solves ``logit F(x) = t`` by Newton's method, safeguarded by bisection. The
    bracket is exact for every ``t``: F lies between its lowest and its highest component, so
    the solution lies between the least and the greatest component quantile
    ``mean + exp(log_scale) t``.

    Args:
        logits: ``(n, h, w, k, c)``, unnormalized log-weights of the k components.
        means: the same shape.
        log_scales: the same shape, log of the components' scales.
        shift: ``(n, h, w, c)``.
        log_scale: ``(n, h, w, c)``.
        floor: weight of one more component, a fixed standard logistic. Between narrow
            components far apart F is flat, and float32 can't tell the points there from one
            another; the floor keeps the slope up, and the inverse exact.
        name: name of the bijector.
    """

    def __init__(
        self,
        logits: Tensor,
        means: Tensor,
        log_scales: Tensor,
        shift: Tensor,
        log_scale: Tensor,
        floor: float = 0.0,
        name: str = "mixture_logistic_cdf",
    ) -> None:
        self.log_weights = ops.log_softmax(logits, axis=-2)
        self.means = means
        self.log_scales = log_scales
        if floor > 0:
            zero = ops.zeros_like(means[..., :1, :])
            weights = self.log_weights + math.log1p(-floor)
            self.log_weights = ops.concatenate([weights, zero + math.log(floor)], axis=-2)
            self.means = ops.concatenate([means, zero], axis=-2)
            self.log_scales = ops.concatenate([log_scales, zero], axis=-2)
        self.shift = shift
        self.log_scale = log_scale
        super().__init__(
            name=name,
            logits=logits,
            means=means,
            log_scales=log_scales,
            shift=shift,
            log_scale=log_scale,
        )

    def forward_and_log_det(self, x: Tensor) -> tuple[Tensor, Tensor]:
        logit, log_slope = self._logit_and_log_slope(x)
        y = (logit + self.shift) * ops.exp(self.log_scale)
        return y, sum_event(log_slope + self.log_scale)

    def inverse_and_log_det(self, y: Tensor) -> tuple[Tensor, Tensor]:
        target = y * ops.exp(-self.log_scale) - self.shift
        start = ops.stop_gradient(self._solve(target))
        # One more Newton step with a constant slope: it polishes the root, and its gradient
        # is that of the implicit function, which the search itself does not have.
        logit, log_slope = self._logit_and_log_slope(start)
        x = start - (logit - target) * ops.exp(-ops.stop_gradient(log_slope))
        log_slope = self._logit_and_log_slope(x)[1]
        return x, -sum_event(log_slope + self.log_scale)

    def statistics(self) -> dict[str, Any]:
        return {
            "log_scale": value_range(self.log_scale),
            "component_log_scale": value_range(self.parameters["log_scales"]),
        }

    def _logit_and_log_slope(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """logit F(x) and the log of its derivative, log f - log F - log(1 - F)."""
        z = (ops.expand_dims(x, -2) - self.means) * ops.exp(-self.log_scales)
        log_cdf = -ops.softplus(-z)
        log_survival = log_cdf - z
        log_pdf = log_cdf + log_survival - self.log_scales
        total_cdf = ops.logsumexp(self.log_weights + log_cdf, axis=-2)
        total_survival = ops.logsumexp(self.log_weights + log_survival, axis=-2)
        total_pdf = ops.logsumexp(self.log_weights + log_pdf, axis=-2)
        return total_cdf - total_survival, total_pdf - total_cdf - total_survival

    def _solve(self, target: Tensor) -> Tensor:
        quantiles = self.means + ops.exp(self.log_scales) * ops.expand_dims(target, -2)
        low = ops.min(quantiles, axis=-2)
        high = ops.max(quantiles, axis=-2)

        def step(i: Tensor, state: tuple[Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
            x, low, high = state
            logit, log_slope = self._logit_and_log_slope(x)
            below = ops.less(logit, target)
            low = ops.where(below, x, low)
            high = ops.where(below, high, x)
            middle = 0.5 * (low + high)
            newton = x - (logit - target) * ops.exp(
                -ops.minimum(ops.maximum(log_slope, -30.0), 30.0)
            )
            inside = ops.logical_and(ops.greater(newton, low), ops.less(newton, high))
            halve = ops.equal(ops.mod(i, 3), 2)
            use_newton = ops.logical_and(inside, ops.logical_not(halve))
            return ops.where(use_newton, newton, middle), low, high

        start = (0.5 * (low + high), low, high)
        return ops.fori_loop(0, INVERSE_STEPS, step, start)[0]
