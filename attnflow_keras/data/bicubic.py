"""Bicubic resizing with the weights of MATLAB's ``imresize``, in NumPy.

Super-resolution is trained and scored on images that were downsampled this way, and other
libraries' bicubic differs by several grey levels: in the kernel (a = -0.75), in no antialiasing, in
the borders, or in where it rounds.
"""

import functools
import math
from typing import Any

import numpy as np

from attnflow_keras.core.checks import check_integer

BLOCK = 32  # output rows a matrix product: few, as each reads only the input near its own
CHUNK = 2**21  # floating-point numbers of the input converted at a time, 16 MiB

# Half a grey level, and a little more, so that a sum which is a half but for its rounding error
# goes up whatever the order in which it was added.
HALF = 0.5 + 1e-9


def bicubic_matrix(size: int, new_size: int) -> np.ndarray:
    """The matrix that resizes one axis.

    Weights are the cubic kernel with a = -0.5 around the centre of the output pixel in the input.
    The kernel is 4 input pixels wide, or ``4 size / new_size`` when that is more (antialiasing).
    Beyond its borders the input is mirrored, with the border pixel repeated. Weights
    of an output pixel sum to 1.

    Args:
        size: pixels of the input along the axis.
        new_size: pixels of the output.

    Returns:
        float64 ``(new_size, size)``.

    Raises:
        ValueError: a size that is not an integer of at least 1.
    """
    check_integer("size", size)
    check_integer("new_size", new_size)
    return _rows(int(size), int(new_size), 0, int(new_size))


def bicubic_resize(images: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize images along the vertical axis, then along the horizontal one.

    Grey levels are rounded (halves up) and clipped to uint8 after each axis. MATLAB starts with
    the axis whose scale is smaller, so results agree where both scales are the same, or the
    vertical one is smaller.

    Args:
        images: uint8 ``(n, h, w, c)``, or one image ``(h, w, c)``.
        height: pixels of the output, vertically.
        width: pixels of the output, horizontally.

    Returns:
        uint8 ``(n, height, width, c)``, or ``(height, width, c)``.

    Raises:
        ValueError: images of another dtype or shape, a side that is not an integer of at least 1.
    """
    _check_images(images)
    check_integer("height", height)
    check_integer("width", width)
    resized = _resize_axis(images, images.ndim - 3, int(height))
    return np.ascontiguousarray(_resize_axis(resized, images.ndim - 2, int(width)))


def downscale(images: np.ndarray, scale: int) -> np.ndarray:
    """Downsample images by an integer factor, see :func:`bicubic_resize`.

    Args:
        images: uint8 ``(n, h, w, c)``, or one image ``(h, w, c)``.
        scale: factor; both sides must be divisible by it.

    Returns:
        uint8 ``(n, h / scale, w / scale, c)``, or ``(h / scale, w / scale, c)``.

    Raises:
        ValueError: images of another dtype or shape, a scale that is not an integer of at least
            1, or that does not divide the sides.
    """
    _check_images(images)
    check_integer("scale", scale)
    height, width = images.shape[-3:-1]
    if height % scale or width % scale:
        raise ValueError(
            f"both sides must be divisible by scale {scale}; got images of {height}x{width}"
        )
    return bicubic_resize(images, height // scale, width // scale)


def upscale(images: np.ndarray, scale: int) -> np.ndarray:
    """Upsample images by an integer factor, see :func:`bicubic_resize`.

    Args:
        images: uint8 ``(n, h, w, c)``, or one image ``(h, w, c)``.
        scale: factor.

    Returns:
        uint8 ``(n, h scale, w scale, c)``, or ``(h scale, w scale, c)``.

    Raises:
        ValueError: images of another dtype or shape, a scale that is not an integer of at least 1.
    """
    _check_images(images)
    check_integer("scale", scale)
    height, width = images.shape[-3:-1]
    return bicubic_resize(images, height * scale, width * scale)


def _check_images(images: Any) -> None:
    shape = tuple(getattr(images, "shape", ()))
    if len(shape) not in (3, 4) or 0 in shape:
        raise ValueError(f"images must have shape (n, h, w, c) or (h, w, c); got {shape}")
    if images.dtype != np.uint8:
        raise ValueError(f"images must be uint8; got dtype {images.dtype}")


def _kernel(distance: np.ndarray) -> np.ndarray:
    """The cubic convolution kernel with a = -0.5; zero from a distance of 2 on."""
    d = np.abs(distance)
    near = (1.5 * d - 2.5) * d**2 + 1.0
    far = ((-0.5 * d + 2.5) * d - 4.0) * d + 2.0
    return np.where(d <= 1.0, near, np.where(d < 2.0, far, 0.0))


def _rows(size: int, new_size: int, start: int, stop: int) -> np.ndarray:
    """Rows ``start`` to ``stop`` of the matrix."""
    shrink = min(new_size / size, 1.0)
    width = 4.0 / shrink
    centre = (np.arange(start, stop) + 0.5) * size / new_size - 0.5
    first = np.floor(centre - width / 2).astype("int64")
    pixels = first[:, None] + np.arange(math.ceil(width) + 2)
    weights = _kernel((centre[:, None] - pixels) * shrink)
    weights /= weights.sum(axis=1, keepdims=True)
    inside = pixels % (2 * size)
    inside = np.minimum(inside, 2 * size - 1 - inside)
    rows = np.zeros((stop - start, size))
    np.add.at(rows, (np.arange(stop - start)[:, None], inside), weights)
    return rows


@functools.lru_cache(maxsize=32)
def _blocks(size: int, new_size: int) -> tuple[tuple[int, int, np.ndarray], ...]:
    """The matrix without its zeros: ``(first output, first input, weights)`` by block."""
    blocks = []
    for start in range(0, new_size, BLOCK):
        rows = _rows(size, new_size, start, min(start + BLOCK, new_size))
        used = np.flatnonzero(rows.any(axis=0))
        low, high = int(used[0]), int(used[-1]) + 1
        blocks.append((start, low, rows[:, low:high].copy()))
    return tuple(blocks)


def _resize_axis(images: np.ndarray, axis: int, new_size: int) -> np.ndarray:
    moved = np.moveaxis(images, axis, 0)
    size = moved.shape[0]
    if size == new_size:
        return images
    flat = moved.reshape(size, -1)
    out = np.empty((new_size, flat.shape[1]), dtype="uint8")
    for start, low, weights in _blocks(size, new_size):
        count, taps = weights.shape
        step = max(1, CHUNK // taps)
        for left in range(0, flat.shape[1], step):
            part = flat[low : low + taps, left : left + step].astype("float64")
            levels = weights @ part
            levels += HALF
            # What is left of the point is cut off when the numbers are stored.
            np.clip(levels, 0, 255, out=levels)
            out[start : start + count, left : left + step] = levels
    return np.moveaxis(out.reshape(new_size, *moved.shape[1:]), 0, axis)
