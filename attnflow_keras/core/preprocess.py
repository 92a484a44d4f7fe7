"""Padding and replication of images before a flow."""

from typing import Any

import numpy as np

from attnflow_keras.core.checks import check_integer


class Preprocess:
    """Zero padding and replication of channels, before dequantization.

    Both are invertible, so the code length of the larger image is also a code length of the
    original. ``{"pad": 2, "replicate": 3}`` converts 28x28x1 digits to the paper's 32x32x3 images.

    >>> preprocess = Preprocess(pad=2, replicate=3)
    >>> preprocess.expand(np.ones((1, 28, 28, 1), "uint8")).shape
    (1, 32, 32, 3)

    Args:
        pad: black pixels added on each side.
        replicate: number of copies of the channels.
    """

    def __init__(self, pad: int = 0, replicate: int = 1) -> None:
        self.pad = check_integer("preprocess: pad", pad, 0)
        self.replicate = check_integer("preprocess: replicate", replicate)

    @classmethod
    def from_config(cls, config: Any) -> "Preprocess":
        """From a dict of the arguments, or None for nothing to do."""
        if config is not None and not isinstance(config, dict):
            raise ValueError(f"preprocess must be a dict or None; got {config!r}")
        unknown = sorted(set(config or {}) - {"pad", "replicate"})
        if unknown:
            raise ValueError(
                f"preprocess takes pad and replicate; got {', '.join(map(str, unknown))}"
            )
        return cls(**(config or {}))

    def float_shape(self, image_shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """Shape that the flow works in, for images of ``(height, width, channels)``."""
        height, width, channels = image_shape
        return height + 2 * self.pad, width + 2 * self.pad, channels * self.replicate

    def expand(self, images: Any, xp: Any = np) -> Any:
        """Grey levels ``(n, *image_shape)`` to ``(n, *float_shape)``.

        Args:
            images: NumPy arrays, or tensors.
            xp: the module with their ``pad`` and ``concatenate``, such as ``keras.ops``.
        """
        if self.pad:
            sides = [(0, 0), (self.pad, self.pad), (self.pad, self.pad), (0, 0)]
            images = xp.pad(images, sides)
        if self.replicate > 1:
            images = xp.concatenate([images] * self.replicate, axis=-1)
        return images

    def reduce(self, x: np.ndarray) -> np.ndarray:
        """Float images ``(n, *float_shape)`` to ``(n, *image_shape)``: crop, average copies."""
        if self.pad:
            x = x[:, self.pad : -self.pad, self.pad : -self.pad]
        if self.replicate > 1:
            x = x.reshape(*x.shape[:-1], self.replicate, -1).mean(axis=-2)
        return x

    def to_config(self) -> dict[str, int] | None:
        """The arguments, None where nothing is done."""
        if self.pad == 0 and self.replicate == 1:
            return None
        return {"pad": self.pad, "replicate": self.replicate}
