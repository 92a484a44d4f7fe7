"""Actnorm whose bias and scale come from a condition."""

from typing import Any

import keras
import numpy as np
from keras import ops

from attnflow_keras.bijectors import ShiftScale
from attnflow_keras.layers.actnorm import LOG_SCALE_BOUND, batch_statistics
from attnflow_keras.layers.conditioner import ConditionedLayer
from attnflow_keras.ops.numerics import inverse_soft_clamp, soft_clamp
from attnflow_keras.ops.step_noise import StepNoise

Tensor = Any


@keras.saving.register_keras_serializable(package="attnflow_keras")
class ConditionalActNorm(ConditionedLayer):
    """``y = (x + bias(c)) * exp(log_scale(c))``, one bias and scale per channel and sample
    (Full-Glow, arXiv:2012.05846, section 3.1).

    :meth:`adapt` initializes both as in :class:`ActNorm`, for any condition. The log-scale is
    softly bounded by +-12; the reference's factor may pass through 0.

    >>> layer = layers.ConditionalActNorm(networks.MapToVectorNet(), condition_channels=3)
    >>> x = np.ones((2, 8, 8, 6), "float32")
    >>> y, log_det = layer(x, condition=np.zeros((2, 8, 8, 3), "float32"))
    >>> tuple(y.shape), tuple(log_det.shape)
    ((2, 8, 8, 6), (2,))

    Args:
        conditioner: a network from the condition to 2 numbers per channel, such as
            :class:`MapToVectorNet`.
        **kwargs: arguments of :class:`ConditionerLayer`; ``condition_channels`` must be given.
    """

    log_scale_bound = LOG_SCALE_BOUND

    def build_map(self, shape: tuple[int, int, int]) -> None:
        self.build_conditioner((*shape[:2], self.condition_channels), 2 * shape[-1])

    def bijector(self, condition: Any = None, noise: StepNoise | None = None) -> ShiftScale:
        raw = self.conditioner_output(condition, noise)[:, None, None, :]
        bias, log_scale = ops.split(raw, 2, axis=-1)
        return ShiftScale(bias, soft_clamp(log_scale, LOG_SCALE_BOUND))

    def adapt(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        mean, log_scale = batch_statistics(self.name, x)
        raw = np.asarray(inverse_soft_clamp(log_scale, LOG_SCALE_BOUND))
        self.conditioner.start_at(np.concatenate([-mean, raw]))
        return super().adapt(x, condition)
