"""What a causal flow may be conditioned on: classes, low-resolution images, label maps."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from attnflow_keras.core.checks import check_integer, check_number
from attnflow_keras.core.conditions import ClassKind, ConditionKind, LabelKind, PictureKind
from attnflow_keras.flow.palette import as_palette, colours
from attnflow_keras.networks import ConditionMap
from attnflow_keras.networks.initializers import Normal
from attnflow_keras.ops.step_noise import StepNoise

Tensor = Any


class Condition:
    """The encoder of one kind of condition.

    Args:
        image_shape: of the images.
        width: channels of the features.
        grid: tokens, ``(rows, columns)``.
        policy: dtype policy of the networks.
        blocks: residual blocks of a map's encoder.
    """

    kind: ConditionKind  # how a raw condition is checked
    feature_scale: int | None  # of features against the image; None for one vector

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        width: int,
        grid: tuple[int, int],
        policy: Any,
        blocks: int = 2,
    ) -> None:
        self.image_shape = image_shape
        self.width = width
        self.feature_scale = image_shape[0] // grid[0]
        self.encoder: keras.layers.Layer = ConditionMap(
            grid, width, blocks, dtype=policy, name="encoder"
        )

    def build(self) -> None:
        """Create the encoder's weights."""
        self.encoder.build((None, *self.image_shape[:2], 3))

    def picture(self, condition: Tensor) -> Tensor:
        """The grey levels that the encoder sees of a checked condition."""
        return condition

    def features(self, condition: Tensor, dtype: str) -> Tensor:
        """The feature map of a checked condition."""
        picture = (ops.cast(self.picture(condition), dtype) + 0.5) / 128.0 - 1.0
        return ops.cast(self.encoder(picture), dtype)


class ClassCondition(Condition):
    """Classes, integers ``(n,)``.

    Args:
        classes: how many.
        dropout: fraction of the training images whose class is hidden, in place of which
            there is an embedding of no class; 0 for no such embedding.
        **common: arguments of :class:`Condition`.
    """

    def __init__(self, classes: int, dropout: float = 0.0, **common: Any) -> None:
        super().__init__(**common)
        self.classes = check_integer("classes", classes, 2)
        self.dropout = check_number("class_dropout", dropout, "[0, 1)")
        self.kind = ClassKind(self.classes)
        self.feature_scale = None
        # Small: training starts from the flow of all classes.
        self.encoder = keras.layers.Embedding(
            self.classes + (1 if self.dropout else 0),
            self.width,
            embeddings_initializer=Normal(stddev=0.01),
            dtype=common["policy"],
            name="encoder",
        )

    def build(self) -> None:
        self.encoder.build((None,))

    def features(self, condition: Tensor, dtype: str) -> Tensor:
        vectors = self.encoder(ops.cast(condition, "int32"))
        return ops.cast(vectors, dtype)[:, None, None, :]

    def of_no_class(self, like: Tensor) -> Tensor:
        """The features of no class, as many as those of ``like``."""
        none = self.features(ops.convert_to_tensor([self.classes]), like.dtype)
        return ops.broadcast_to(none, ops.shape(like))

    def dropped(self, features: Tensor, noise: StepNoise) -> Tensor:
        """Features of a training step, some of them replaced by those of no class."""
        if not self.dropout:
            return features
        shape = (ops.shape(features)[0], 1, 1, 1)
        kept = noise.keep_mask(shape, self.dropout, features.dtype) * (1.0 - self.dropout)
        none = self.of_no_class(features)
        return none + kept * (features - none)


class PictureCondition(Condition):
    """Low-resolution images, uint8 ``(n, h / factor, w / factor, c)``, for super-resolution."""

    def __init__(self, scale: int, **common: Any) -> None:
        super().__init__(**common)
        height, width, channels = self.image_shape
        check_integer("scale", scale, 2)
        if height % scale or width % scale:
            raise ValueError(f"scale must divide {height} and {width}; got {scale}")
        self.scale = scale
        self.kind = PictureKind((height // scale, width // scale, channels), scale)

    def build(self) -> None:
        self.encoder.build((None, *(self.kind.shape or ())))


class LabelCondition(Condition):
    """Label maps: classes ``(n, h, w)`` of a palette, or its colours ``(n, h, w, 3)``."""

    def __init__(self, palette: Any, **common: Any) -> None:
        super().__init__(**common)
        self.palette = as_palette(palette)
        if self.palette is None:
            raise ValueError("palette must be colours (classes, 3); got None")
        self.kind = LabelKind(self.image_shape[:2], self.palette)

    def picture(self, condition: Tensor) -> Tensor:
        return colours(condition, self.palette)


KINDS: dict[str, Callable[..., Condition]] = {
    "classes": ClassCondition,
    "scale": PictureCondition,
    "palette": LabelCondition,
}


def make_condition(kind: dict[str, Any], **common: Any) -> Condition:
    """The condition that one of ``classes``, ``scale`` and ``palette`` describes.

    Args:
        kind: name and value of that argument.
        **common: the other arguments of :class:`Condition`.

    Raises:
        ValueError: several of them, or a bad value.
    """
    if len(kind) != 1:
        raise ValueError(
            f"a flow has one condition: give one of {', '.join(KINDS)}; got {', '.join(kind)}"
        )
    (name,) = kind
    return KINDS[name](**common, **kind)
