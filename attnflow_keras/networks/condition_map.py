"""Features of a condition at the resolution of a causal flow's tokens."""

from typing import Any

import keras
from keras import ops

from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.networks.initializers import Normal

Tensor = Any


@keras.saving.register_keras_serializable(package="attnflow_keras")
@records_arguments
class ConditionMap(keras.layers.Layer):
    """Residual convolutions from a condition map to one feature vector per token.

    A map with more cells than there are tokens is first read by a 3x3 convolution at its own
    resolution and then cut into patches; one with fewer is repeated after half of the blocks.

    >>> network = networks.ConditionMap(grid=(2, 2), width=8)
    >>> tuple(network(np.zeros((2, 8, 8, 3), "float32")).shape)
    (2, 2, 2, 8)

    Args:
        grid: ``(rows, columns)`` of tokens.
        width: channels of the features.
        blocks: residual blocks of two 3x3 convolutions.
        **kwargs: arguments of ``keras.layers.Layer``.
    """

    def __init__(self, grid: tuple[int, int], width: int = 96, blocks: int = 2, **kwargs: Any):
        super().__init__(**kwargs)
        self.grid = (int(grid[0]), int(grid[1]))
        self.width = width
        self.blocks = blocks

    def build(self, input_shape: Any) -> None:
        height, _, channels = tuple(input_shape)[1:]
        rows = self.grid[0]
        self.patch = max(height // rows, 1)
        self.times = max(rows // height, 1)
        if height * self.times != rows * self.patch:
            raise ValueError(f"the condition's height must fit {rows} tokens; got {height}")
        if self.patch > 1:
            self._conv("conv_pixels", channels, 16, 3)
            channels = (16 + channels) * self.patch**2
        self._conv("conv_in", channels, self.width, 3)
        for i in range(self.blocks):
            self._conv(f"first_{i}", self.width, self.width, 3)
            self._conv(f"second_{i}", self.width, self.width, 3)
        self.built = True

    def call(self, x: Tensor) -> Tensor:
        x = ops.cast(x, self.compute_dtype)
        if self.patch > 1:
            x = _patches(ops.concatenate([x, ops.gelu(self.conv_pixels(x))], -1), self.patch)
        h = self.conv_in(x)
        for i in range(self.blocks):
            if i == self.blocks // 2:
                h = self._repeated(h)
            inner = ops.gelu(getattr(self, f"first_{i}")(ops.gelu(h)))
            h = h + getattr(self, f"second_{i}")(inner)
        return h if self.blocks else self._repeated(h)

    def _repeated(self, h: Tensor) -> Tensor:
        if self.times == 1:
            return h
        return ops.repeat(ops.repeat(h, self.times, axis=1), self.times, axis=2)

    def _conv(self, name: str, inputs: int, filters: int, kernel: int) -> None:
        layer = keras.layers.Conv2D(
            filters,
            kernel,
            padding="same",
            # As of the other trunks, but for the rectifier's factor.
            kernel_initializer=Normal((inputs * kernel**2) ** -0.5),
            dtype=self.dtype_policy,
            name=name,
        )
        layer.build((None, None, None, inputs))
        setattr(self, name, layer)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], *self.grid, self.width)


def _patches(x: Tensor, patch: int) -> Tensor:
    n, height, width, channels = ops.shape(x)
    x = ops.reshape(x, (n, height // patch, patch, width // patch, patch, channels))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (n, height // patch, width // patch, patch * patch * channels))
