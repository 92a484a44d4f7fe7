"""Flows over patches, with any of three kinds of condition."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from attnflow_keras import layers
from attnflow_keras.core.checks import check_integer, check_number
from attnflow_keras.core.recorded import plain
from attnflow_keras.flow.arguments import Shared, shares
from attnflow_keras.flow.conditions import make_condition
from attnflow_keras.flow.flow import Flow
from attnflow_keras.layers.causal_decoding import decoding
from attnflow_keras.ops.step_noise import StepNoise
from attnflow_keras.priors import StandardPrior

Tensor = Any

# Where a model's docstring has the arguments of Conditioning.
PLACEHOLDER = "<condition>"


@dataclasses.dataclass(frozen=True)
class Conditioning(Shared):
    """What a flow over patches is conditioned on; its fields are arguments of the flow.

    Args:
        classes: the condition is a class, an integer below this number; of ``classes``,
            ``scale`` and ``palette`` at most one is given, none for an unconditional flow.
        scale: the condition is an image that is so many times smaller, for super-resolution.
        palette: the condition is a label map with these colours ``(classes, 3)``.
        condition_width: channels of the condition's features.
        condition_blocks: residual blocks of the encoder of a condition map.
        class_dropout: fraction of the training images whose class is hidden; above 0, the
            flow models images of any class too, which a causal flow needs for ``guidance`` in
            :meth:`sample`. TarFlow has 0.1.
    """

    classes: int | None = None
    scale: int | None = None
    palette: Any = None
    condition_width: int = 96
    condition_blocks: int = 2
    class_dropout: float = 0.0

    def __post_init__(self) -> None:
        check_integer("condition_width", self.condition_width)
        check_integer("condition_blocks", self.condition_blocks, 0)
        check_number("class_dropout", self.class_dropout, "[0, 1)")
        if self.class_dropout and self.classes is None:
            raise ValueError(f"class_dropout goes with classes; got {self.class_dropout} without")

    def kind(self) -> dict[str, Any]:
        """Name and value of the argument that says what the condition is."""
        given = {name: getattr(self, name) for name in ("classes", "scale", "palette")}
        return {name: value for name, value in given.items() if value is not None}

    def to_config(self) -> dict[str, Any]:
        """The arguments as JSON has them; of the kinds, the one that is given."""
        common = ("condition_width", "condition_blocks", "class_dropout")
        kind = {
            name: value.tolist() if hasattr(value, "tolist") else value
            for name, value in self.kind().items()
        }
        return {**{name: getattr(self, name) for name in common}, **kind}


def accepts_condition(after: str) -> Callable[[Any], Any]:
    """Decorator of a model that takes the arguments of :class:`Conditioning`."""
    return shares(Conditioning, PLACEHOLDER, after)


class TokenFlow(Flow):
    """A flow whose layers see an image as patches, and a condition as features of each.

    Args:
        image_shape: ``(height, width, channels)``; both sides divisible by ``patch``.
        patch: side of a patch, the token.
        **kwargs: arguments of :class:`Conditioning` and of :class:`Flow`.
    """

    def __init__(self, image_shape: tuple[int, int, int], patch: int, **kwargs: Any) -> None:
        conditioning = Conditioning.take(kwargs)
        super().__init__(image_shape, **kwargs)
        height, width, _ = self.float_shape
        if height % check_integer("patch", patch) or width % patch:
            raise ValueError(
                f"patch must divide the map's height and width, {height} and {width}; got {patch}"
            )
        self._class_dropout = conditioning.class_dropout
        self._token_config = {"patch": patch, **conditioning.to_config()}
        self._conditioning: Any = None
        kind = conditioning.kind()
        if kind:
            dropout = {"dropout": self._class_dropout} if self._class_dropout else {}
            self._conditioning = make_condition(
                kind,
                **dropout,
                image_shape=self.image_shape,
                width=conditioning.condition_width,
                grid=(height // patch, width // patch),
                policy=self.dtype_policy,
                blocks=conditioning.condition_blocks,
            )
            self.encoder = self._conditioning.encoder
            self.condition_kind = self._conditioning.kind
            for name in kind:
                setattr(self, name, getattr(self._conditioning, name))

    # Whether the layers are causal ones, which can be guided and decoded by iterations.
    causal = False

    @property
    def side_multiple(self) -> int:
        """What the sides of the images of a tile must be divisible by: those of a patch."""
        return int(self._token_config["patch"])

    def build(self, input_shape: Any = None) -> None:
        if getattr(self, "built", False):
            return
        if self._conditioning is not None:
            self._conditioning.build()
        super().build(input_shape)

    def layer_options(self) -> dict[str, Any]:
        """What every layer over patches takes."""
        common: dict[str, Any] = {"dtype": self.dtype_policy, "patch": self._token_config["patch"]}
        if self._conditioning is not None:
            common["condition_channels"] = self._conditioning.width
            common["condition_scale"] = self._conditioning.feature_scale
        return common

    def one_level(
        self, parts: dict[str, layers.FlowLayer]
    ) -> list[tuple[layers.FlowLayer, layers.FlowLayer | None]]:
        """These layers as the flow's only level."""
        channels = self._conditioning.width if self._conditioning is not None else 0
        chain = layers.Chain(parts, condition_channels=channels, dtype=self.dtype_policy)
        return [(chain, StandardPrior(dtype=self.dtype_policy))]

    def traced_condition(self, condition: Tensor) -> Any:
        if self._conditioning is None:
            return condition
        return (self._conditioning.features(condition, self.variable_dtype),)

    def training_features(self, features: Any, noise: StepNoise) -> Any:
        if not self._class_dropout:
            return features
        return (self._conditioning.dropped(features[0], noise),)

    def traced_draw(
        self, latents: Any, features: Any, guidance: Tensor | None, method: str
    ) -> Tensor:
        """As :meth:`traced_decode`, with guidance ``(n,)`` away from images of no class, or by
        another method."""
        other = None if guidance is None else self._conditioning.of_no_class(features[0])
        return self.multi_scale.decode(latents, features, decoding(method, other, guidance))

    def _draw(
        self, latents: tuple, condition: Any, guidance: float | None, method: str, batch_size: int
    ) -> Tensor:
        guidable = self.causal and self._class_dropout
        if not self.causal or (guidance is not None and not guidable):
            return super()._draw(latents, condition, guidance, method, batch_size)
        latents = tuple(map(self._cast, latents))
        features = self._features(condition)
        given: dict[str, Any] = {"latents": latents}
        if features is not None:
            given["features"] = features
        if guidance is not None:
            given["guidance"] = np.full(len(latents[0]), guidance, self.variable_dtype)

        def draw(given: dict[str, Any]) -> Tensor:
            return self.traced_draw(
                given["latents"], given.get("features"), given.get("guidance"), method
            )

        return self._compiled_methods.run(f"draw {method}", draw, (given,), batch_size)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **plain(self._token_config)}
