"""Mixture-of-logistics CDF coupling."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from attnflow_keras import backend
from attnflow_keras.bijectors import MixtureLogisticCDF, ReferenceMixtureLogisticCDF
from attnflow_keras.core.checks import check_choice, check_integer, check_number, is_number
from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.layers.causal_values import GREY_LEVEL, check_bins
from attnflow_keras.layers.coupling import NetworkCoupling
from attnflow_keras.networks.conditioner import Conditioner
from attnflow_keras.ops import loops
from attnflow_keras.ops.numerics import soft_clamp, softplus
from attnflow_keras.ops.step_noise import StepNoise

Tensor = Any

# In units of a channel's standard deviation. exp(-9) resolves one grey level of eight-bit
# images some fifty times; the other limits keep decode finite and F steep enough to invert
# for any network output.
SMALLEST_LOG_SCALE = -9.0
# Further limits of new flows: what trained ones need of the scales on real images, and no more.
COMPONENT_BOUND = 0.7
FINAL_RANGE = (-1.3, 0.7)
# What a configuration means that does not state them.
UNSTATED: dict[str, Any] = {"component_bound": 3.0, "final_range": None}
MEAN_BOUND = 8.0
PAPER_LOG_SCALE_MIN = -7.0
FORMS = ("stable", "paper")
NUMERICS = {"exact": MixtureLogisticCDF, "reference": ReferenceMixtureLogisticCDF}


@keras.saving.register_keras_serializable(package="attnflow_keras")
@records_arguments
class MixtureCoupling(NetworkCoupling):
    """Coupling by the CDF of a mixture of logistics (Flow++, arXiv:1902.00275; mAR-SCF).

    ``y_a = (logit F(x_a) + b) exp(a)`` with F's ``components`` weights, means and scales, a
    and b from the network on ``x_b``. The network's outputs are added to fixed starting
    values: means spread over (-1.5, 1.5) and scales of 0.6, so that components differ from the
    first step on. Means, scales and a are softly bounded, so that the map can be inverted in
    float32 for any output of the network.

    ``form="paper"`` is mAR-SCF's: no starting values, ``a = tanh``, log-scales clipped at -7 from
    below, means and scales otherwise unbounded, no floor. Far from all components, or between
    narrow ones, its inverse in float32 is not exact.

    >>> layer = layers.MixtureCoupling(networks.GatedConvNet(width=8), components=3)
    >>> x = np.zeros((2, 4, 4, 6), "float32")
    >>> y, log_det = layer(x)
    >>> tuple(y.shape), tuple(log_det.shape)
    ((2, 4, 4, 6), (2,))

    Args:
        conditioner: the network, ``2 + 3 components + bins`` outputs per transformed channel, with
            the parameter index as the slow axis: a, b, weights, means, log-scales.
        components: number of logistics in the mixture.
        form: ``"stable"`` or ``"paper"``.
        log_scale_bound: soft bound of the final log-scale ``a``; no effect in the paper's form.
        floor: weight of a fixed standard logistic in the mixture, which keeps F invertible in
            float32 between narrow components; costs at most ``-log2(1 - floor)`` bits per
            dimension; no effect in the paper's form.
        rescale: multiply ``a`` by ``g v / |v|``, a learned factor per channel (mAR-SCF).
        component_bound: maximum log-scale of the components. Where wide ones meet, F is flat, and
            the inverse amplifies rounding; no effect in the paper's form.
        final_range: minimum and maximum of ``a``, clipped after the soft bound, or None. They
            bound the amplification of the map and its inverse; no effect in the paper's form.
        bins: grey levels, 0 to 255, that get a uniform component each, as in
            :class:`CausalAttention`; only where the input are float images
            ``(k + u) / 256 - 0.5``, in front of any layer that mixes or scales them.
        spread: size of typical inputs, in which means and scales of the components are measured.
        numerics: ``"exact"``, or ``"reference"`` for mAR-SCF's rounding in float32, which is no
            density: a diagnostic, see :class:`ReferenceMixtureLogisticCDF`; without bins.
        **kwargs: arguments of :class:`FlowLayer`.
    """

    def __init__(
        self,
        conditioner: Conditioner,
        components: int = 4,
        form: str = "stable",
        log_scale_bound: float = 2.0,
        floor: float = 0.002,
        rescale: bool = False,
        component_bound: float = COMPONENT_BOUND,
        final_range: tuple[float, float] | None = FINAL_RANGE,
        bins: tuple[int, ...] = (),
        spread: float = 1.0,
        numerics: str = "exact",
        **kwargs: Any,
    ) -> None:
        super().__init__(conditioner, **kwargs)
        check_choice("form", form, FORMS)
        check_choice("numerics", numerics, NUMERICS)
        self.bins = check_bins(bins)
        if self.bins and numerics == "reference":
            raise ValueError(
                f"bins go with numerics='exact'; got numerics='reference' and bins={self.bins}"
            )
        if self.bins and form == "paper":
            raise ValueError(f"bins go with form='stable'; got form='paper' and bins={self.bins}")
        self.spread = check_number("spread", spread, "(0, inf)")
        check_number("floor", floor, "[0, 1)")
        check_integer("components", components)
        check_number("log_scale_bound", log_scale_bound, "(0, inf)")
        self.component_bound = check_component_bound(component_bound)
        self.final_range = check_final_range(final_range)
        self.components = components
        self.log_scale_bound = log_scale_bound
        self.floor = floor
        self.form = form
        self.numerics = numerics
        self.rescale = bool(rescale)

    @property
    def caveat(self) -> str | None:
        if self.numerics == "reference":
            return (
                "numerics='reference' rounds as mAR-SCF's code does: far from the components the "
                "map is constant, and its log-determinant some 50 too large"
            )
        if self.form == "paper":
            return (
                "form='paper' bounds no mean and no scale from above; in float32 its inverse is "
                "not exact far from all components, nor between narrow ones"
            )
        return None

    def build_map(self, shape: tuple[int, int, int]) -> None:
        super().build_map(shape)
        if self.rescale:
            channels = (self.partition(shape).transformed_channels,)
            for name in ("rescale_gain", "rescale_direction"):
                setattr(self, name, self.add_weight(channels, "ones", name=name, autocast=False))

    def parameters_per_element(self) -> int:
        return 2 + 3 * self.components + len(self.bins)

    def transformed_bijector(
        self, identity: Tensor, condition: Tensor | None, noise: StepNoise | None = None
    ) -> MixtureLogisticCDF:
        raw = self.run_conditioner(identity, condition, noise)
        n, h, w, outputs = ops.shape(raw)
        k, weights = self.components, self.components + len(self.bins)
        count = self.parameters_per_element()
        raw = ops.reshape(raw, (n, h, w, count, outputs // count))
        # One split: the gradient of each slice would fill an array of the size of all.
        log_scale, shift, logits, means, log_scales = ops.split(
            raw, (1, 2, 2 + weights, 2 + weights + k), axis=-2
        )
        log_scale, shift = log_scale[..., 0, :], shift[..., 0, :]
        mixture = NUMERICS[self.numerics]
        if self.form == "paper":
            return mixture(
                logits=logits,
                means=means,
                log_scales=ops.maximum(log_scales, PAPER_LOG_SCALE_MIN),
                shift=shift,
                log_scale=self._rescaled(backend.tanh(log_scale)),
            )
        spread = np.linspace(-1.5, 1.5, k)[:, None] if k > 1 else np.zeros((1, 1))
        return mixture(
            logits=logits,
            means=self.spread * soft_clamp(means + ops.cast(spread, raw.dtype), MEAN_BOUND),
            log_scales=self._limited(log_scales + float(np.log(0.6))) + math.log(self.spread),
            shift=shift,
            log_scale=self._rescaled(self._cut(soft_clamp(log_scale, self.log_scale_bound))),
            floor=self.floor,
            floor_scale=self.spread,
            bins=[b * GREY_LEVEL - 0.5 for b in self.bins],
            bin_width=GREY_LEVEL,
        )

    def _rescaled(self, log_scale: Tensor) -> Tensor:
        if not self.rescale:
            return log_scale
        # One number per channel: v / |v| is its sign.
        return log_scale * self.rescale_gain * _sign(ops.convert_to_tensor(self.rescale_direction))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "MixtureCoupling":
        return super().from_config({**UNSTATED, **config})

    def _cut(self, log_scale: Tensor) -> Tensor:
        return log_scale if self.final_range is None else ops.clip(log_scale, *self.final_range)

    def _limited(self, log_scales: Tensor) -> Tensor:
        """Keep log-scales in range; smooth at the lower end, where training goes."""
        low = SMALLEST_LOG_SCALE
        if loops.for_onnx():
            # Runtimes compute softplus element by element, and these in vectors.
            most = ops.minimum(log_scales, self.component_bound)
            limited = ops.log(ops.exp(most) + math.exp(low))
            return ops.minimum(limited, self.component_bound)
        return ops.minimum(low + softplus(log_scales - low), self.component_bound)


def check_component_bound(bound: Any) -> float:
    """Raise ValueError unless a maximum log-scale is a number above the smallest one."""
    return check_number("component_bound", bound, f"({SMALLEST_LOG_SCALE}, inf)")


def check_final_range(ends: Any) -> tuple[float, float] | None:
    """Raise ValueError unless a range is None or two numbers, below and above 0."""
    if ends is None:
        return None
    pair = list(ends) if isinstance(ends, list | tuple) else []
    if len(pair) != 2 or not all(map(is_number, pair)) or not pair[0] < 0 < pair[1]:
        raise ValueError(
            f"final_range must be two numbers, below and above 0, or None; got {ends!r}"
        )
    return float(pair[0]), float(pair[1])


def _sign(x: Tensor) -> Tensor:
    """``x / |x|``; its gradient, which is zero, exists."""
    return x / ops.sqrt(ops.square(x))
