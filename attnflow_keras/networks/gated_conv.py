"""A small convolutional conditioner."""

from typing import Any

import keras
from keras import ops

from attnflow_keras.core.checks import check_integer
from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.networks.conditioner import Conditioner
from attnflow_keras.ops.channels_last import conv2d

Tensor = Any


@keras.saving.register_keras_serializable(package="attnflow_keras")
@records_arguments
class GatedConvNet(Conditioner):
    """Residual network of gated convolutions.

    ``conv3x3``, then ``blocks`` times ``h + p sigmoid(q)`` with
    ``(p, q) = conv1x1(act(conv3x3(act(h))))``, then a convolution to ``out_channels`` whose
    kernel starts small. It runs in the policy's compute dtype.

    >>> network = networks.GatedConvNet(width=8, out_channels=4)
    >>> tuple(network(np.zeros((2, 4, 4, 6), "float32")).shape)
    (2, 4, 4, 4)

    Args:
        width: channels of the hidden maps.
        blocks: number of gated blocks.
        out_channels: channels of the output; a coupling sets it before it builds the network.
        out_kernel: side of the last convolution, 1 or 3.
        position_bias: learn a bias for every hidden element of the first map, so that the network
            knows positions; fixes the map's height and width.
        **kwargs: arguments of ``keras.layers.Layer``.
    """

    def __init__(
        self,
        width: int = 32,
        blocks: int = 1,
        out_channels: int | None = None,
        out_kernel: int = 3,
        position_bias: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(out_channels, **kwargs)
        self.width = check_integer("width", width)
        self.blocks = check_integer("blocks", blocks, 0)
        self.out_kernel = out_kernel
        self.position_bias = position_bias
        self.any_size = not position_bias

    def build_network(self, shape: Any) -> None:
        height, width = shape[1:3]
        hidden = (*shape[:3], self.width)
        self.conv_in = self._conv("conv_in", shape, self.width, 3)
        if self.position_bias:
            self.position = self.add_weight((height, width, self.width), "zeros", name="position")
        for i in range(self.blocks):
            setattr(self, f"spatial_{i}", self._conv(f"spatial_{i}", hidden, self.width, 3))
            setattr(self, f"gate_{i}", self._conv(f"gate_{i}", hidden, 2 * self.width, 1))
        self.conv_out = self._conv(
            "conv_out",
            hidden,
            self.out_channels,
            self.out_kernel,
            keras.initializers.VarianceScaling(0.01, "fan_in", "truncated_normal"),
        )

    def call(self, x: Tensor) -> Tensor:
        h = self.conv_in(x)
        if self.position_bias:
            h = h + self.position
        for i in range(self.blocks):
            inner = getattr(self, f"spatial_{i}")(ops.silu(h))
            value, gate = ops.split(getattr(self, f"gate_{i}")(ops.silu(inner)), 2, axis=-1)
            h = h + value * ops.sigmoid(gate)
        return self.conv_out(ops.silu(h))

    def _conv(
        self,
        name: str,
        input_shape: tuple[int | None, ...],
        filters: int,
        kernel: int,
        initializer: Any = "he_normal",
    ) -> keras.layers.Conv2D:
        layer = conv2d(
            filters,
            kernel,
            padding="same",
            kernel_initializer=initializer,
            dtype=self.dtype_policy,
            name=name,
        )
        layer.build(input_shape)
        return layer
