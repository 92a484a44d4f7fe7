"""Colours of classes, in NumPy alone."""

from typing import Any

import numpy as np

# A colour as one number.
WEIGHTS = np.array([1 << 16, 1 << 8, 1])


def as_classes(
    colours: np.ndarray, palette: Any, nearest: bool = False, name: str = "colours"
) -> np.ndarray:
    """The classes whose colours these are.

    Args:
        colours: uint8 ``(..., 3)``, a label map or several.
        palette: colour of each class, ``(classes, 3)``, for up to 256 classes; of two that are
            the same the first counts.
        nearest: take the nearest colour of the palette for those that it lacks, as label maps
            have them that were kept as JPEG or resized with a smooth filter.
        name: what to call the colours in errors.

    Returns:
        uint8 ``(...)``.

    Raises:
        ValueError: another shape or dtype, or colours that the palette lacks.
    """
    colours, table = np.asarray(colours), np.asarray(palette, "int64")
    if colours.ndim < 1 or colours.shape[-1] != 3 or colours.dtype != np.uint8:
        raise ValueError(
            f"{name} must be uint8 of shape (..., 3); got {colours.dtype} of shape {colours.shape}"
        )
    known, first = np.unique(table @ WEIGHTS, return_index=True)
    codes = colours.astype("int64") @ WEIGHTS
    places = np.minimum(np.searchsorted(known, codes), len(known) - 1)
    classes = first[places].astype("uint8")
    unknown = known[places] != codes
    if not unknown.any():
        return classes
    others = colours[unknown].astype("int64")
    if not nearest:
        row = np.argwhere(unknown)[0]
        closest = _nearest(others[:1], table)[0]
        raise ValueError(
            f"{name} must hold colours of the palette; {unknown.sum():,} of {unknown.size:,} "
            f"pixels have others, the first {tuple(others[0].tolist())} at "
            f"{tuple(row.tolist())}, nearest to {tuple(table[closest].tolist())}, class {closest}"
        )
    distinct, back = np.unique(others, axis=0, return_inverse=True)
    classes[unknown] = _nearest(distinct, table)[back.reshape(-1)]
    return classes


def _nearest(colours: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Index of the nearest colour of a table, ``(n,)``, a few colours at a time."""
    parts = [
        np.square(part[:, None] - table).sum(axis=-1).argmin(axis=-1)
        for part in np.array_split(colours, 1 + len(colours) // 4096)
    ]
    return np.concatenate(parts).astype("uint8")
