"""What a model may be conditioned on: how a raw condition is checked, in NumPy alone."""

from typing import Any

import numpy as np

from attnflow_keras.core.arrays import (
    check_finite,
    dtype_name,
    is_float,
    shape_of,
    sides,
    values_of,
)
from attnflow_keras.core.palettes import as_classes


class ConditionKind:
    """One kind of condition; this one is of arrays about which nothing else is known.

    Args:
        shape: of one raw condition; None for any.
        dtype: of the array that graphs take.
    """

    scale = 1  # sides of an image against those of its condition
    noun = "array"

    def __init__(self, shape: tuple[int, ...] | None, dtype: str = "float32") -> None:
        self.shape = shape
        self.dtype = dtype

    @property
    def expected(self) -> str:
        """In words."""
        if self.shape is None:
            return "an array (n, ...)"
        kind = "floats" if self.dtype.startswith("float") else f"integers that fit {self.dtype}"
        return f"{kind} of shape (n, {sides(self.shape)})"

    def check(self, condition: Any) -> None:
        """Raise ValueError unless this is a raw condition of this kind.

        Args:
            condition: an array, or a tensor; of one without values, shape and dtype are checked.
        """
        self._check_count(condition)
        if self.shape is None:
            return
        if shape_of(condition)[1:] != tuple(self.shape):
            raise ValueError(
                f"condition must have shape (n, {sides(self.shape)}); got {shape_of(condition)}"
            )
        if self.dtype.startswith("float"):
            if not is_float(condition):
                raise ValueError(f"condition must hold floats; got dtype {dtype_name(condition)}")
            check_finite("condition", condition)
            return
        info = np.iinfo(self.dtype)
        self._check_integers(condition, "integers", info.min, info.max)

    def plain(self, condition: Any) -> Any:
        """A checked condition as graphs take it; tensors pass as they are."""
        if self.shape is None or not isinstance(condition, np.ndarray):
            return condition
        return np.ascontiguousarray(condition, dtype=self.dtype)

    def describe(self) -> dict[str, Any]:
        """What a manifest says of it, see :func:`from_description`."""
        return {"shape": list(self.shape or ()), "dtype": self.dtype}

    def _check_count(self, condition: Any) -> None:
        shape = shape_of(condition)
        if not shape or shape[0] == 0:
            raise ValueError(f"condition holds no {self.noun}; got shape {shape}")

    def _check_integers(self, condition: Any, what: str, least: int, most: int) -> None:
        if not dtype_name(condition).startswith(("int", "uint")):
            raise ValueError(
                f"condition must be integers, {what} {least} to {most}; got {dtype_name(condition)}"
            )
        values = values_of(condition)
        if values is not None and values.size and not least <= values.min() <= values.max() <= most:
            raise ValueError(
                f"condition must hold {what} {least} to {most}; got {values.min()} to "
                f"{values.max()}"
            )


class ClassKind(ConditionKind):
    """Classes, integers ``(n,)`` from 0 to below ``classes``."""

    noun = "class"

    def __init__(self, classes: int) -> None:
        super().__init__((), "uint8")
        self.classes = classes

    @property
    def expected(self) -> str:
        return f"classes 0 to {self.classes - 1}, integers of shape (n,)"

    def check(self, condition: Any) -> None:
        shape, dtype = shape_of(condition), dtype_name(condition)
        if len(shape) != 1 or not dtype.startswith(("int", "uint")):
            raise ValueError(
                f"condition must be classes, integers of shape (n,); got {dtype} of shape {shape}"
            )
        self._check_count(condition)
        self._check_integers(condition, "classes", 0, self.classes - 1)

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "classes": self.classes}


class PictureKind(ConditionKind):
    """Low-resolution images, uint8 ``(n, h, w, c)``, for super-resolution.

    Args:
        shape: of the low-resolution images that the model was made for.
        scale: how many times larger their images are.
        any_size: whether the model takes images of other sizes too.
    """

    noun = "image"

    def __init__(self, shape: tuple[int, ...], scale: int, any_size: bool = False) -> None:
        super().__init__(shape, "uint8")
        self.scale = scale
        self.any_size = any_size

    @property
    def expected(self) -> str:
        shape = ("h", "w", self.shape[-1]) if self.any_size else self.shape  # type: ignore[index]
        return f"uint8 low-resolution images of shape (n, {sides(shape)})"

    def check(self, condition: Any) -> None:
        shape, own = shape_of(condition), tuple(self.shape or ())
        if self.any_size:
            fits = len(shape) == 4 and shape[-1] == own[-1] and 0 not in shape[1:]
        else:
            fits = shape[1:] == own
        if not fits:
            raise ValueError(f"condition must be {self.expected}; got shape {shape}")
        if dtype_name(condition) != "uint8":
            raise ValueError(f"condition must be {self.expected}; got {dtype_name(condition)}")
        self._check_count(condition)


class LabelKind(ConditionKind):
    """Label maps: classes of a palette ``(n, h, w)``, or colours, uint8 ``(n, h, w, c)``.

    Args:
        size: height and width.
        palette: colour of each class, uint8 ``(classes, 3)``; None for maps of any colours.
        extra_channels: channels that maps of colours have besides.
    """

    noun = "label map"

    def __init__(
        self, size: tuple[int, int], palette: np.ndarray | None, extra_channels: int = 0
    ) -> None:
        self.colour_shape = (*size, 3 + extra_channels)
        super().__init__(self.colour_shape if palette is None else size, "uint8")
        self.palette = palette

    @property
    def expected(self) -> str:
        classes = ""
        if self.palette is not None:
            classes = f"classes of shape (n, {sides(self.colour_shape[:2])}) or "
        return f"{classes}colours of shape (n, {sides(self.colour_shape)})"

    def check(self, condition: Any) -> None:
        """Raise ValueError for another shape or dtype, or a class or colour that is unknown."""
        given, dtype = shape_of(condition), dtype_name(condition)
        colour = len(given) == 4 and given[1:] == self.colour_shape
        if not colour and (self.palette is None or given[1:] != self.colour_shape[:2]):
            hint = ""
            if self.palette is None and given[1:] == self.colour_shape[:2]:
                hint = "; give the flow a palette for maps of classes"
            raise ValueError(f"condition must be {self.expected}; got shape {given}{hint}")
        if colour and dtype != "uint8":
            raise ValueError(f"condition must be uint8; got {dtype}")
        self._check_count(condition)
        if not colour:
            self._check_integers(condition, "classes", 0, len(self.palette) - 1)  # type: ignore[arg-type]
        elif self.palette is not None:
            values = values_of(condition)
            if values is not None:
                as_classes(values, self.palette, name="condition")

    def plain(self, condition: Any) -> Any:
        """Classes as uint8 where there is a palette, so that all kinds share a trace."""
        if self.palette is None or not isinstance(condition, np.ndarray):
            return condition
        if condition.ndim == 4:
            return as_classes(condition, self.palette)
        return np.ascontiguousarray(condition, dtype="uint8")

    def describe(self) -> dict[str, Any]:
        if self.palette is None:
            return {**super().describe(), "kind": "labels"}
        colours = self.palette.tolist()
        return {**super().describe(), "classes": len(colours), "palette": colours}


def from_description(given: dict[str, Any], image_shape: tuple[int, ...]) -> ConditionKind:
    """The kind that a manifest describes, in exports of any age.

    Args:
        given: ``shape`` and ``dtype``; ``classes``, ``palette`` and ``kind`` where they apply.
        image_shape: of the model's images.
    """
    shape, dtype = tuple(given["shape"]), given["dtype"]
    kind, classes, palette = (given.get(key) for key in ("kind", "classes", "palette"))
    if palette is not None:
        return LabelKind(shape[:2], np.array(palette, "uint8"))
    if kind == "labels" and len(shape) == 3:
        return LabelKind(shape[:2], None, shape[-1] - 3)
    if classes is not None and not shape:
        return ClassKind(classes)
    if len(shape) == 3 and dtype == "uint8" and shape[-1] == image_shape[-1]:
        scale = image_shape[0] // shape[0]
        if scale > 1 and tuple(scale * side for side in shape[:2]) == tuple(image_shape[:2]):
            return PictureKind(shape, scale)
    return ConditionKind(shape, dtype)
