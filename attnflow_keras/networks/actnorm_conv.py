"""SRFlow's conditioner."""

from typing import Any

import keras
import numpy as np
from keras import ops

from attnflow_keras.core.checks import check_integer
from attnflow_keras.networks.conditioner import Conditioner
from attnflow_keras.networks.edges import pad_with_edges
from attnflow_keras.networks.zero_conv import ZeroConv2D
from attnflow_keras.ops.channels_last import conv2d

Tensor = Any


@keras.saving.register_keras_serializable(package="attnflow_keras")
class ActNormConvNet(Conditioner):
    """``conv3x3, actnorm, ReLU, conv1x1, actnorm, ReLU``, then :class:`ZeroConv2D` (SRFlow).

    The actnorms are ordinary layers of a network, one bias and one factor per channel;
    :meth:`adapt` sets them so that a batch has mean 0 and variance 1 behind them.

    >>> network = networks.ActNormConvNet(width=8, out_channels=4)
    >>> tuple(network(np.zeros((2, 4, 4, 6), "float32")).shape)
    (2, 4, 4, 4)

    Args:
        width: channels of the hidden maps.
        edges: mark the padding of the 3x3 convolutions by a channel of its own, as in Glow's own
            code.
        out_channels: channels of the output; a coupling sets it before it builds the network.
        **kwargs: arguments of ``keras.layers.Layer``.
    """

    def __init__(
        self,
        width: int = 64,
        edges: bool = False,
        out_channels: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(out_channels, **kwargs)
        self.width = check_integer("width", width)
        self.edges = bool(edges)

    def build_network(self, shape: Any) -> None:
        hidden = (*shape[:3], self.width)
        inputs = (None, None, None, int(shape[-1] or 0) + self.edges)
        for i, (inner, kernel) in enumerate(((inputs, 3), (hidden, 1))):
            conv = conv2d(
                self.width,
                kernel,
                padding="valid" if self.edges else "same",
                use_bias=False,
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.05),
                dtype=self.dtype_policy,
                name=f"conv_{i}",
            )
            conv.build(inner)
            setattr(self, f"conv_{i}", conv)
            for name in ("bias", "log_scale"):
                weight = self.add_weight((self.width,), "zeros", name=f"{name}_{i}")
                setattr(self, f"{name}_{i}", weight)
        self.conv_out = ZeroConv2D(
            self.out_channels, edges=self.edges, dtype=self.dtype_policy, name="conv_out"
        )
        self.conv_out.build(hidden)

    def call(self, x: Tensor) -> Tensor:
        for i in range(2):
            x = self._normalized(self._hidden(x, i), i)
        return self.conv_out(x)

    def adapt(self, x: Tensor) -> None:
        """Set the actnorms from one batch of inputs."""
        for i in range(2):
            x = self._hidden(x, i)
            values = np.asarray(ops.convert_to_numpy(x), dtype="float64")
            getattr(self, f"bias_{i}").assign(-values.mean(axis=(0, 1, 2)))
            # A channel that is constant in this batch keeps its size.
            deviation = values.std(axis=(0, 1, 2))
            deviation = np.where(deviation < 1e-6, 1.0, deviation)
            getattr(self, f"log_scale_{i}").assign(-np.log(deviation))
            x = self._normalized(x, i)

    def _hidden(self, x: Tensor, i: int) -> Tensor:
        if self.edges and i == 0:  # the second one is 1x1
            x = pad_with_edges(x)
        return getattr(self, f"conv_{i}")(x)

    def _normalized(self, x: Tensor, i: int) -> Tensor:
        bias, log_scale = (
            ops.cast(getattr(self, f"{name}_{i}"), x.dtype) for name in ("bias", "log_scale")
        )
        return ops.relu((x + bias) * ops.exp(log_scale))

    def get_config(self) -> dict[str, Any]:
        edges = {"edges": True} if self.edges else {}
        return {**super().get_config(), "width": self.width, **edges}
