"""Completion of images by models whose values come in an order."""

from typing import Any

import numpy as np

from attnflow_keras.core import noise

ORDERS = ("raster", "reversed", "columns")


def value_order(shape: tuple[int, ...], patch: int, order: str) -> np.ndarray:
    """Numbers of an image's values, as ``image.reshape(-1)`` has them, in the order of a model.

    Args:
        shape: ``(h, w, c)``.
        patch: side of its patches; values of a patch come row by row, channels last.
        order: of the patches, ``"raster"``, ``"reversed"`` or ``"columns"``.
    """
    height, width, channels = shape
    rows, columns = height // patch, width // patch
    numbers = np.arange(height * width * channels).reshape(rows, patch, columns, patch, channels)
    numbers = numbers.transpose(0, 2, 1, 3, 4)
    if order == "columns":
        numbers = numbers.transpose(1, 0, 2, 3, 4)
    elif order == "reversed":
        numbers = numbers[::-1, ::-1]
    return numbers.reshape(-1)


def complete(
    model: Any,
    images: np.ndarray,
    mask: np.ndarray,
    condition: Any,
    temperature: float,
    seed: int | None,
    batch_size: int,
) -> np.ndarray:
    """See ``ImageModel.complete``."""
    if model.value_order is None:
        raise ValueError(
            "complete needs a causal flow with a single block, whose values have one order; this "
            "model is not one"
        )
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.shape[1:] != tuple(model.image_shape):
        raise ValueError(
            f"images must be uint8 (n, {', '.join(map(str, model.image_shape))}); got "
            f"{images.dtype} of shape {images.shape}"
        )
    known = _known(mask, tuple(model.image_shape), **model.value_order)
    grey = np.where(known, images, np.uint8(128))
    latents, _ = model.encode(model.dequantize(grey, center=True), condition, batch_size)
    # The Jacobian is triangular: latents of the known values come from known values alone.
    (drawn,) = noise.draw_latents(len(images), [tuple(model.image_shape)], temperature, seed)
    mixed = np.where(known, np.asarray(latents[0]), drawn)
    x = np.asarray(model.decode((mixed,), condition, batch_size))
    noise.check_sampled(x, temperature)
    return np.where(known, images, model.to_uint8(x))


def _known(mask: Any, shape: tuple[int, ...], patch: int, order: str) -> np.ndarray:
    """A checked mask, bool ``(h, w, c)``."""
    mask = np.asarray(mask)
    if mask.dtype != bool or mask.shape not in (shape, shape[:2]):
        sides = ", ".join(map(str, shape[:2]))
        raise ValueError(
            f"mask must be bool ({sides}), True where an image is known, or the same with "
            f"channels; got {mask.dtype} of shape {mask.shape}"
        )
    known = np.broadcast_to(mask if mask.ndim == 3 else mask[..., None], shape)
    in_order = known.reshape(-1)[value_order(shape, patch, order)]
    count = int(in_order.sum())
    if not in_order[:count].all():
        first = int(np.argmin(in_order))
        side = {"raster": "top", "reversed": "bottom", "columns": "left"}[order]
        lines = "columns" if order == "columns" else "rows"
        raise ValueError(
            f"mask must be known values first in the flow's order (patches of {patch}x{patch}, "
            f"{order}), then unknown ones: the {side} {patch}, {2 * patch}, {3 * patch}, ... "
            f"{lines}, for instance; of its {count} known values {count - first} come after an "
            f"unknown one"
        )
    return known
