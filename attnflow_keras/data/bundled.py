"""Real test images bundled with the package, for demos, checks and tests."""

import numpy as np

from attnflow_keras.data.datasets import data_set


def mnist_sample() -> np.ndarray:
    """The first 256 MNIST test digits, uint8 ``(256, 28, 28, 1)``."""
    return bundled_sample("mnist")


def fashion_mnist_sample() -> np.ndarray:
    """The first 128 Fashion-MNIST test images, uint8 ``(128, 28, 28, 1)``."""
    return bundled_sample("fashion_mnist")


def bluemarble_sample() -> tuple[np.ndarray, np.ndarray]:
    """32 Blue Marble test tiles and their land cover, evenly spaced among all.

    Returns:
        images: uint8 ``(32, 64, 64, 3)``, RGB.
        classes: uint8 ``(32, 64, 64)``, see ``IGBP_CLASSES``.
    """
    pairs = data_set("bluemarble_landcover").bundled()
    return pairs["image"], pairs["condition"]


def bundled_sample(name: str) -> np.ndarray:
    """Bundled images of a data set, uint8 ``(n, h, w, c)``.

    Raises:
        ValueError: an unknown data set, or one without bundled images.
    """
    return data_set(name).bundled()["image"]
