"""Features of images by VGG16, with the weights published with LPIPS."""

from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.metrics.lpips import SCALE, SHIFT
from attnflow_keras.metrics.weights import find_weights, read_weights

Tensor = Any

FILE = "lpips/vgg16.npz"
HOLDS = (
    "VGG16_0/Conv_{0..12}/kernel (3, 3, in, out) and bias of LPIPS v0.1 "
    "(richzhang/PerceptualSimilarity, BSD-2-Clause; VGG16 from torchvision, BSD-3-Clause)"
)
# Channels of the convolutions of each block; a 2x2 maximum goes before all blocks but the first.
BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


class VGG16Features:
    """VGG16 features: channels of the last map of a block, averaged over the image.

    Distances between sets of images in these features are this package's own: they are not FID
    or KID, which use another network, and are only comparable with one another.

    >>> features = metrics.VGG16Features()  # doctest: +SKIP
    >>> features(images).shape  # doctest: +SKIP
    (100, 512)

    Args:
        weights: .npz file; None for ``lpips/vgg16.npz`` in the folder that ``ATTNFLOW_DATA``
            names.
        block: 1 to 5; later ones are more abstract, and need larger images.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an invalid file or block.
    """

    def __init__(self, weights: str | Path | None = None, block: int = 4) -> None:
        from keras import ops

        from attnflow_keras.core.checks import check_integer
        from attnflow_keras.flow.compiled import CompiledMethods

        self.block = check_integer("block", block, 1, len(BLOCKS))
        path = find_weights(weights, FILE, "VGG16", HOLDS)
        arrays = read_weights(path, expected_shapes(self.block), "VGG16")
        self._weights = {key: ops.convert_to_tensor(array) for key, array in arrays.items()}
        self._compiled = CompiledMethods()

    def __call__(self, images: np.ndarray, batch_size: int = 64) -> np.ndarray:
        """Features float32 ``(n, channels)`` of images uint8 ``(n, h, w, 1 or 3)``.

        Args:
            images: grey ones count as three equal channels; sides of at least ``2 ** (block - 1)``.
            batch_size: images at a time.

        Raises:
            ValueError: a wrong dtype or shape.
        """
        from keras import ops

        images = np.asarray(images)
        least = 2 ** (self.block - 1)
        fits = images.ndim == 4 and images.shape[-1] in (1, 3) and min(images.shape[1:3]) >= least
        if images.dtype != np.uint8 or not fits:
            raise ValueError(
                f"images must be uint8 (n, h, w, 1 or 3) with sides of at least {least}; got "
                f"{images.dtype} of shape {images.shape}"
            )
        found = self._compiled.run("vgg16", self._features, (images,), batch_size)
        return np.asarray(ops.convert_to_numpy(found))

    def _features(self, images: Tensor) -> Tensor:
        from keras import ops

        x = (ops.cast(images, "float32") / 127.5 - 1.0 - SHIFT) / SCALE  # grey becomes colour here
        layer = 0
        for i, block in enumerate(BLOCKS[: self.block]):
            if i:
                x = ops.max_pool(x, 2, 2, "valid", data_format="channels_last")
            for _ in block:
                kernel, bias = (self._weights[_key(layer, part)] for part in ("kernel", "bias"))
                x = ops.relu(ops.conv(x, kernel, 1, "same", data_format="channels_last") + bias)
                layer += 1
        return ops.mean(x, axis=(1, 2))


def expected_shapes(blocks: int = len(BLOCKS)) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of the weights of the first blocks."""
    shapes: dict[str, tuple[int, ...]] = {}
    inputs, layer = 3, 0
    for block in BLOCKS[:blocks]:
        for outputs in block:
            shapes[_key(layer, "kernel")] = (3, 3, inputs, outputs)
            shapes[_key(layer, "bias")] = (outputs,)
            inputs, layer = outputs, layer + 1
    return shapes


def _key(layer: int, part: str) -> str:
    return f"VGG16_0/Conv_{layer}/{part}"
