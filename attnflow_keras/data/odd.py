"""Extreme images, unlike any training data, to test flows on them."""

from typing import Any

import numpy as np

from attnflow_keras.data.bicubic import downscale


def odd_images(shape: tuple[int, int, int], seed: int = 0) -> dict[str, np.ndarray]:
    """Extreme images unlike any data set: flat, striped, noisy, saturated.

    Args:
        shape: ``(h, w, c)`` of each image.
        seed: seed of the noise.

    Returns:
        uint8 images ``(h, w, c)`` by name: 11 of one channel, 19 of three.
    """
    height, width, channels = shape
    rows, columns = np.mgrid[:height, :width]
    rng = np.random.Generator(np.random.Philox(key=seed))
    pixel = (rows == height // 2) & (columns == width // 2)
    grey = {
        "black": np.zeros((height, width)),
        "white": np.full((height, width), 255),
        "grey": np.full((height, width), 128),
        "checkerboard": 255 * ((rows + columns) % 2),
        "checkerboard of 2": 255 * ((rows // 2 + columns // 2) % 2),
        "stripes across": 255 * (rows % 2),
        "stripes down": 255 * (columns % 2),
        "white pixel": 255 * pixel,
        "black pixel": 255 * ~pixel,
    }
    pictures = {
        name: np.repeat(plane[..., None], channels, axis=-1).astype("uint8")
        for name, plane in grey.items()
    }
    pictures["noise"] = rng.integers(0, 256, shape, dtype="uint8")
    pictures["noise of 0 and 255"] = 255 * rng.integers(0, 2, shape, dtype="uint8")
    if channels == 3:
        for name, colour in (
            ("red", (255, 0, 0)),
            ("green", (0, 255, 0)),
            ("blue", (0, 0, 255)),
            ("yellow", (255, 255, 0)),
            ("magenta", (255, 0, 255)),
            ("cyan", (0, 255, 255)),
        ):
            pictures[name] = np.broadcast_to(np.array(colour, "uint8"), shape).copy()
        for name, channel in (("red and cyan", 0), ("green and magenta", 1)):
            picture = pictures["checkerboard"].copy()
            picture[..., channel] = 255 - picture[..., channel]
            pictures[name] = picture
    return pictures


def odd_condition(flow: Any, images: np.ndarray, labels: np.ndarray | None = None) -> Any:
    """Conditions for extreme images.

    Args:
        flow: the flow.
        images: uint8 ``(n, h, w, c)``.
        labels: label maps, of which the first is used for each image; None for class 0 or black
            everywhere.

    Returns:
        None for an unconditional flow, low-resolution images for super-resolution, else label maps.
    """
    if not flow.conditional:
        return None
    if hasattr(flow, "scale"):
        return downscale(images, flow.scale)
    label = np.zeros(flow.condition_shape, "uint8") if labels is None else labels[0]
    return np.repeat(label[None], len(images), axis=0)
