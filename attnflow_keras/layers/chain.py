"""Several invertible layers as one."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from attnflow_keras.layers.flow_layer import FlowLayer
from attnflow_keras.ops.step_noise import StepNoise

Tensor = Any

# What is done at each layer: ``apply(layer, x, condition, inverse)`` returns the layer's output
# and log-determinant.
Apply = Callable[[FlowLayer, Tensor, Any, bool], tuple[Tensor, Tensor]]


@keras.saving.register_keras_serializable(package="attnflow_keras")
class Chain(FlowLayer):
    """Apply named layers in order; the inverse applies their inverses in reverse order.

    The names are the paths under which the weights are saved, so a file stays readable when a
    class is renamed.

    >>> layer = layers.Chain({"squeeze": layers.Squeeze(), "actnorm": layers.ActNorm()})
    >>> y, log_det = layer(np.ones((2, 4, 4, 6), "float32"))
    >>> tuple(y.shape)
    (2, 2, 2, 24)

    Args:
        flow_layers: name -> layer, in forward order. A name must be a Python identifier.
        **kwargs: arguments of :class:`FlowLayer`. The condition is passed to every layer that takes
            one.
    """

    def __init__(self, flow_layers: dict[str, FlowLayer], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not flow_layers:
            raise ValueError("flow_layers must name at least one layer; got an empty dict")
        self.order = list(flow_layers)
        for name, layer in flow_layers.items():
            if not name.isidentifier() or hasattr(self, name):
                raise ValueError(f"flow_layers: {name!r} can't be used as a layer's name")
            setattr(self, name, layer)

    def steps(self) -> list[FlowLayer]:
        """The layers in forward order."""
        return [getattr(self, name) for name in self.order]

    def build_map(self, shape: tuple[int, int, int]) -> None:
        for layer in self.steps():
            if not layer.built:  # a deserialized one is
                layer.build((None, *shape))
            shape = layer.output_map_shape(shape)
        self.any_size = all(layer.any_size for layer in self.steps())

    @property
    def takes_noise(self) -> bool:
        return any(layer.takes_noise for layer in self.steps())

    def transform(
        self,
        x: Tensor,
        condition: Tensor | None,
        inverse: bool,
        noise: StepNoise | None = None,
    ) -> tuple[Tensor, Tensor]:
        return self.walk(x, condition, inverse, calling(noise))

    def walk(
        self, x: Tensor, condition: Tensor | None, inverse: bool, apply: Apply
    ) -> tuple[Tensor, Tensor]:
        """Call ``apply`` for each layer in order; arguments as in :meth:`MultiScale.encode`."""
        total = 0.0
        for layer in reversed(self.steps()) if inverse else self.steps():
            own = condition if layer.condition_channels else None
            x, log_det = apply(layer, x, own, inverse)
            total = total + log_det
        return x, total

    def adapt(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        return self.walk(x, condition, False, adapting)[0]

    def output_map_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        for layer in self.steps():
            shape = layer.output_map_shape(shape)
        return shape

    def _check_condition(self, x: Tensor, condition: Any) -> None:
        if condition is None or not self.condition_channels:
            super()._check_condition(x, condition)
        # Its size is that of the layers that take it, which may stand behind a squeeze.

    def get_config(self) -> dict[str, Any]:
        layers = {
            name: keras.saving.serialize_keras_object(getattr(self, name)) for name in self.order
        }
        return {**super().get_config(), "flow_layers": layers}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Chain":
        config = dict(config)
        config["flow_layers"] = {
            name: keras.saving.deserialize_keras_object(layer)
            for name, layer in config["flow_layers"].items()
        }
        return cls(**config)


def calling(noise: StepNoise | None = None) -> Apply:
    """``apply`` that calls the layers, with the noise of a training step if there is one."""

    def apply(layer: FlowLayer, x: Tensor, condition: Any, inverse: bool) -> tuple[Tensor, Tensor]:
        given = {"noise": noise} if noise is not None and layer.takes_noise else {}
        return layer(x, condition=condition, inverse=inverse, **given)

    return apply


def recomputing(noise: StepNoise | None = None) -> Apply:
    """As :func:`calling`, but the gradient recomputes each layer instead of storing its
    activations: less memory, more time."""

    def apply(layer: FlowLayer, x: Tensor, condition: Any, inverse: bool) -> tuple[Tensor, Tensor]:
        before = noise.copy() if noise is not None else None

        def run(x: Tensor, *given: Tensor) -> tuple[Tensor, Tensor]:
            # Each time the masks of the first.
            own = before.copy() if before is not None else None
            y, log_det = calling(own)(layer, x, given[0] if given else None, inverse)
            if noise is not None and own is not None:
                noise.masks = max(noise.masks, own.masks)
            return y, ops.convert_to_tensor(log_det)

        return keras.remat(run)(x, *(() if condition is None else (condition,)))

    return at_leaves(apply)


def adapting(layer: FlowLayer, x: Tensor, condition: Any, inverse: bool) -> tuple[Tensor, float]:
    """``apply`` that initializes the layers from a batch."""
    return layer.adapt(x, condition), 0.0


def at_leaves(apply: Apply) -> Apply:
    """``apply`` that expands chains, and calls another ``apply`` for the layers inside."""

    def visit(layer: FlowLayer, x: Tensor, condition: Any, inverse: bool) -> tuple[Tensor, Tensor]:
        if isinstance(layer, Chain):
            return layer.walk(x, condition, inverse, visit)
        return apply(layer, x, condition, inverse)

    return visit
