"""Starting values."""

import math

import keras


def fan_in_uniform(fan_in: float) -> keras.initializers.Initializer:
    """Uniform in ``+-1 / sqrt(fan_in)``, PyTorch's start of kernels and biases alike."""
    limit = 1.0 / math.sqrt(fan_in)
    return keras.initializers.RandomUniform(-limit, limit)
