"""What a causal flow may be conditioned on: classes, low-resolution images, label maps."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from attnflow_keras.core.checks import check_integer
from attnflow_keras.core.palettes import as_classes
from attnflow_keras.flow import inputs as checks
from attnflow_keras.flow.palette import as_palette, check_labels, colours
from attnflow_keras.networks import ConditionMap
from attnflow_keras.networks.initializers import Normal

Tensor = Any


class Condition:
    """One kind of condition; a subclass says what it looks like and how it is read.

    Args:
        image_shape: of the images.
        width: channels of the features.
        grid: tokens, ``(rows, columns)``.
        policy: dtype policy of the networks.
        blocks: residual blocks of a map's encoder.
    """

    shape: tuple[int, ...]  # of one raw condition
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

    def check(self, condition: Any) -> None:
        """Raise ValueError unless this is a raw condition of this kind."""
        raise NotImplementedError(f"{type(self).__name__} does not define check")

    def plain(self, condition: Any) -> Any:
        """The condition in the one form that graphs take."""
        return condition

    def features(self, condition: Tensor, dtype: str) -> Tensor:
        """The feature map of a checked condition."""
        raise NotImplementedError(f"{type(self).__name__} does not define features")


class ClassCondition(Condition):
    """Classes, integers ``(n,)``."""

    def __init__(self, classes: int, **common: Any) -> None:
        super().__init__(**common)
        self.classes = check_integer("classes", classes, 2)
        self.shape = ()
        self.feature_scale = None
        self.encoder = keras.layers.Embedding(
            classes,
            self.width,
            embeddings_initializer=Normal(stddev=1.0),
            dtype=common["policy"],
            name="encoder",
        )

    def build(self) -> None:
        self.encoder.build((None,))

    def check(self, condition: Any) -> None:
        condition = condition if hasattr(condition, "dtype") else np.asarray(condition)
        shape, dtype = tuple(condition.shape), checks.dtype_name(condition)
        if len(shape) != 1 or not dtype.startswith(("int", "uint")):
            raise ValueError(
                f"condition must be classes, integers of shape (n,); got {dtype} of shape {shape}"
            )
        try:
            values = np.asarray(ops.convert_to_numpy(condition))
        except Exception:  # a tensor of a graph under construction has no values yet
            return
        if values.size and not 0 <= values.min() <= values.max() < self.classes:
            raise ValueError(
                f"condition must hold classes 0 to {self.classes - 1}; got {values.min()} to "
                f"{values.max()}"
            )

    def plain(self, condition: Any) -> Any:
        return condition.astype("uint8") if isinstance(condition, np.ndarray) else condition

    def features(self, condition: Tensor, dtype: str) -> Tensor:
        vectors = self.encoder(ops.cast(condition, "int32"))
        return ops.cast(vectors, dtype)[:, None, None, :]


class PictureCondition(Condition):
    """Low-resolution images, uint8 ``(n, h / factor, w / factor, c)``, for super-resolution."""

    def __init__(self, scale: int, **common: Any) -> None:
        super().__init__(**common)
        height, width, channels = self.image_shape
        check_integer("scale", scale, 2)
        if height % scale or width % scale:
            raise ValueError(f"scale must divide {height} and {width}; got {scale}")
        self.scale = scale
        self.shape = (height // scale, width // scale, channels)

    def build(self) -> None:
        self.encoder.build((None, *self.shape))

    def check(self, condition: Any) -> None:
        condition = condition if hasattr(condition, "dtype") else np.asarray(condition)
        checks.check_shape("condition", condition, self.shape)
        if checks.dtype_name(condition) != "uint8":
            raise ValueError(
                f"condition must be uint8 low-resolution images; got {checks.dtype_name(condition)}"
            )

    def features(self, condition: Tensor, dtype: str) -> Tensor:
        picture = (ops.cast(condition, dtype) + 0.5) / 128.0 - 1.0
        return ops.cast(self.encoder(picture), dtype)


class LabelCondition(Condition):
    """Label maps: classes ``(n, h, w)`` of a palette, or its colours ``(n, h, w, 3)``."""

    def __init__(self, palette: Any, **common: Any) -> None:
        super().__init__(**common)
        self.palette = as_palette(palette)
        if self.palette is None:
            raise ValueError("palette must be colours (classes, 3); got None")
        self.shape = self.image_shape[:2]

    def check(self, condition: Any) -> None:
        check_labels(condition, (*self.image_shape[:2], 3), self.palette)

    def plain(self, condition: Any) -> Any:
        if not isinstance(condition, np.ndarray):
            return condition
        if condition.ndim == 4:
            return as_classes(condition, self.palette)
        return condition.astype("uint8")

    def features(self, condition: Tensor, dtype: str) -> Tensor:
        picture = (ops.cast(colours(condition, self.palette), dtype) + 0.5) / 128.0 - 1.0
        return ops.cast(self.encoder(picture), dtype)


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
