"""Glow's conditioner, with Full-Glow's branch for a condition."""

from typing import Any

import keras
from keras import ops

from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.networks.conditioner import Conditioner
from attnflow_keras.networks.zero_conv import ZeroConv2D
from attnflow_keras.ops.channels_last import conv2d

Tensor = Any


@keras.saving.register_keras_serializable(package="attnflow_keras")
@records_arguments
class GlowConvNet(Conditioner):
    """``conv3x3, ReLU, conv1x1, ReLU``, then :class:`ZeroConv2D` (Glow, arXiv:1807.03039).

    With ``condition_channels``, so many last channels of the input are a condition, which goes
    through ``conv3x3, ReLU, conv3x3, ReLU`` of its own first (Full-Glow, arXiv:2012.05846,
    section 3.1).

    >>> network = networks.GlowConvNet(width=8, condition_channels=2, out_channels=4)
    >>> tuple(network(np.zeros((2, 4, 4, 6), "float32")).shape)
    (2, 4, 4, 4)

    Args:
        width: channels of the hidden maps.
        condition_channels: how many of the input's channels are the condition.
        condition_width: hidden channels of its branch.
        pad_value: see :class:`ZeroConv2D`; 1 in Full-Glow.
        out_channels: channels of the output; a coupling sets it before it builds the network.
        **kwargs: arguments of ``keras.layers.Layer``.
    """

    def __init__(
        self,
        width: int = 512,
        condition_channels: int = 0,
        condition_width: int = 128,
        pad_value: float = 1.0,
        out_channels: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(out_channels, **kwargs)
        for name, value, least in (
            ("width", width, 1),
            ("condition_channels", condition_channels, 0),
            ("condition_width", condition_width, 1),
        ):
            if value < least:
                raise ValueError(f"{name} must be at least {least}; got {value}")
        self.width = width
        self.condition_channels = condition_channels
        self.condition_width = condition_width
        self.pad_value = pad_value

    def build_network(self, shape: Any) -> None:
        sides, channels = tuple(shape[:3]), self.condition_channels
        if channels:
            self.condition_0 = self._conv(self.condition_width, 3, "condition_0", channels)
            self.condition_1 = self._conv(channels, 3, "condition_1", self.condition_width)
        self.conv_0 = self._conv(self.width, 3, "conv_0", int(shape[-1] or 0))
        self.conv_1 = self._conv(self.width, 1, "conv_1", self.width)
        self.conv_out = ZeroConv2D(
            self.out_channels, self.pad_value, dtype=self.dtype_policy, name="conv_out"
        )
        self.conv_out.build((*sides, self.width))

    def call(self, x: Tensor) -> Tensor:
        if self.condition_channels:
            identity = x[..., : -self.condition_channels]
            condition = x[..., -self.condition_channels :]
            condition = self.condition_1(self.condition_0(condition))
            x = ops.concatenate([identity, condition], axis=-1)
        return self.conv_out(self.conv_1(self.conv_0(x)))

    def _conv(self, filters: int, kernel: int, name: str, channels: int) -> keras.layers.Conv2D:
        conv = conv2d(
            filters,
            kernel,
            padding="same",
            activation="relu",
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.05),
            dtype=self.dtype_policy,
            name=name,
        )
        conv.build((None, None, None, channels))
        return conv
