"""Check and sort what users hand to a flow."""

from typing import Any

import numpy as np
from keras import ops

from attnflow_keras.core.noise import DATA_LIMIT as DATA_LIMIT
from attnflow_keras.core.noise import FLOAT_LIMIT, check_range
from attnflow_keras.ops.numerics import Tensor

# Noise and weight are put there by fit, evaluate and predict.
PARTS = ("image", "condition", "noise", "weight")

FORMS = (
    'an image batch, {"image": images, "condition": conditions}, or a data set that yields '
    "((image, condition),)"
)


def unpack(inputs: Any) -> dict[str, Any]:
    """Sort the input of ``Flow.call`` into ``image``, ``condition``, ``noise`` and ``weight``."""
    if isinstance(inputs, dict):
        unknown = set(inputs) - set(PARTS)
        if unknown or "image" not in inputs:
            raise ValueError(
                f"inputs must be {FORMS}; got a dict with keys {', '.join(map(str, inputs))}"
            )
        return {**dict.fromkeys(PARTS), **inputs}
    if isinstance(inputs, list | tuple):
        if len(inputs) != 2:
            raise ValueError(f"inputs must be {FORMS}; got a sequence of {len(inputs)}")
        return {**dict.fromkeys(PARTS), "image": inputs[0], "condition": inputs[1]}
    if not hasattr(inputs, "shape"):
        raise ValueError(f"inputs must be {FORMS}; got {type(inputs).__name__}")
    return {**dict.fromkeys(PARTS), "image": inputs}


def dtype_name(x: Any) -> str:
    """The dtype of an array or tensor as text, such as ``"uint8"``."""
    return str(getattr(x.dtype, "name", x.dtype))


def is_integer(x: Any) -> bool:
    """Whether images are grey levels, not floats. Raises unless they are uint8 or floats."""
    dtype = dtype_name(x)
    if dtype == "uint8":
        return True
    if dtype.startswith(("float", "bfloat")):
        return False
    raise ValueError(f"images must be uint8 (0 to 255) or floats in [-0.5, 0.5]; got dtype {dtype}")


def check_shape(name: str, x: Any, shape: tuple[int, ...]) -> None:
    """Raise unless ``x`` has shape ``(n, *shape)``."""
    given = tuple(getattr(x, "shape", np.shape(x)))
    if len(given) != len(shape) + 1 or given[1:] != tuple(shape):
        sides = ", ".join(map(str, shape))
        raise ValueError(f"{name} must have shape (n, {sides}); got {given}")


def check_array(name: str, x: Any) -> None:
    """Raise ValueError for a dict, which only ``fit`` and its kin take."""
    if isinstance(x, dict):
        raise ValueError(
            f"{name} must be an array; got a dict. Give its parts as arguments: "
            "flow.bits_per_dim(images, condition=conditions)"
        )


def as_images(
    x: Any, shape: tuple[int, ...], name: str = "images", limit: float = FLOAT_LIMIT
) -> Any:
    """Images as an array or tensor of the right shape and dtype, with finite values.

    ``limit`` bounds the absolute value of float images; data to learn from or to count bits
    of keeps to ``DATA_LIMIT``.
    """
    x = x if hasattr(x, "dtype") else np.asarray(x)
    integer = is_integer(x)
    check_shape(name, x, shape)
    if x.shape[0] == 0:
        raise ValueError(f"{name} holds no image; got shape {tuple(x.shape)}")
    if not integer:
        check_finite(name, x, limit, images=True)
    return x


def values_of(x: Any) -> np.ndarray | None:
    """The values of an array or tensor, None for a tensor of a graph under construction."""
    try:
        return np.asarray(ops.convert_to_numpy(x))
    except Exception:
        return None


def check_finite(name: str, x: Any, limit: float | None = None, images: bool = False) -> None:
    """Raise for NaN, Inf or, with a limit, values beyond it. Symbolic tensors pass.

    With ``images``, values from 0 to more than 1/2 are taken for images scaled to [0, 1].
    """
    values = values_of(x)
    if values is None or values.size == 0:
        return
    if not np.isfinite(values).all():
        raise ValueError(f"{name} must be finite; got NaN or Inf")
    if limit is not None:
        check_range(name, values, limit, images)


def check_weight(weight: Any, count: int | None) -> Any:
    """Weights of images as float32 ``(count,)``. Of a symbolic tensor only the shape is checked.

    Raises:
        ValueError: another shape, a weight that is not finite or below 0.
    """
    values = values_of(weight)
    shape = tuple(np.shape(weight if values is None else values))
    if len(shape) != 1 or (None not in (count, *shape) and shape != (count,)):
        raise ValueError(
            f"sample_weight must have shape ({'n' if count is None else count},), one number an "
            f"image; got {shape}"
        )
    if values is None:
        return weight
    values = values.astype("float32")
    if not np.isfinite(values).all() or (values.size and values.min() < 0):
        raise ValueError("sample_weight must hold finite numbers of at least 0")
    return values


def float_images(image: Tensor, noise: Tensor, dtype: str) -> Tensor:
    """``(k + u) / 256 - 0.5`` in the graph."""
    return (ops.cast(image, dtype) + ops.cast(noise, dtype)) / 256.0 - 0.5


def check_varied(images: Any) -> None:
    """Raise if a channel has the same grey level in all of a batch."""
    values = np.asarray(ops.convert_to_numpy(images))
    constant = np.flatnonzero((values == values[:1, :1, :1]).all(axis=(0, 1, 2)))
    if constant.size:
        raise ValueError(
            f"channel {constant[0]} of the batch given to adapt is constant "
            f"({values[0, 0, 0, constant[0]]}); adapt needs a batch that varies in every channel"
        )
