"""Gaussian prior as an invertible layer to standardized latents."""

from typing import Any

import keras
from keras import ops

from attnflow_keras import backend
from attnflow_keras.bijectors import ShiftScale
from attnflow_keras.core.checks import check_choice
from attnflow_keras.layers.flow_layer import FlowLayer
from attnflow_keras.networks.zero_conv import ZeroConv2D
from attnflow_keras.ops.channels_last import conv2d
from attnflow_keras.ops.numerics import check_input_bound, clipped, soft_clamp

Tensor = Any

LOG_SD_BOUND = 5.0
NETWORKS = ("conv", "zero_conv", "one_padded", "tanh", "element")


@keras.saving.register_keras_serializable(package="attnflow_keras")
class GaussianPrior(FlowLayer):
    """``eps = (z - mean) * exp(-log_sd)``, so that eps ~ N(0, I).

    With ``condition_channels`` it is a split prior: mean and log-sd come from a 3x3 convolution,
    initially zero, of the channels that continue (the condition). Without, it is a top prior with
    one learned mean and log-sd per channel. The log-sd is softly bounded by +-5.

    >>> prior = priors.GaussianPrior(condition_channels=3)
    >>> z = np.ones((2, 4, 4, 6), "float32")
    >>> eps, log_det = prior(z, condition=np.zeros((2, 4, 4, 3), "float32"))
    >>> tuple(eps.shape), tuple(log_det.shape)
    ((2, 4, 4, 6), (2,))

    Args:
        network: of a split prior, ``"conv"``, or ``"zero_conv"`` (:class:`ZeroConv2D`, as Glow
            and SRFlow have it). ``"one_padded"`` is Full-Glow's, which pads with ones; its top
            prior is that convolution of a map of zeros, and so knows the border. ``"tanh"`` is
            C-Glow's, between -1 and 1. ``"element"``, of a top prior only, learns a mean and
            log-sd for every element.
        input_bound: a split prior's convolution sees the condition cut at +-input_bound; None
            for no bound, or for the flow's, see :class:`Flow`.
        **kwargs: arguments of :class:`FlowLayer`.
    """

    log_scale_bound = LOG_SD_BOUND

    def __init__(
        self, network: str = "conv", input_bound: float | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.input_bound = check_input_bound(input_bound)
        check_choice("network", network, NETWORKS)
        if network == "element" and self.condition_channels:
            raise ValueError("network 'element' takes no condition; condition_channels must be 0")
        self.kind = network

    def build_map(self, shape: tuple[int, int, int]) -> None:
        height, width, channels = shape
        if self.condition_channels or self.kind == "one_padded":
            # In full precision under every policy: it decides the latents directly.
            options = {"dtype": self.variable_dtype, "name": "network"}
            if self.kind in ("conv", "tanh"):
                tanh = self.kind == "tanh"
                self.network = conv2d(
                    2 * channels,
                    3,
                    padding="same",
                    activation=backend.tanh if tanh else None,
                    kernel_initializer=keras.initializers.RandomNormal(stddev=0.1)
                    if tanh
                    else "zeros",
                    **options,
                )
            else:
                pad_value = float(self.kind == "one_padded")
                self.network = ZeroConv2D(2 * channels, pad_value, **options)
            self.network.build((None, height, width, self.condition_channels or channels))
        else:
            each = shape if self.kind == "element" else (channels,)
            self.any_size = self.kind != "element"
            self.mean = self.add_weight(each, "zeros", name="mean", autocast=False)
            self.log_sd = self.add_weight(each, "zeros", name="log_sd", autocast=False)

    def bijector(self, condition: Any = None) -> ShiftScale:
        if condition is None and self.kind == "one_padded":
            condition = ops.zeros((1, *self.map_shape), dtype=self.variable_dtype)
        if condition is None:
            mean, log_sd = ops.convert_to_tensor(self.mean), ops.convert_to_tensor(self.log_sd)
        else:
            mean, log_sd = ops.split(self.network(clipped(condition, self.input_bound)), 2, axis=-1)
        return ShiftScale(-mean, -soft_clamp(log_sd, LOG_SD_BOUND))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.input_bound is not None:
            config["input_bound"] = self.input_bound
        return {**config, "network": self.kind} if self.kind != "conv" else config
