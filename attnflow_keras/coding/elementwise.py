"""Increasing maps of single numbers with their slopes and inverses, in float64."""

from typing import Any, Protocol

import numpy as np

from attnflow_keras.bijectors.logistic_to_normal import ROOT, A, B

Values = np.ndarray

# Numbers at a time: what is made of them for each component of a mixture stays in the cache.
BLOCK = 8192
# Slopes in these bounds divide; what lies outside comes from damaged data alone.
SLOPES = (1e-12, 1e12)
# Probabilities that are less are this, whose logarithm is finite.
SMALLEST = {"float32": 1e-30, "float64": 1e-300}
# Last steps of the search for a root: the error after one of Newton's is far below it, that after
# halving a bracket is as large. Both are then far below the noise of what is coded.
LAST = {"float32": (1e-5, 1e-5), "float64": (1e-7, 1e-9)}
STEPS = {"float32": 15, "float64": 60}


class Elementwise(Protocol):
    """A map of each of m numbers."""

    def forward(self, x: Values) -> tuple[Values, Values]:
        """The values ``(m,)`` and the slopes there."""

    def inverse(self, y: Values) -> tuple[Values, Values]:
        """What has these values, and the slopes of the forward map there."""


class Scale:
    """``y = (x + shift) * factor``.

    >>> from attnflow_keras.coding.elementwise import Scale
    >>> Scale(np.ones(1), np.full(1, -2.0)).forward(np.full(1, 3.0))
    (array([-8.]), array([2.]))

    Args:
        shift: broadcastable to ``(m,)``.
        factor: not 0, broadcastable to ``(m,)``.
    """

    def __init__(self, shift: Any, factor: Any) -> None:
        self._shift = shift
        self._factor = factor

    def forward(self, x: Values) -> tuple[Values, Values]:
        """See :class:`Elementwise`; the absolute value of a slope."""
        return (x + self._shift) * self._factor, self._slopes(x)

    def inverse(self, y: Values) -> tuple[Values, Values]:
        """See :class:`Elementwise`."""
        return y / self._factor - self._shift, self._slopes(y)

    def _slopes(self, like: Values) -> Values:
        return np.broadcast_to(np.clip(np.abs(self._factor), *SLOPES), like.shape)


class MixtureLogit:
    """``y = logit F(x)``, F the CDF of a mixture of logistics and of uniform densities on bins.

    >>> from attnflow_keras.coding.elementwise import MixtureLogit
    >>> one = np.zeros((1, 1))
    >>> MixtureLogit(one, one, one).inverse(np.ones(1))[0].round(6)
    array([1.])

    Args:
        log_weights: ``(k + b, m)``, of k logistics and then of b bins.
        means: ``(k, m)``.
        log_scales: ``(k, m)``.
        bins: lower ends of the b bins.
        bin_width: width of each.
    """

    def __init__(
        self,
        log_weights: Values,
        means: Values,
        log_scales: Values,
        bins: Any = (),
        bin_width: float = 1.0,
    ) -> None:
        self._weights = np.exp(log_weights)
        self._means = means
        self._scales = np.exp(log_scales)
        self._bins = np.asarray(bins, "float64").reshape(-1, 1)
        self._width = bin_width

    def forward(self, x: Values) -> tuple[Values, Values]:
        """See :class:`Elementwise`."""
        y, slopes = np.empty(x.shape), np.empty(x.shape)
        for part in _blocks(x.size):
            y[part], slopes[part] = self._part(part)._evaluate(x[part])
        return y, slopes

    def inverse(self, y: Values) -> tuple[Values, Values]:
        """See :class:`Elementwise`."""
        x, slopes = np.empty(y.shape), np.empty(y.shape)
        for part in _blocks(y.size):
            mixture = self._part(part)
            x[part] = mixture._solve(y[part])
            slopes[part] = mixture._evaluate(x[part])[1]
        return x, slopes

    def _part(self, which: Any, dtype: str = "float64") -> "MixtureLogit":
        part = object.__new__(MixtureLogit)
        part._weights = self._weights[:, which].astype(dtype, copy=False)
        part._means = self._means[:, which].astype(dtype, copy=False)
        part._scales = self._scales[:, which].astype(dtype, copy=False)
        part._bins, part._width = self._bins.astype(dtype, copy=False), self._width
        return part

    def _evaluate(self, x: Values) -> tuple[Values, Values]:
        k = len(self._means)
        z = (x - self._means) / self._scales
        # The smaller of both tails, so that neither is a difference.
        tail = np.exp(-np.abs(z))
        large = 1.0 / (1.0 + tail)
        tail *= large
        below = np.where(z < 0.0, tail, large)
        above = np.where(z < 0.0, large, tail)
        weights = self._weights[:k]
        cdf = (weights * below).sum(axis=0)
        survival = (weights * above).sum(axis=0)
        density = (weights * (tail * large / self._scales)).sum(axis=0)
        if len(self._bins):
            share = (x - self._bins) / self._width
            inside = (share >= 0.0) & (share < 1.0)
            share = np.clip(share, 0.0, 1.0)
            in_bins = self._weights[k:]
            cdf += (in_bins * share).sum(axis=0)
            survival += (in_bins * (1.0 - share)).sum(axis=0)
            density += (in_bins * inside).sum(axis=0) / self._width
        least = SMALLEST[x.dtype.name]
        cdf, survival = np.maximum(cdf, least), np.maximum(survival, least)
        slopes = np.clip(density / cdf / survival, *SLOPES)
        return np.log(cdf) - np.log(survival), slopes

    def _solve(self, target: Values) -> Values:
        """F lies between those of its components, and so does the root."""
        quantiles = self._means + self._scales * target
        if len(self._bins):
            ends = self._bins + self._width / (1.0 + np.exp(-target))
            quantiles = np.concatenate([quantiles, ends])
        low, high = quantiles.min(axis=0), quantiles.max(axis=0)
        x = np.clip((self._weights * quantiles).sum(axis=0), low, high)
        # Most of the way in float32, which takes a third of the time.
        quick = self._part(slice(None), "float32")
        x = quick._search(*(part.astype("float32") for part in (target, x, low, high)))
        return self._search(target, np.clip(x.astype("float64"), low, high), low, high)

    def _search(self, target: Values, x: Values, low: Values, high: Values) -> Values:
        """Newton's method in a bracket that shrinks."""
        dtype = x.dtype.name
        newton_step, half_step = LAST[dtype]
        solved, now = x.copy(), self
        going = np.arange(target.size)
        before = np.full(target.shape, np.inf, dtype)
        for _ in range(STEPS[dtype]):
            value, slopes = now._evaluate(x)
            error = value - target
            low = np.where(error < 0.0, x, low)
            high = np.where(error < 0.0, high, x)
            newton = x - error / slopes
            failed = (newton < low) | (newton > high) | (np.abs(error) > 0.5 * before)
            moved = np.where(failed, 0.5 * (low + high), newton)
            solved[going] = moved
            last = np.where(failed, half_step, newton_step) * np.maximum(np.abs(moved), 1.0)
            left = np.abs(moved - x) > last
            if not left.any():
                break
            going, x, before = going[left], moved[left], np.abs(error[left])
            target, low, high = target[left], low[left], high[left]
            now = now._part(left, dtype)
        return solved


class LogisticNormal:
    """From a logistic to a normal number, as :class:`attnflow_keras.bijectors.LogisticToNormal`."""

    def forward(self, x: Values) -> tuple[Values, Values]:
        """See :class:`Elementwise`."""
        y = 2.0 * ROOT * np.sinh(np.arcsinh(x / (2.0 * B * ROOT**3)) / 3.0)
        return y, 1.0 / (A + 3.0 * B * np.square(y))

    def inverse(self, y: Values) -> tuple[Values, Values]:
        """See :class:`Elementwise`."""
        return y * (A + B * np.square(y)), 1.0 / (A + 3.0 * B * np.square(y))


class Sequence:
    """Several maps, one after the other."""

    def __init__(self, *maps: Elementwise) -> None:
        self._maps = maps

    def forward(self, x: Values) -> tuple[Values, Values]:
        """See :class:`Elementwise`."""
        slopes = np.ones(x.shape)
        for step in self._maps:
            x, slope = step.forward(x)
            slopes = slopes * slope
        return x, slopes

    def inverse(self, y: Values) -> tuple[Values, Values]:
        """See :class:`Elementwise`."""
        slopes = np.ones(y.shape)
        for step in reversed(self._maps):
            y, slope = step.inverse(y)
            slopes = slopes * slope
        return y, slopes


def _blocks(size: int) -> list[slice]:
    return [slice(start, start + BLOCK) for start in range(0, size, BLOCK)]
