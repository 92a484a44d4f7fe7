"""Dual-Glow's priors, whose mean comes from another flow's latents."""

from typing import Any

import keras
from keras import ops

from attnflow_keras.bijectors import ShiftScale
from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.layers.flow_layer import FlowLayer
from attnflow_keras.networks.zero_conv import ZeroConv2D
from attnflow_keras.ops.channels_last import conv2d
from attnflow_keras.ops.numerics import soft_clamp
from attnflow_keras.priors.gaussian import LOG_SD_BOUND

Tensor = Any

SLOPE = 0.2  # of the leaky ReLU
KERNEL = 5


class _TopPrior(FlowLayer):
    """Mean and log-sd from :class:`ZeroConv2D` of a map of zeros, which knows the border."""

    def build_map(self, shape: tuple[int, int, int]) -> None:
        channels = 2 * shape[-1]
        self.zeros_shape = (1, *shape[:2], channels)
        self.network = ZeroConv2D(channels, edges=True, dtype=self.variable_dtype, name="network")
        self.network.build(self.zeros_shape)
        self.any_size = False

    def mean_and_log_sd(self) -> tuple[Tensor, Tensor]:
        raw = self.network(ops.zeros(self.zeros_shape, dtype=self.variable_dtype))
        mean, log_sd = ops.split(raw, 2, axis=-1)
        return mean, soft_clamp(log_sd, LOG_SD_BOUND)


@keras.saving.register_keras_serializable(package="attnflow_keras")
class LearnedTopPrior(_TopPrior):
    """Top prior of Glow's own code: one mean and log-sd per channel, others at the border.

    >>> prior = priors.LearnedTopPrior()
    >>> z = np.ones((2, 4, 4, 6), "float32")
    >>> eps, log_det = prior(z)
    >>> tuple(eps.shape), tuple(log_det.shape)
    ((2, 4, 4, 6), (2,))

    Args are those of :class:`FlowLayer`.
    """

    log_scale_bound = LOG_SD_BOUND

    def bijector(self, condition: Any = None) -> ShiftScale:
        mean, log_sd = self.mean_and_log_sd()
        return ShiftScale(-mean, -log_sd)


@keras.saving.register_keras_serializable(package="attnflow_keras")
@records_arguments
class LinkedPrior(_TopPrior):
    """``z ~ N(leaky_relu(conv5x5(c)), 1)``, for c the latents of another flow at the same level
    (Dual-Glow, arXiv:1908.08074, section 3.2).

    >>> prior = priors.LinkedPrior(condition_channels=3)
    >>> z = np.ones((2, 4, 4, 6), "float32")
    >>> eps, log_det = prior(z, condition=np.zeros((2, 4, 4, 3), "float32"))
    >>> tuple(eps.shape), tuple(log_det.shape)
    ((2, 4, 4, 6), (2,))

    Args:
        top: add the learned mean of :class:`LearnedTopPrior`, and take its log-sd.
        **kwargs: arguments of :class:`FlowLayer`; ``condition_channels`` must be given.
    """

    reads_condition = True

    def __init__(self, top: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not self.condition_channels:
            raise ValueError("condition_channels must be at least 1 for a linked prior; got 0")
        self.top = bool(top)
        self.log_scale_bound = LOG_SD_BOUND if top else None

    def build_map(self, shape: tuple[int, int, int]) -> None:
        self.link = conv2d(
            shape[-1],
            KERNEL,
            padding="same",
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.05),
            dtype=self.variable_dtype,
            name="link",
        )
        self.link.build((None, None, None, self.condition_channels))
        if self.top:
            super().build_map(shape)

    def bijector(self, condition: Any = None) -> ShiftScale:
        mean = ops.leaky_relu(self.link(condition), SLOPE)
        if not self.top:
            return ShiftScale(-mean, ops.zeros_like(mean))
        top_mean, log_sd = self.mean_and_log_sd()
        return ShiftScale(-mean - top_mean, -log_sd + ops.zeros_like(mean))
