"""Random signs that are a function of the image."""

from typing import Any

import numpy as np
from keras import ops

Tensor = Any

# Steps of a float image's values that count: (k + u) / 256 - 0.5 with 14 bits of u.
STEPS = 2**22


class ImageSigns:
    """Signs, 1 or -1, by a hash of each image.

    An estimate with them is a function of the image: the same in every batch and run, and with
    errors that are independent between images, as those of the same signs for all would not be.

    >>> from attnflow_keras.ops.image_signs import ImageSigns
    >>> signs = ImageSigns(np.zeros((2, 4, 4, 1), "float32"))
    >>> np.unique(signs.signs((2, 3, 3, 5), "float32")).tolist()
    [-1.0, 1.0]

    Args:
        images: float images ``(n, h, w, c)``.
    """

    def __init__(self, images: Tensor) -> None:
        # Integers, whose sums are the same in any order; they wrap around.
        whole = ops.cast(ops.floor((images + 0.5) * STEPS), "int32")
        factors = _integers(0, tuple(images.shape[1:])) | 1
        self.codes = _mixed(ops.sum(_mixed(whole) * factors, axis=(1, 2, 3)))
        self.draws = 0

    def signs(self, shape: tuple[Any, ...], dtype: str) -> Tensor:
        """Signs ``(n, ...)``; each call is a draw of its own."""
        self.draws += 1
        numbers = _integers(self.draws, (2, *shape[1:]))
        codes = ops.reshape(self.codes, (-1, *(1 for _ in shape[1:])))
        mixed = _mixed(_mixed(codes ^ numbers[0]) * (numbers[1] | 1))
        bits = ops.bitwise_and(ops.right_shift(mixed, 16), 1)
        return 2.0 * ops.cast(bits, dtype) - 1.0


def _mixed(x: Tensor) -> Tensor:
    """A permutation of the 32-bit integers after which nearby ones are far apart."""
    for shift, factor in ((16, 0x7FEB352D), (15, -0x7B935975)):
        x = ops.bitwise_xor(x, ops.right_shift(x, shift)) * factor
    return ops.bitwise_xor(x, ops.right_shift(x, 16))


def _integers(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    drawn = np.random.Generator(np.random.Philox(key=seed)).integers(0, 2**32, shape, "uint32")
    return drawn.view("int32")
