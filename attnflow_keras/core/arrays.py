"""Checks of the arrays and tensors that users give, in NumPy alone.

A tensor of a graph under construction has a shape and a dtype but no values: of such a tensor
only these are checked.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from attnflow_keras.core.noise import FLOAT_LIMIT, NotFiniteError, check_range


def as_array(x: Any) -> Any:
    """The array or tensor itself; lists and numbers as NumPy arrays."""
    return x if hasattr(x, "dtype") else np.asarray(x)


def shape_of(x: Any) -> tuple[Any, ...]:
    """Shape of an array or tensor; None for a side that is not known yet."""
    return tuple(getattr(x, "shape", np.shape(x)))


def dtype_name(x: Any) -> str:
    """The dtype of an array or tensor as text, such as ``"uint8"``."""
    return str(getattr(x.dtype, "name", x.dtype))


def values_of(x: Any) -> np.ndarray | None:
    """The values of an array or tensor, None for a tensor of a graph under construction."""
    try:
        return np.asarray(x)
    except Exception:
        return None


def is_float(x: Any) -> bool:
    """Whether the dtype is one of floating-point numbers."""
    return dtype_name(x).startswith(("float", "bfloat"))


def is_uint8(images: Any) -> bool:
    """Whether images are grey levels, not floats. Raises unless they are uint8 or floats."""
    if dtype_name(images) == "uint8":
        return True
    if is_float(images):
        return False
    raise ValueError(
        f"images must be uint8 (0 to 255) or floats in [-0.5, 0.5]; got dtype {dtype_name(images)}"
    )


def sides(shape: Any) -> str:
    """Sides of a shape, with commas."""
    return ", ".join(map(str, shape))


def check_array(name: str, x: Any) -> None:
    """Raise ValueError for a dict, which only ``fit`` and related methods take."""
    if isinstance(x, dict):
        raise ValueError(
            f"{name} must be an array; got a dict. Give its parts as arguments: "
            "bits_per_dim(images, condition=conditions)"
        )


def check_shape(name: str, x: Any, shape: tuple[Any, ...]) -> None:
    """Raise unless ``x`` has shape ``(n, *shape)``; None stands for any side."""
    given = shape_of(x)
    if len(given) != len(shape) + 1 or any(
        side is not None and side != got for side, got in zip(shape, given[1:], strict=True)
    ):
        letters = iter("hw")
        expected = sides(next(letters) if side is None else side for side in shape)
        raise ValueError(f"{name} must have shape (n, {expected}); got {given}")


def check_finite(name: str, x: Any, limit: float | None = None, images: bool = False) -> None:
    """Raise for NaN, Inf or, with a limit, values beyond it.

    With ``images``, values from 0 to more than 1/2 are taken for images scaled to [0, 1].
    """
    values = values_of(x)
    if values is None or values.size == 0:
        return
    if not np.isfinite(values).all():
        raise NotFiniteError(f"{name} must be finite; got NaN or Inf")
    if limit is not None:
        check_range(name, values, limit, images)


def check_floats(name: str, x: Any, shape: tuple[Any, ...]) -> None:
    """Raise unless ``x`` holds finite floats of shape ``(n, *shape)`` that fit float32."""
    check_shape(name, x, shape)
    if not is_float(x):
        raise ValueError(f"{name} must hold floats; got dtype {dtype_name(x)}")
    check_finite(name, x)
    values = values_of(x)
    if values is None or values.size == 0:
        return
    with np.errstate(over="ignore"):
        held = np.isfinite(values.astype("float32")).all()
    if not held:
        raise ValueError(
            f"{name} must fit float32; got {values.dtype} from {values.min()} to {values.max()}"
        )


def as_images(
    x: Any, shape: tuple[Any, ...], name: str = "images", limit: float = FLOAT_LIMIT
) -> Any:
    """Images as an array or tensor of the right shape and dtype, with finite values.

    Args:
        x: uint8 or floats ``(n, *shape)``, n at least 1.
        shape: shape of one image; None for any side.
        name: the argument's name, for errors.
        limit: bound of the absolute value of float images; data to learn from or to count bits
            of keep to ``DATA_LIMIT``.
    """
    x = as_array(x)
    integer = is_uint8(x)
    check_shape(name, x, shape)
    if x.shape[0] == 0:
        raise ValueError(f"{name} holds no image; got shape {tuple(x.shape)}")
    if not integer:
        check_finite(name, x, limit, images=True)
    return x


def count_of(parts: Any) -> Any:
    """Length of the first axis of a nest of arrays, None where it is not known."""
    while isinstance(parts, list | tuple):
        parts = parts[0]
    return shape_of(parts)[0]


def map_parts(function: Callable[[Any], Any], parts: Any) -> Any:
    """``function`` of each array of a nest of tuples."""
    if isinstance(parts, list | tuple):
        return tuple(map_parts(function, part) for part in parts)
    return function(parts)
