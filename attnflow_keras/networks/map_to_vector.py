"""Full-Glow's networks from a map to the parameters of one layer."""

import math
from typing import Any

import keras
import numpy as np

from attnflow_keras.core.checks import is_integer
from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.networks.conditioner import Conditioner
from attnflow_keras.ops.channels_last import conv2d

Tensor = Any

FILTERS = (8, 4, 2)
UNITS = (32, 64, 48)
# Two 3x3 convolutions without padding leave nothing of a smaller map.
LEAST_SIDE = 5


@keras.saving.register_keras_serializable(package="attnflow_keras")
@records_arguments
class MapToVectorNet(Conditioner):
    """``(n, h, w, c)`` to ``(n, out_channels)`` (Full-Glow, arXiv:2012.05846, section 3.1).

    A 1x1 and two unpadded 3x3 convolutions, then dense layers, all with ReLU, and a dense layer
    that starts with zero weights: at first the output is its bias for any map, which
    :meth:`start_at` sets. The first dense layer ties the
    network to the size of the map.

    >>> network = networks.MapToVectorNet(out_channels=5)
    >>> tuple(network(np.zeros((2, 8, 8, 3), "float32")).shape)
    (2, 5)

    Args:
        filters: filters of the three convolutions.
        units: units of the hidden dense layers.
        out_channels: length of the output; a layer sets it before it builds the network.
        **kwargs: arguments of ``keras.layers.Layer``.
    """

    any_size = False

    def __init__(
        self,
        filters: tuple[int, int, int] = FILTERS,
        units: tuple[int, ...] = UNITS,
        out_channels: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(out_channels, **kwargs)
        self.filters = _counts("filters", filters)
        self.units = _counts("units", units)
        if len(self.filters) != len(FILTERS):
            raise ValueError(f"filters must be {len(FILTERS)} numbers; got {filters}")

    def build_network(self, shape: Any) -> None:
        height, width = (int(side or 0) for side in shape[1:3])
        if min(height, width) < LEAST_SIDE:
            raise ValueError(
                f"{self.name}: maps must be at least {LEAST_SIDE}x{LEAST_SIDE}; got "
                f"{height}x{width}"
            )
        options = {"activation": "relu", "dtype": self.dtype_policy}
        self.convs, self.hidden = [], []
        for i, filters in enumerate(self.filters):
            conv = conv2d(filters, 3 if i else 1, name=f"conv_{i}", **options)
            conv.build(shape)
            shape = conv.compute_output_shape(shape)
            self.convs.append(conv)
        size = math.prod(shape[1:])
        for i, units in enumerate(self.units):
            dense = keras.layers.Dense(units, name=f"dense_{i}", **options)
            dense.build((None, size))
            size = units
            self.hidden.append(dense)
        self.last = keras.layers.Dense(
            self.out_channels, kernel_initializer="zeros", name="last", dtype=self.dtype_policy
        )
        self.last.build((None, size))

    def start_at(self, vector: np.ndarray) -> None:
        """Let the network give this vector, float ``(out_channels,)``, for any map at first."""
        self.last.bias.assign(vector)

    def call(self, x: Tensor) -> Tensor:
        for conv in self.convs:
            x = conv(x)
        x = keras.ops.reshape(x, (-1, math.prod(x.shape[1:])))
        for dense in self.hidden:
            x = dense(x)
        return self.last(x)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (input_shape[0], self.out_channels)


def _counts(name: str, values: Any) -> tuple[int, ...]:
    counts = tuple(values) if isinstance(values, list | tuple) else ()
    if not counts or not all(is_integer(count) and count >= 1 for count in counts):
        raise ValueError(f"{name} must be integers of at least 1; got {values!r}")
    return counts
