"""Activation normalization."""

from typing import Any

import keras
import numpy as np
from keras import ops

from attnflow_keras.bijectors import ShiftScale
from attnflow_keras.layers.flow_layer import FlowLayer
from attnflow_keras.ops.numerics import inverse_soft_clamp, soft_clamp

Tensor = Any

LOG_SCALE_BOUND = 12.0


@keras.saving.register_keras_serializable(package="attnflow_keras")
class ActNorm(FlowLayer):
    """``y = (x + bias) * exp(log_scale)``, one bias and one scale per channel.

    :meth:`adapt` sets them so that the outputs of a batch have mean 0 and variance 1 in every
    channel (Glow, arXiv:1807.03039, section 3.1). Until then the layer is the identity.

    The log-scale is softly bounded by +-12.

    >>> layer = layers.ActNorm()
    >>> x = np.random.default_rng(0).normal(size=(2, 4, 4, 6)).astype("float32")
    >>> layer.build(x.shape)
    >>> y = layer.adapt(5 * x + 3)  # y has mean 0 and variance 1
    >>> round(float(np.std(y)), 3)
    1.0

    Args:
        allow_constant: let :meth:`adapt` skip the scale of constant channels. Not for images, whose
            density would become infinite; for label maps, which may lack a class, or whose palette
            may lack a colour.
        **kwargs: arguments of :class:`FlowLayer`.
    """

    log_scale_bound = LOG_SCALE_BOUND

    def __init__(self, allow_constant: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.allow_constant = bool(allow_constant)

    def build_map(self, shape: tuple[int, int, int]) -> None:
        channels = shape[-1]
        self.bias = self.add_weight((channels,), "zeros", name="bias", autocast=False)
        self.log_scale = self.add_weight((channels,), "zeros", name="log_scale", autocast=False)

    def bijector(self, condition: Any = None) -> ShiftScale:
        return ShiftScale(
            ops.convert_to_tensor(self.bias),
            soft_clamp(ops.convert_to_tensor(self.log_scale), LOG_SCALE_BOUND),
        )

    def adapt(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Set bias and scale from a batch, in NumPy float64; returns the normalized batch.

        Raises:
            ValueError: NaN or Inf in the batch, or a channel that is constant.
        """
        mean, log_scale = batch_statistics(self.name, x, self.allow_constant)
        self.bias.assign(-mean)
        self.log_scale.assign(np.asarray(inverse_soft_clamp(log_scale, LOG_SCALE_BOUND)))
        return super().adapt(x, condition)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {**config, "allow_constant": True} if self.allow_constant else config


def batch_statistics(
    name: str, x: Tensor, allow_constant: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Mean of each channel, and the log-scale that brings its standard deviation to 1.

    Args:
        name: the layer's, for errors.
        x: ``(n, h, w, c)``.
        allow_constant: give a constant channel a log-scale of 0.

    Raises:
        ValueError: NaN or Inf, or a channel that is constant.
    """
    values = np.asarray(ops.convert_to_numpy(x), dtype="float64")
    if not np.isfinite(values).all():
        raise ValueError(f"{name}: the batch given to adapt contains NaN or Inf")
    mean = values.mean(axis=(0, 1, 2))
    std = values.std(axis=(0, 1, 2))
    constant = np.flatnonzero(std < 1e-7 * np.maximum(1.0, np.abs(mean)))
    if constant.size and not allow_constant:
        raise ValueError(
            f"{name}: channel {constant[0]} of the batch given to adapt is constant "
            f"({mean[constant[0]]:.6g}); adapt needs a batch that varies in every channel"
        )
    log_scale = -np.log(std + 1e-6)
    log_scale[constant] = 0.0
    return mean, log_scale
