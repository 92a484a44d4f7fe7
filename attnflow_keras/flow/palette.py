"""Label maps as images: a colour for each class."""

from typing import Any

import numpy as np
from keras import ops

from attnflow_keras.core.palettes import as_classes


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


def check_labels(labels: Any, shape: tuple[int, int, int], palette: np.ndarray | None) -> None:
    """Raise unless these are label maps for photos of a shape.

    Args:
        labels: classes, integers ``(n, h, w)``, where there is a palette; or colours, uint8
            ``(n, h, w, 3)``, with channels of another kind after them where there are any.
        shape: ``(h, w, c)``, c at least 3.
        palette: the palette, or None.

    Raises:
        ValueError: another shape or dtype, or a class or a colour that the palette lacks.
    """
    given = tuple(getattr(labels, "shape", np.shape(labels)))
    height, width, channels = shape
    colour = len(given) == 4 and given[1:] == shape
    if not colour and (palette is None or given[1:] != (height, width)):
        classes = "" if palette is None else f"classes of shape (n, {height}, {width}) or "
        hint = "; give the flow a palette for maps of classes" if palette is None else ""
        raise ValueError(
            f"condition must be {classes}colours of shape (n, {height}, {width}, {channels}); got "
            f"shape {given}{hint}"
        )
    dtype = getattr(labels, "dtype", type(labels).__name__)
    dtype = str(getattr(dtype, "name", dtype))
    if not (dtype == "uint8" or (not colour and dtype.startswith(("int", "uint")))):
        kind = "uint8" if colour else "integers"
        raise ValueError(f"condition must be {kind}; got {dtype}")
    if given[0] == 0:
        raise ValueError(f"condition holds no label map; got shape {given}")
    if palette is None:
        return
    try:
        values = np.asarray(ops.convert_to_numpy(labels))
    except Exception:  # a tensor of a graph under construction has no values yet
        return
    if colour:
        as_classes(values, palette, name="condition")
        return
    if values.size and not 0 <= values.min() <= values.max() < len(palette):
        raise ValueError(
            f"condition must hold classes 0 to {len(palette) - 1}; got {values.min()} to "
            f"{values.max()}"
        )


def colours(labels: Any, palette: np.ndarray | None) -> Any:
    """Colours ``(n, h, w, 3)`` of label maps that :func:`check_labels` has passed."""
    if len(labels.shape) == 4 or palette is None:
        return labels
    return ops.take(ops.convert_to_tensor(palette), ops.cast(labels, "int32"), axis=0)
