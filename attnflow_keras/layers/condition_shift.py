"""A shift by the condition."""

from typing import Any

import keras

from attnflow_keras.bijectors.base import per_sample
from attnflow_keras.layers.flow_layer import FlowLayer

Tensor = Any


@keras.saving.register_keras_serializable(package="attnflow_keras")
class ConditionShift(FlowLayer):
    """``y = x - c``: subtract the prediction ``c``, which is the condition.

    >>> layer = layers.ConditionShift(condition_channels=1)
    >>> x = np.ones((2, 4, 4, 1), "float32")
    >>> y, log_det = layer(x, condition=x)
    >>> float(np.abs(y).max())
    0.0

    Args:
        **kwargs: arguments of :class:`FlowLayer`; ``condition_channels`` are those of the map.
    """

    def build_map(self, shape: tuple[int, int, int]) -> None:
        if self.condition_channels != shape[-1]:
            raise ValueError(
                f"condition_channels must be those of the map, {shape[-1]}; got "
                f"{self.condition_channels}"
            )

    def transform(self, x: Tensor, condition: Any, inverse: bool) -> tuple[Tensor, Tensor]:
        y = x + condition if inverse else x - condition
        return y, per_sample(keras.ops.zeros((), dtype=x.dtype), x)
