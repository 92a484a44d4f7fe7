"""Starting values."""

import math
from typing import Any

import keras
import numpy as np


def fan_in_uniform(fan_in: float) -> keras.initializers.Initializer:
    """Uniform in ``+-1 / sqrt(fan_in)``, PyTorch's start of kernels and biases alike."""
    limit = 1.0 / math.sqrt(fan_in)
    return keras.initializers.RandomUniform(-limit, limit)


@keras.saving.register_keras_serializable(package="attnflow_keras")
class Normal(keras.initializers.Initializer):
    """Normal with mean 0, drawn by NumPy.

    Keras' own compiles a program for each shape on JAX, which takes seconds per model. The draws
    follow ``keras.utils.set_random_seed``.

    Args:
        stddev: standard deviation.
    """

    def __init__(self, stddev: float = 0.05) -> None:
        self.stddev = float(stddev)

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        drawn = self.stddev * np.random.standard_normal(tuple(shape))
        return keras.ops.convert_to_tensor(drawn.astype(keras.backend.standardize_dtype(dtype)))

    def get_config(self) -> dict[str, Any]:
        return {"stddev": self.stddev}
