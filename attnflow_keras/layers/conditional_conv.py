"""Invertible 1x1 convolution whose matrix comes from a condition."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from attnflow_keras.bijectors import SampleChannelMatmul
from attnflow_keras.core.checks import check_choice
from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.layers.conditioner import ConditionedLayer
from attnflow_keras.layers.invertible_conv import LAYOUTS, random_rotation
from attnflow_keras.networks.conditioner import Conditioner
from attnflow_keras.ops.numerics import soft_clamp
from attnflow_keras.ops.step_noise import StepNoise

Tensor = Any

LOG_DIAG_BOUND = 2.0


@keras.saving.register_keras_serializable(package="attnflow_keras")
@records_arguments
class ConditionalConv1x1(ConditionedLayer):
    """``y = R L(c) D(c) U(c) x`` at every position, a matrix for each sample (Full-Glow,
    arXiv:2012.05846, section 3.1).

    R is a fixed random rotation, the initial matrix for any condition. The reference has free
    triangular factors instead, initialized to those of a rotation: their product can be nearly
    singular for a condition that was not in the training data. Here the logarithm of the diagonal
    is softly bounded by 2 and the off-diagonal entries by 1 / sqrt(c), which keeps the inverse
    small for any number of channels c. The number of parameters is the same.

    >>> layer = layers.ConditionalConv1x1(networks.MapToVectorNet(), condition_channels=3)
    >>> x = np.ones((2, 8, 8, 6), "float32")
    >>> y, log_det = layer(x, condition=np.zeros((2, 8, 8, 3), "float32"))
    >>> tuple(y.shape), tuple(log_det.shape)
    ((2, 8, 8, 6), (2,))

    Args:
        conditioner: a network from the condition to ``2 c^2 + c`` numbers for c channels, or
            ``c^2`` with ``layout="packed"``, such as :class:`MapToVectorNet`.
        layout: ``"full_lu"``, L, U and log D in separate arrays, or ``"packed"``, all three in
            one matrix (C-Glow's number of parameters).
        seed: seed of the rotation.
        **kwargs: arguments of :class:`ConditionerLayer`; ``condition_channels`` must be given.
    """

    log_scale_bound = LOG_DIAG_BOUND

    def __init__(
        self,
        conditioner: Conditioner,
        layout: str = "full_lu",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(conditioner, **kwargs)
        check_choice("layout", layout, LAYOUTS)
        self.layout = layout
        self.seed = seed

    def build_map(self, shape: tuple[int, int, int]) -> None:
        channels = shape[-1]
        count = channels**2 if self.layout == "packed" else 2 * channels**2 + channels
        self.build_conditioner((*shape[:2], self.condition_channels), count)
        rotation = random_rotation(channels, self.seed)
        self.rotation = self.add_weight(
            rotation.shape,
            lambda shape, dtype: ops.convert_to_tensor(rotation, dtype=dtype),
            name="rotation",
            trainable=False,
            autocast=False,
        )

    def bijector(
        self, condition: Any = None, noise: StepNoise | None = None
    ) -> SampleChannelMatmul:
        channels = self.map_shape[-1]
        raw = self.conditioner_output(condition, noise)
        bound = 1.0 / math.sqrt(channels)
        if self.layout == "packed":
            lower = upper = ops.reshape(raw, (-1, channels, channels))
            identity = ops.cast(np.eye(channels), self.variable_dtype)
            log_diag = ops.sum(lower * identity, axis=-1)
        else:
            lower, upper = (
                ops.reshape(
                    raw[:, i * channels**2 : (i + 1) * channels**2], (-1, channels, channels)
                )
                for i in range(2)
            )
            log_diag = raw[:, 2 * channels**2 :]
        below = ops.cast(np.tril(np.ones((channels, channels)), -1), self.variable_dtype)
        return SampleChannelMatmul(
            rotation=ops.convert_to_tensor(self.rotation),
            strict_lower=soft_clamp(lower, bound) * below,
            log_diag=soft_clamp(log_diag, LOG_DIAG_BOUND),
            strict_upper=soft_clamp(upper, bound) * ops.transpose(below),
        )
