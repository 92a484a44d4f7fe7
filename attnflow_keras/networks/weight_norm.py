"""Weight-normalized convolutions."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from attnflow_keras.core.checks import check_integer, check_number
from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.networks.initializers import fan_in_uniform

Tensor = Any


@keras.saving.register_keras_serializable(package="attnflow_keras")
@records_arguments
class WeightNormConv2D(keras.layers.Layer):
    """Convolution with kernel ``gain * v / |v|``, one gain an output channel (arXiv:1602.07868).

    Stride 1, "same" padding. The start is that of PyTorch's convolutions: v and the bias
    uniform in ``+-1 / sqrt(fan_in)``, and the gain equal to ``|v|``. The kernel is normalized
    in the variable dtype and applied in the compute dtype.

    >>> network = networks.WeightNormConv2D(4, kernel_size=3)
    >>> tuple(network(np.zeros((2, 4, 4, 6), "float32")).shape)
    (2, 4, 4, 4)

    Args:
        filters: output channels.
        kernel_size: side of the kernel; 1 is a linear map of the channels.
        use_bias: add a bias.
        scale: factor of the start of gain and bias; below 1 for small outputs.
        **kwargs: arguments of ``keras.layers.Layer``.
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int = 3,
        use_bias: bool = True,
        scale: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = check_integer("filters", filters)
        self.kernel_size = check_integer("kernel_size", kernel_size)
        self.use_bias = use_bias
        self.scale = check_number("scale", scale, "(0, inf)")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape = (self.kernel_size, self.kernel_size, int(input_shape[-1] or 0), self.filters)
        fan_in = math.prod(shape[:3])
        uniform = fan_in_uniform(fan_in)
        self.direction = self.add_weight(shape, uniform, name="direction", autocast=False)

        def norm_of_direction(shape: Any, dtype: Any = None) -> Tensor:
            direction = np.asarray(ops.convert_to_numpy(self.direction))
            norm = self.scale * np.sqrt(np.sum(direction**2, axis=(0, 1, 2)))
            return ops.convert_to_tensor(norm, dtype=dtype)

        self.gain = self.add_weight((self.filters,), norm_of_direction, name="gain", autocast=False)
        if self.use_bias:
            bias = fan_in_uniform(fan_in / self.scale**2)
            self.bias = self.add_weight((self.filters,), bias, name="bias", autocast=False)
        self.built = True

    def call(self, x: Tensor) -> Tensor:
        direction = ops.convert_to_tensor(self.direction)
        norm = ops.sqrt(ops.sum(ops.square(direction), axis=(0, 1, 2)))
        kernel = ops.cast(direction * (self.gain / norm), self.compute_dtype)
        x = ops.cast(x, self.compute_dtype)
        if self.kernel_size == 1:
            y = ops.matmul(x, ops.reshape(kernel, kernel.shape[2:]))
        else:
            y = ops.conv(x, kernel, padding="same", data_format="channels_last")
        return y + ops.cast(self.bias, y.dtype) if self.use_bias else y

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], self.filters)
