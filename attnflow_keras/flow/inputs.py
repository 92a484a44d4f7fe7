"""Check and sort the inputs of a flow."""

from typing import Any

import numpy as np
from keras import ops

from attnflow_keras.core.arrays import check_finite as check_finite
from attnflow_keras.core.arrays import check_shape as check_shape
from attnflow_keras.core.arrays import is_uint8 as is_uint8
from attnflow_keras.core.arrays import values_of
from attnflow_keras.core.noise import DATA_LIMIT as DATA_LIMIT
from attnflow_keras.core.noise import FLOAT_LIMIT as FLOAT_LIMIT
from attnflow_keras.ops.numerics import Tensor

# All but the first two are put there by fit, evaluate and predict.
PARTS = ("image", "condition", "noise", "weight", "share")

FORMS = (
    'an image batch, {"image": images, "condition": conditions}, or a data set that yields '
    "((image, condition),)"
)


def unpack(inputs: Any) -> dict[str, Any]:
    """Sort the input of ``Flow.call`` into its :data:`PARTS`, None where one is missing."""
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
