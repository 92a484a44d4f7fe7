"""A layer that takes some channels of a condition."""

from typing import Any

import keras

from attnflow_keras.layers.chain import calling
from attnflow_keras.layers.flow_layer import FlowLayer
from attnflow_keras.ops.step_noise import StepNoise

Tensor = Any


@keras.saving.register_keras_serializable(package="attnflow_keras")
class ConditionSlice(FlowLayer):
    """A conditional layer that gets the channels from ``start`` on of a wider condition.

    In Full-Glow every layer of a step has its own map as condition; the maps of a level are
    concatenated.

    >>> layer = layers.ConditionSlice(
    ...     layers.AffineCoupling(networks.GatedConvNet(width=8), condition_channels=2),
    ...     start=1,
    ...     condition_channels=3,
    ... )
    >>> x = np.ones((2, 4, 4, 6), "float32")
    >>> y, log_det = layer(x, condition=np.zeros((2, 4, 4, 3), "float32"))
    >>> tuple(y.shape), tuple(log_det.shape)
    ((2, 4, 4, 6), (2,))

    Args:
        layer: the layer; it gets ``condition_channels`` channels.
        start: the first of these channels.
        **kwargs: arguments of :class:`FlowLayer`; ``condition_channels`` are those of the wider
            condition.
    """

    def __init__(self, layer: FlowLayer, start: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        stop = start + layer.condition_channels
        if start < 0 or not layer.condition_channels or stop > self.condition_channels:
            raise ValueError(
                f"start must leave room for the layer's {layer.condition_channels} (at least 1) "
                f"of {self.condition_channels} condition_channels; got {start}"
            )
        self.layer = layer
        self.start = start

    @property
    def log_scale_bound(self) -> Any:
        return self.layer.log_scale_bound

    def build_map(self, shape: tuple[int, int, int]) -> None:
        if not self.layer.built:  # a deserialized one is
            self.layer.build((None, *shape))
        self.any_size = self.layer.any_size

    @property
    def takes_noise(self) -> bool:
        return self.layer.takes_noise

    def transform(
        self, x: Tensor, condition: Tensor, inverse: bool, noise: StepNoise | None = None
    ) -> tuple[Tensor, Tensor]:
        return calling(noise)(self.layer, x, self._own(condition), inverse)

    def bijectors_for(self, x: Tensor, condition: Tensor | None = None) -> list[Any]:
        return self.layer.bijectors_for(x, self._own(condition))

    def adapt(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        self._check_condition(x, condition)
        return self.layer.adapt(x, self._own(condition))

    def output_map_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        return self.layer.output_map_shape(shape)

    def _own(self, condition: Any) -> Tensor:
        return condition[..., self.start : self.start + self.layer.condition_channels]

    def get_config(self) -> dict[str, Any]:
        layer = keras.saving.serialize_keras_object(self.layer)
        return {**super().get_config(), "layer": layer, "start": self.start}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ConditionSlice":
        return cls(**{**config, "layer": keras.saving.deserialize_keras_object(config["layer"])})
