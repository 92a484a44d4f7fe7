"""Mixture-of-logistics CDF transformation, exact in both tails."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from attnflow_keras.bijectors.base import FlowBijector, value_range
from attnflow_keras.ops import loops
from attnflow_keras.ops.numerics import softplus, sum_event
from attnflow_keras.ops.roots import increasing_root

Tensor = Any

# Of the components, in front of the channels.
AXIS = -2
# A step halves the bracket or the error; near the root convergence is quadratic, and few suffice.
INVERSE_STEPS = 36
# Steps in plain sums before those in logarithms, how far they go, and the logits up to which
# float32 tells 1 - F from 0.
QUICK_STEPS = 15
QUICK_TOLERANCE = 1e-3
QUICK_LOGIT = 12.0
TINY = 1e-37
SMALL = 1e-7
# Points between two quantiles at which F is evaluated at once.
POINTS = 16
# Log-density outside of a bin; finite, because graphs may multiply it by 0.
NOWHERE = -1e30
# Keeps a Newton step finite where F is flat; the bracket then takes over.
SLOPE_RANGE = (1e-13, 1e13)


class MixtureLogisticCDF(FlowBijector):
    """``y = (logit F(x) + shift) * exp(log_scale)``, F the CDF of a mixture of logistics.

    Flow++ (arXiv:1902.00275, section 3.2) with the shift before the scale, as in mAR-SCF.
    Computed from log F and log(1 - F), never from F, which rounds to 1 in float32 some 17
    scale units above the mean.

    The inverse solves ``logit F(x) = t`` by Newton's method, safeguarded by bisection. The
    bracket is exact for every ``t``: F lies between its lowest and its highest component, so
    the solution lies between the least and the greatest component quantile
    ``mean + exp(log_scale) t``.

    >>> zeros = np.zeros((1, 2, 2, 3, 1), "float32")  # 3 components
    >>> cdf = bijectors.MixtureLogisticCDF(logits=zeros, means=zeros, log_scales=zeros)
    >>> x = np.full((1, 2, 2, 1), 0.5, "float32")
    >>> y, log_det = cdf.forward_and_log_det(x)  # one standard logistic: the identity
    >>> bool(np.allclose(y, x, atol=1e-5))
    True

    Args:
        logits: ``(n, h, w, k + b, c)``, unnormalized log-weights of the k logistics and, after
            them, of the b bins.
        means: ``(n, h, w, k, c)``.
        log_scales: the same shape, log of the components' scales.
        shift: ``(n, h, w, c)``; None for 0.
        log_scale: ``(n, h, w, c)``; None for 0.
        floor: weight of one more component, a fixed logistic. Between narrow components far
            apart F is flat, and float32 can't tell the points there from one another; the floor
            keeps the slope up, and the inverse exact.
        floor_scale: scale of that component.
        bins: lower ends of b intervals; each is one more component with a uniform density. A
            grey level that is certain costs a smooth density a quarter of a bit under uniform
            dequantization noise, and a bin nothing.
        bin_width: width of each of them.
        few: whether x is small, such as one value for each image. The inverse then evaluates F at
            many points at once, which takes fewer operations than Newton's steps one by one, and
            ends when it is right to 32 units of rounding instead of 8.
        name: name of the bijector.
    """

    def __init__(
        self,
        logits: Tensor,
        means: Tensor,
        log_scales: Tensor,
        shift: Tensor | None = None,
        log_scale: Tensor | None = None,
        floor: float = 0.0,
        floor_scale: float = 1.0,
        bins: Sequence[float] = (),
        bin_width: float = 1.0,
        few: bool = False,
        name: str = "mixture_logistic_cdf",
    ) -> None:
        # Of graphs for ONNX: computed here, and not in each step of the inverse.
        self._scaled = floor > 0 and loops.for_onnx()
        if self._scaled:
            self._weights = floored_weights(logits, floor)
        self.log_weights = ops.log_softmax(logits, axis=AXIS)
        self.means = means
        self.log_scales = log_scales
        self._bins = np.reshape(np.asarray(bins, dtype="float64"), (-1, 1))
        self._bin_width = bin_width
        if floor > 0:
            # In front of the others, so that the bins stay last.
            zero = ops.zeros_like(means[..., :1, :])
            weights = self.log_weights + math.log1p(-floor)
            self.log_weights = ops.concatenate([zero + math.log(floor), weights], axis=-2)
            self.means = ops.concatenate([zero, means], axis=-2)
            self.log_scales = ops.concatenate([zero + math.log(floor_scale), log_scales], axis=-2)
        self._few = few
        if self._scaled:
            self._rates = ops.exp(-self.log_scales)
        self._unit = min(1.0, floor_scale)
        self.shift = 0.0 if shift is None else shift
        self.log_scale = ops.zeros_like(means[..., 0, :]) if log_scale is None else log_scale
        super().__init__(
            name=name,
            logits=logits,
            means=means,
            log_scales=log_scales,
            shift=self.shift,
            log_scale=self.log_scale,
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
        logit, slope = self._logit_and_slope(start)
        x = start - (logit - target) / ops.stop_gradient(slope)
        log_slope = self._logit_and_log_slope(x)[1]
        return x, -sum_event(log_slope + self.log_scale)

    def statistics(self) -> dict[str, Any]:
        return {
            "log_scale": value_range(self.log_scale),
            "component_log_scale": value_range(self.parameters["log_scales"]),
        }

    def _logit_and_log_slope(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """logit F(x) and the log of its derivative, log f - log F - log(1 - F)."""
        if self._scaled:
            return self._scaled_logit_and_log_slope(x)
        z = (ops.expand_dims(x, AXIS) - self.means) * ops.exp(-self.log_scales)
        log_cdf = -softplus(-z)
        log_survival = log_cdf - z
        log_pdf = log_cdf + log_survival - self.log_scales
        if len(self._bins):
            inside, share = self._in_bins(x)
            log_cdf = self._with(log_cdf, _log_or_nowhere(share))
            log_survival = self._with(log_survival, _log_or_nowhere(1.0 - share))
            # Two Python numbers would make float32 of float64.
            height = ops.where(inside, ops.zeros_like(share) - math.log(self._bin_width), NOWHERE)
            log_pdf = self._with(log_pdf, height)
        total_cdf = ops.logsumexp(self.log_weights + log_cdf, axis=AXIS)
        total_survival = ops.logsumexp(self.log_weights + log_survival, axis=AXIS)
        total_pdf = ops.logsumexp(self.log_weights + log_pdf, axis=AXIS)
        return total_cdf - total_survival, total_pdf - total_cdf - total_survival

    def _scaled_logit_and_log_slope(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The same from sums of probabilities, multiplied so that none underflows.

        In a runtime that does not fuse operations this takes half the time. F is multiplied by
        ``exp(lift)``, with lift the distance of the nearest component above x in its scales, and
        ``1 - F`` in the same way. The floor keeps the weight of one component up.
        """
        rates, weights = self._rates, self._weights
        bins = len(self._bins)
        logistics = weights[..., :-bins, :] if bins else weights
        z = (ops.expand_dims(x, AXIS) - self.means) * rates
        # Minus the lift of F, and the lift of 1 - F.
        lift = ops.minimum(ops.max(z, axis=AXIS, keepdims=True), 0.0)
        drop = ops.maximum(ops.min(z, axis=AXIS, keepdims=True), 0.0)
        smaller = ops.minimum(z, 0.0)
        below = ops.exp(smaller - lift)
        above = ops.exp(smaller - (z - drop))
        larger = 1.0 / (1.0 + below * above * ops.exp(lift - drop))
        below = logistics * (below * larger)
        above = above * larger
        cdf = ops.sum(below, axis=AXIS)
        survival = ops.sum(logistics * above, axis=AXIS)
        pdf = ops.sum(below * above * rates, axis=AXIS)
        if bins:
            # A bin counts where it is near, and there the components are not far.
            up = ops.exp(ops.minimum(-lift[..., 0, :], 60.0))
            down = ops.exp(ops.minimum(drop[..., 0, :], 60.0))
            in_bins = weights[..., -bins:, :]
            inside, share = self._in_bins(x)
            cdf = cdf + up * ops.sum(in_bins * share, axis=AXIS)
            survival = survival + down * ops.sum(in_bins * (1.0 - share), axis=AXIS)
            density = ops.cast(inside, x.dtype) / self._bin_width
            pdf = pdf + up * down * ops.sum(in_bins * density, axis=AXIS)
        logit = ops.log(cdf / survival) + (lift + drop)[..., 0, :]
        return logit, ops.log(pdf / (cdf * survival))

    def _in_bins(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """For each bin, whether x lies in it, and the share of it that lies below x."""
        below = ops.expand_dims(x, AXIS) - ops.cast(self._bins, x.dtype)
        inside = ops.logical_and(
            ops.greater_equal(below, 0.0), ops.less_equal(below, self._bin_width)
        )
        return inside, ops.clip(below / self._bin_width, 0.0, 1.0)

    def _with(self, logistics: Tensor, bins: Tensor) -> Tensor:
        return ops.concatenate([logistics, bins], axis=AXIS)

    def _plain_weights(self) -> Tensor:
        return self._weights if self._scaled else ops.exp(self.log_weights)

    def _solve(self, target: Tensor) -> Tensor:
        quantiles = self.means + ops.exp(self.log_scales) * ops.expand_dims(target, AXIS)
        if len(self._bins):
            share = ops.expand_dims(ops.sigmoid(target), AXIS)
            ends = ops.cast(self._bins, target.dtype) + self._bin_width * share
            quantiles = self._with(quantiles, ends)
        low = ops.min(quantiles, axis=AXIS)
        high = ops.max(quantiles, axis=AXIS)
        unit = self._unit
        rounding = float(np.finfo(keras.backend.standardize_dtype(target.dtype)).eps)
        exact = self._logit_and_slope
        if self._few:
            low, high = self._narrowed(ops.moveaxis(quantiles, -2, 0), target, low, high)
            shares = np.linspace(0.0, 1.0, POINTS + 2)[1:-1].reshape(-1, 1, 1, 1, 1)
            points = low + ops.cast(shares, low.dtype) * (high - low)
            low, high = self._narrowed(points, target, low, high)
            start = 0.5 * (low + high)
            return increasing_root(
                exact, target, start, low, high, INVERSE_STEPS, 32 * rounding, unit
            )
        # Sums of plain probabilities cost a third of sums in logarithms. They lose the tails, so
        # the exact form has the last word: it starts from a fresh bracket.
        start = ops.sum(self._plain_weights() * quantiles, axis=AXIS)
        start = ops.minimum(ops.maximum(start, low), high)
        x = increasing_root(
            self._plain_logit_and_slope(),
            target,
            start,
            low,
            high,
            QUICK_STEPS,
            QUICK_TOLERANCE,
            unit,
            waits=ops.abs(target) < QUICK_LOGIT,
        )
        x = ops.minimum(ops.maximum(x, low), high)
        return increasing_root(exact, target, x, low, high, INVERSE_STEPS, 8 * rounding, unit)

    def _narrowed(
        self, points: Tensor, target: Tensor, low: Tensor, high: Tensor
    ) -> tuple[Tensor, Tensor]:
        """The part of a bracket between those of the points, along the first axis, around x."""
        below = ops.less(self._logit_and_log_slope(points)[0], target)
        low = ops.max(ops.where(below, ops.maximum(points, low), low), axis=0)
        high = ops.min(ops.where(below, high, ops.minimum(points, high)), axis=0)
        return low, ops.maximum(low, high)

    def _logit_and_slope(self, x: Tensor) -> tuple[Tensor, Tensor]:
        logit, log_slope = self._logit_and_log_slope(x)
        return logit, ops.clip(ops.exp(ops.minimum(log_slope, 30.0)), *SLOPE_RANGE)

    def _plain_logit_and_slope(self) -> Callable[[Tensor], tuple[Tensor, Tensor]]:
        """As :meth:`_logit_and_slope`, from sums of probabilities; right where 1 - F is not 0."""
        weights = self._plain_weights()
        bins = len(self._bins)
        logistics = weights[..., :-bins, :] if bins else weights
        in_bins = weights[..., -bins:, :]
        rates = ops.exp(-self.log_scales)

        def evaluate(x: Tensor) -> tuple[Tensor, Tensor]:
            below = ops.sigmoid((ops.expand_dims(x, AXIS) - self.means) * rates)
            parts = logistics * below
            cdf = ops.sum(parts, axis=AXIS)
            pdf = ops.sum(parts * (rates - rates * below), axis=AXIS)
            if bins:
                inside, share = self._in_bins(x)
                cdf = cdf + ops.sum(in_bins * share, axis=AXIS)
                density = ops.cast(inside, x.dtype) / self._bin_width
                pdf = pdf + ops.sum(in_bins * density, axis=AXIS)
            survival = ops.maximum(1.0 - cdf, SMALL)
            cdf = ops.maximum(cdf, SMALL)
            slope = pdf / (cdf * survival)
            return ops.log(cdf / survival), ops.clip(slope, *SLOPE_RANGE)

        return evaluate


def floored_weights(logits: Tensor, floor: float) -> Tensor:
    """Weights of the floor and of the components after it, along the second axis from behind."""
    # In onnxruntime a softmax over another than the last axis moves the axes, and back.
    raw = ops.exp(logits - ops.max(logits, axis=AXIS, keepdims=True))
    raw = raw * ((1.0 - floor) / ops.sum(raw, axis=AXIS, keepdims=True))
    return ops.concatenate([ops.full_like(raw[..., :1, :], floor), raw], axis=AXIS)


def _log_or_nowhere(share: Tensor) -> Tensor:
    """Log of a share; of 0 not -inf, but less than any log-probability."""
    return ops.where(ops.greater(share, 0.0), ops.log(ops.maximum(share, TINY)), NOWHERE)
