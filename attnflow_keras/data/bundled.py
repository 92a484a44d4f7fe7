"""A few real test images that come with the package, for demos, checks and tests."""

from pathlib import Path

import numpy as np

from attnflow_keras.core.checks import check_choice

FILES = {
    "mnist": "mnist_test_256.npz",
    "fashion_mnist": "fashion_mnist_test_128.npz",
    "bluemarble_sr8": "bluemarble_test_32.npz",
    "bluemarble_landcover": "bluemarble_test_32.npz",
}


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
    return _read("bluemarble_sr8", "images"), _read("bluemarble_sr8", "classes")


def bundled_sample(name: str) -> np.ndarray:
    """The images of one data set that come with the package, uint8 ``(n, h, w, c)``.

    Raises:
        ValueError: a data set of which none do.
    """
    check_choice("data set", name, FILES)
    return _read(name, "images")


def _read(name: str, key: str) -> np.ndarray:
    with np.load(Path(__file__).parent / "samples" / FILES[name], allow_pickle=False) as arrays:
        return arrays[key]
