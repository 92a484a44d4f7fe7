"""How causal attention sees the values of a patch, and how it maps them."""

import math
from typing import Any

import numpy as np
from keras import ops

from attnflow_keras import backend
from attnflow_keras.bijectors import FlowBijector, LogisticToNormal, MixtureLogisticCDF, ShiftScale
from attnflow_keras.core.checks import check_choice, check_integer, check_number, is_integer
from attnflow_keras.ops import loops
from attnflow_keras.ops.numerics import soft_clamp, softplus

Tensor = Any

TRANSFORMS = ("mixture", "affine")

# Of a component, relative to ``spread``: exp(-7) of 0.5 resolves a grey level some nine times,
# which float32 can still invert.
LOWEST, HIGHEST = -7.0, 2.0
HIGHEST_LINEAR = -1.0
MEAN_BOUND = 4.0
AFFINE_BOUND = 3.0
GREY_LEVEL = 1.0 / 256.0
# How far out, in units of ``spread``, values are told apart by the networks. A linear prediction
# would carry a value that no image has on to all later ones.
SEEN = 3.0
SEEN_LINEAR = 1.0
# Part of a grey level at each of its edges in which what the networks see goes to the next one.
EDGE = 1.0 / 64.0
# Steep in float32: where each value is nearly a linear function of those before it, rounding errors
# that pass a slope, as they do at a few values in a hundred, soon become grey levels.
EDGE_LINEAR = 2.0**-16


class CausalValues:
    """The map of one value, given its parameters; see :class:`CausalAttention` for arguments.

    Raises:
        ValueError: an argument out of range, or one that does not apply to ``transform``.
    """

    def __init__(
        self,
        transform: str,
        components: int,
        bins: tuple[int, ...],
        see_levels: bool,
        spread: float,
        floor: float,
        linear: bool = False,
    ) -> None:
        self.affine = check_choice("transform", transform, TRANSFORMS) == "affine"
        self.components = check_integer("components", components)
        self.bins = check_bins(bins)
        if self.bins and self.affine:
            raise ValueError(f"bins go with transform='mixture'; got transform={transform!r}")
        self.see_levels = bool(see_levels)
        self.spread = float(spread)
        self.floor = check_number("floor", floor, "(0, 1)")
        self.farthest, self.edge = (SEEN_LINEAR, EDGE_LINEAR) if linear else (SEEN, EDGE)

    @property
    def parameters(self) -> int:
        """How many a value has."""
        return 2 if self.affine else 3 * self.components + len(self.bins)

    def seen(self, x: Tensor, spread: float | None = None) -> Tensor:
        """What the networks see of values, which may be of another spread than those mapped."""
        spread = self.spread if spread is None else spread
        # Far values are all alike: what the networks make of them stays bounded.
        x = ops.clip(x, -self.farthest * spread, self.farthest * spread)
        if not self.see_levels:
            return x / spread
        level = (x + 0.5) / GREY_LEVEL
        below = backend.floor(level)
        share = level - below
        # A staircase without jumps: a rounding error next to an edge must not become a level.
        down = ops.relu(1.0 - share / self.edge)
        up = ops.relu(1.0 - (1.0 - share) / self.edge)
        return ((below + 0.5 + 0.5 * (up - down)) * GREY_LEVEL - 0.5) / spread

    def bijectors(self, given: tuple[Tensor, Any], few: bool = False) -> list[FlowBijector]:
        """The maps of values ``(n, t, 1, d)`` for parameters ``(n, t, d, outputs)``.

        Args:
            given: the parameters, and predictions with their units ``(n, t, d)`` or None.
            few: whether these are few values, see :class:`MixtureLogisticCDF`.
        """
        raw, predicted = given
        raw = _values_last(raw)
        if self.affine:
            shift, log_scale = ops.split(raw, 2, axis=-2)
            log_scale = -soft_clamp(log_scale[..., 0, :], AFFINE_BOUND)
            return [ShiftScale(-self.spread * shift[..., 0, :], log_scale)]
        k = self.components
        logits, means, log_scales = ops.split(raw, (k + len(self.bins), 2 * k + len(self.bins)), -2)
        places = np.linspace(-1.0, 1.0, k)[:, None] if k > 1 else np.zeros((1, 1))
        start = math.log(1.0 / (k + 1.0))
        if predicted is None:
            means = soft_clamp(means + ops.cast(places, raw.dtype), MEAN_BOUND)
        else:
            prediction, unit = (ops.expand_dims(ops.expand_dims(p, 2), 2) for p in predicted)
            means = soft_clamp(means + ops.cast(2.0 * places, raw.dtype), 4.0 * MEAN_BOUND)
            # Predictions are of images: what lies outside of their range is nobody's mean.
            means = ops.clip(unit * means + prediction, -1.0, 1.0)
            start = ops.log(unit) + math.log(2.0) + start
        log_scales = _limit(log_scales + start, HIGHEST if predicted is None else HIGHEST_LINEAR)
        return [
            MixtureLogisticCDF(
                logits=logits,
                means=self.spread * means,
                log_scales=log_scales + math.log(self.spread),
                floor=self.floor,
                floor_scale=0.5 * self.spread,
                bins=[b * GREY_LEVEL - 0.5 for b in self.bins],
                bin_width=GREY_LEVEL,
                few=few,
            ),
            LogisticToNormal(),
        ]

    def get_config(self) -> dict[str, Any]:
        """The arguments, as ``CausalAttention`` records them."""
        return {
            "transform": "affine" if self.affine else "mixture",
            "components": self.components,
            "bins": list(self.bins),
            "see_levels": self.see_levels,
            "spread": self.spread,
            "floor": self.floor,
        }


def check_bins(bins: Any) -> tuple[int, ...]:
    """Raise ValueError unless these are grey levels."""
    given = tuple(bins) if isinstance(bins, list | tuple) else (bins,)
    if not all(is_integer(b) and 0 <= b <= 255 for b in given):
        raise ValueError(f"bins must be grey levels, integers from 0 to 255; got {bins!r}")
    return tuple(int(b) for b in given)


def _values_last(raw: Tensor) -> Tensor:
    """Parameters ``(n, t, d, outputs)`` as ``(n, t, 1, outputs, d)``."""
    raw = ops.transpose(raw, (0, 1, 3, 2))
    if loops.for_onnx() and raw.shape[-1] != 1:
        # The converter leaves a transpose out until axes are merged. Here it must not: what
        # follows would broadcast along an axis that is stored last and has few elements, and
        # runtimes are several times slower then.
        n, t, outputs, d = ops.shape(raw)
        raw = ops.reshape(raw, (n, t, outputs * d))
        return ops.reshape(raw, (n, t, 1, outputs, d))
    return ops.expand_dims(raw, 2)


def _limit(log_scales: Tensor, highest: float) -> Tensor:
    """Keep log-scales in range; smooth at the lower end, where training goes."""
    return ops.minimum(LOWEST + softplus(log_scales - LOWEST), highest)
