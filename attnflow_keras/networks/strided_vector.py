"""C-Glow's networks from a condition to the parameters of one layer."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from attnflow_keras import backend
from attnflow_keras.bijectors import Squeeze
from attnflow_keras.core.checks import check_integer
from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.networks.conditioner import Conditioner
from attnflow_keras.ops.channels_last import conv2d

Tensor = Any

CONVS = 3
# What a tanh output is set to at most: beyond, its gradient is too small to come back.
START_BOUND = 0.9


@keras.saving.register_keras_serializable(package="attnflow_keras")
@records_arguments
class StridedVectorNet(Conditioner):
    """``(n, h, w, c)`` to ``(n, out_channels)`` between -1 and 1 (C-Glow, arXiv:1905.13288).

    Three convolutions of kernel and stride 2, two dense layers, all with ReLU, and a dense layer
    with tanh. The condition comes squeezed to the size of the layer's map and is spread out first.
    The first dense layer ties the network to the size.

    The reference starts the hidden weights at zero, behind ReLU, where at first only biases can
    learn; here they start as Keras starts them.

    >>> network = networks.StridedVectorNet(3, 4, factor=2, out_channels=5)
    >>> tuple(network(np.zeros((2, 4, 4, 12), "float32")).shape)
    (2, 5)

    Args:
        filters: filters of the convolutions.
        units: units of the hidden dense layers.
        factor: by how much a side of the condition was squeezed.
        last_stddev: standard deviation of the last layer's weights at the start.
        out_channels: length of the output; a layer sets it before it builds the network.
        **kwargs: arguments of ``keras.layers.Layer``.
    """

    any_size = False

    def __init__(
        self,
        filters: int,
        units: int,
        factor: int = 1,
        last_stddev: float = 0.0,
        out_channels: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(out_channels, **kwargs)
        self.filters = check_integer("filters", filters)
        self.units = check_integer("units", units)
        self.factor = check_integer("factor", factor)
        self.last_stddev = last_stddev

    def build_network(self, shape: Any) -> None:
        height, width = (self.factor * int(side or 0) for side in shape[1:3])
        if height % 2**CONVS or width % 2**CONVS:
            raise ValueError(
                f"{self.name}: sides of the condition must be divisible by {2**CONVS}; got "
                f"{height}x{width}"
            )
        shape = (None, height, width, int(shape[-1] or 0) // self.factor**2)
        options = {"activation": "relu", "dtype": self.dtype_policy}
        self.convs, self.hidden = [], []
        for i in range(CONVS):
            conv = conv2d(self.filters, 2, 2, name=f"conv_{i}", **options)
            conv.build(shape)
            shape = conv.compute_output_shape(shape)
            self.convs.append(conv)
        size = math.prod(shape[1:])
        for i in range(2):
            dense = keras.layers.Dense(self.units, name=f"dense_{i}", **options)
            dense.build((None, size))
            size = self.units
            self.hidden.append(dense)
        self.last = keras.layers.Dense(
            self.out_channels,
            activation=backend.tanh,
            kernel_initializer=keras.initializers.RandomNormal(stddev=self.last_stddev)
            if self.last_stddev
            else "zeros",
            name="last",
            dtype=self.dtype_policy,
        )
        self.last.build((None, size))

    def start_at(self, vector: np.ndarray) -> None:
        """Let the network give this vector, float ``(out_channels,)``, for any condition at first,
        as far as its range allows; only with ``last_stddev=0``.
        """
        self.last.bias.assign(np.arctanh(np.clip(vector, -START_BOUND, START_BOUND)))

    def call(self, x: Tensor) -> Tensor:
        if self.factor > 1:
            x = Squeeze(self.factor).inverse_and_log_det(x)[0]
        for conv in self.convs:
            x = conv(x)
        x = ops.reshape(x, (-1, math.prod(x.shape[1:])))
        for dense in self.hidden:
            x = dense(x)
        return self.last(x)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], self.out_channels)
