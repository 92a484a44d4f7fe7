"""Label maps as images: a colour for each class."""

from typing import Any

import numpy as np
from keras import ops


def as_palette(palette: Any) -> np.ndarray | None:
    """A palette as uint8 ``(classes, 3)``, or None.

    Raises:
        ValueError: anything else.
    """
    if palette is None:
        return None
    try:
        values = np.asarray(palette)
    except ValueError:
        values = np.zeros(0)
    whole = np.issubdtype(values.dtype, np.integer)
    fits = values.ndim == 2 and values.shape[-1] == 3 and 1 <= len(values) <= 256
    if not whole or not fits or values.min() < 0 or values.max() > 255:
        raise ValueError(
            "palette must be colours (classes, 3) of 0 to 255, for 1 to 256 classes; got "
            f"{palette!r:.80}"
        )
    return values.astype("uint8")


def colours(labels: Any, palette: np.ndarray | None) -> Any:
    """Colours ``(n, h, w, 3)`` of label maps that a condition kind has checked."""
    if len(labels.shape) == 4 or palette is None:
        return labels
    return ops.take(ops.convert_to_tensor(palette), ops.cast(labels, "int32"), axis=0)
