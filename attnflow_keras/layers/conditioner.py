"""What layers with a conditioner network share."""

from typing import Any

import keras

from attnflow_keras.layers.flow_layer import FlowLayer
from attnflow_keras.networks.conditioner import Conditioner
from attnflow_keras.ops.step_noise import StepNoise

Tensor = Any


class ConditionerLayer(FlowLayer):
    """An invertible layer whose parameters come from a network.

    Args:
        conditioner: the network, such as those of ``attnflow_keras.networks``.
        **kwargs: arguments of :class:`FlowLayer`.
    """

    def __init__(self, conditioner: Conditioner, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(conditioner, Conditioner):
            raise ValueError(
                "conditioner must be a Conditioner, such as those of attnflow_keras.networks; got "
                f"{type(conditioner).__name__}"
            )
        self.conditioner = conditioner

    def conditioner_input(self, x: Tensor, condition: Tensor | None) -> Tensor:
        """What the network sees of an input of the forward map and its condition."""
        raise NotImplementedError(f"{type(self).__name__} does not define its conditioner_input")

    def build_conditioner(self, shape: tuple[int, int, int], out_channels: int) -> None:
        """Build the network for inputs ``(h, w, c)``."""
        self.conditioner.out_channels = out_channels
        if not self.conditioner.built:  # a deserialized one is
            self.conditioner.build((None, *shape))
        self.any_size = self.conditioner.any_size

    @property
    def takes_noise(self) -> bool:
        return self.conditioner.takes_noise

    def conditioner_output(self, inputs: Tensor, noise: StepNoise | None = None) -> Tensor:
        """The network's output in the layer's variable dtype, ``(n, h, w, out_channels)``."""
        given = {"noise": noise} if self.conditioner.takes_noise else {}
        return keras.ops.cast(self.conditioner(inputs, **given), self.variable_dtype)

    def adapt(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        self._check_condition(x, condition)
        self.conditioner.adapt(self.conditioner_input(x, condition))
        return super().adapt(x, condition)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "conditioner": keras.saving.serialize_keras_object(self.conditioner),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "ConditionerLayer":
        config = dict(config)
        config["conditioner"] = keras.saving.deserialize_keras_object(config["conditioner"])
        return cls(**config)


class ConditionedLayer(ConditionerLayer):
    """A layer whose bijector follows from the condition alone.

    Args:
        conditioner: a network from the condition.
        **kwargs: arguments of :class:`FlowLayer`; ``condition_channels`` must be given.
    """

    def __init__(self, conditioner: Conditioner, **kwargs: Any) -> None:
        super().__init__(conditioner, **kwargs)
        if not self.condition_channels:
            raise ValueError(
                f"condition_channels must be at least 1 for {type(self).__name__}; got 0"
            )

    def conditioner_input(self, x: Tensor, condition: Tensor | None) -> Tensor:
        return condition

    def bijector(self, condition: Any = None, noise: StepNoise | None = None) -> Any:
        """The layer's map for a condition, and the noise that its network draws in training."""
        raise NotImplementedError(f"{type(self).__name__} does not define its bijector")

    def transform(
        self, x: Tensor, condition: Any, inverse: bool, noise: StepNoise | None = None
    ) -> tuple[Tensor, Tensor]:
        bijector = self.bijector(condition, noise)
        return bijector.inverse_and_log_det(x) if inverse else bijector.forward_and_log_det(x)


def bound_inputs(layers: list[FlowLayer | None], bound: float | None) -> None:
    """Set this ``input_bound`` on every layer that has none, also inside chains."""
    for owner in layers:
        for layer in () if owner is None else owner._flatten_layers():
            if getattr(layer, "input_bound", bound) is None:
                layer.input_bound = bound
