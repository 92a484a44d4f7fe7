"""Affine injector: the condition moves every element."""

from typing import Any

import keras

from attnflow_keras.bijectors import FlowBijector, ShiftScale
from attnflow_keras.layers.flow_layer import FlowLayer
from attnflow_keras.numerics import sigmoid_log_scale

Tensor = Any


@keras.saving.register_keras_serializable(package="attnflow_keras")
class AffineInjector(FlowLayer):
    """``y = (x + shift(c)) * scale(c)`` for a condition c (SRFlow, arXiv:2006.14200, section 3.4).

    ``scale = sigmoid(raw + 2) + 1e-4``, so that the inverse amplifies by 10,000 at most.

    Args:
        conditioner: the network for shift and scale on the condition, 2 outputs a channel.
        **kwargs: arguments of :class:`FlowLayer`; ``condition_channels`` must be given.
    """

    def __init__(self, conditioner: keras.layers.Layer, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not self.condition_channels:
            raise ValueError("condition_channels must be at least 1 for an injector; got 0")
        if not hasattr(conditioner, "out_channels"):
            raise ValueError(
                "conditioner must be a layer with an out_channels attribute, such as those of "
                f"attnflow_keras.networks; got {type(conditioner).__name__}"
            )
        self.conditioner = conditioner

    def build_map(self, shape: tuple[int, int, int]) -> None:
        height, width, channels = shape
        self.conditioner.out_channels = 2 * channels
        if not self.conditioner.built:  # a deserialized one is
            self.conditioner.build((None, height, width, self.condition_channels))

    def bijector(self, condition: Any = None) -> FlowBijector:
        raw = keras.ops.cast(self.conditioner(condition), self.variable_dtype)
        shift, raw_scale = keras.ops.split(raw, 2, axis=-1)
        return ShiftScale(shift, sigmoid_log_scale(raw_scale))

    def adapt(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        if hasattr(self.conditioner, "adapt"):
            self._check_condition(x, condition)
            self.conditioner.adapt(condition)
        return super().adapt(x, condition)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "conditioner": keras.saving.serialize_keras_object(self.conditioner),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "AffineInjector":
        config = dict(config)
        config["conditioner"] = keras.saving.deserialize_keras_object(config["conditioner"])
        return cls(**config)
