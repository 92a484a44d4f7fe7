"""The last convolution of Glow's networks."""

from typing import Any

import keras
from keras import ops

from attnflow_keras.core.checks import check_integer
from attnflow_keras.networks.edges import pad_with_edges
from attnflow_keras.ops.channels_last import conv2d

Tensor = Any

# How much faster than a plain parameter the logarithmic factor moves.
RATE = 3.0


@keras.saving.register_keras_serializable(package="attnflow_keras")
class ZeroConv2D(keras.layers.Layer):
    """``(conv3x3(x) + bias) * exp(3 log_gain)`` that starts at zero (Glow, arXiv:1807.03039).

    >>> network = networks.ZeroConv2D(4)
    >>> tuple(network(np.zeros((2, 4, 4, 6), "float32")).shape)
    (2, 4, 4, 4)

    Args:
        filters: output channels.
        pad_value: what the map is padded with; 1 in Full-Glow.
        edges: mark the padding by a channel of its own, as in Glow's own code.
        **kwargs: arguments of ``keras.layers.Layer``.
    """

    def __init__(
        self, filters: int, pad_value: float = 0.0, edges: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if edges and pad_value:
            raise ValueError(f"pad_value must be 0 with edges; got {pad_value}")
        self.edges = bool(edges)
        self.filters = check_integer("filters", filters)
        self.pad_value = float(pad_value)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.conv = conv2d(
            self.filters,
            3,
            padding="valid" if self.pad_value or self.edges else "same",
            kernel_initializer="zeros",
            dtype=self.dtype_policy,
            name="conv",
        )
        self.conv.build((None, None, None, int(input_shape[-1] or 0) + self.edges))
        self.log_gain = self.add_weight((self.filters,), "zeros", name="log_gain")
        self.built = True

    def call(self, x: Tensor) -> Tensor:
        if self.edges:
            x = pad_with_edges(x)
        elif self.pad_value:
            sides = ((0, 0), (1, 1), (1, 1), (0, 0))
            x = ops.pad(x, sides, constant_values=self.pad_value)
        return self.conv(x) * ops.exp(RATE * self.log_gain)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.filters)

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "filters": self.filters}
        if self.edges:
            config["edges"] = True
        return {**config, "pad_value": self.pad_value} if self.pad_value else config
