"""LPIPS v0.1 with AlexNet, in Keras: how different two images look."""

from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.metrics.image_quality import check_pair
from attnflow_keras.metrics.weights import find_weights, read_weights

Tensor = Any

FILE = "lpips/alexnet.npz"
HOLDS = (
    "LPIPS v0.1 of richzhang/PerceptualSimilarity (BSD-2-Clause): "
    "AlexNet_0/Conv_{0..4}/kernel (height, width, in, out) and bias, and "
    "NetLinLayer_{0..4}/Conv_0/kernel (1, 1, channels, 1)"
)

# Kernel size, input and output channels, stride and zero padding of AlexNet's convolutions.
CONVOLUTIONS = (
    (11, 3, 64, 4, 2),
    (5, 64, 192, 1, 2),
    (3, 192, 384, 1, 1),
    (3, 384, 256, 1, 1),
    (3, 256, 256, 1, 1),
)

# Convolutions, from 0, after which comes a 3x3 maximum of stride 2 without padding.
POOLED = (0, 1)

# Mean and standard deviation of ImageNet's colours on LPIPS' scale from -1 to 1.
SHIFT = np.array([-0.030, -0.088, -0.188], dtype="float32")
SCALE = np.array([0.458, 0.448, 0.450], dtype="float32")

EPSILON = 1e-10

# Of a smaller image the second maximum has no window left.
SMALLEST = 31


def expected_shapes() -> dict[str, tuple[int, ...]]:
    """Keys and shapes of the weights' file; kernels are ``(height, width, in, out)``."""
    shapes: dict[str, tuple[int, ...]] = {}
    for i, (size, inputs, outputs, _, _) in enumerate(CONVOLUTIONS):
        shapes[f"AlexNet_0/Conv_{i}/kernel"] = (size, size, inputs, outputs)
        shapes[f"AlexNet_0/Conv_{i}/bias"] = (outputs,)
        shapes[f"NetLinLayer_{i}/Conv_0/kernel"] = (1, 1, outputs, 1)
    return shapes


class LPIPS:
    """Learned perceptual distance of images (Zhang et al., arXiv:1801.03924); lower is closer.

    Version 0.1 with AlexNet, what super-resolution papers report: the activations after each of
    AlexNet's five ReLUs are scaled to unit length over the channels; their squared differences
    are weighted by a learned non-negative weight per channel, summed over channels, averaged over
    the map, and summed over the five. It computes in float32.

    The weights don't come with this package. They are those of richzhang/PerceptualSimilarity
    (BSD-2-Clause; AlexNet from torchvision, BSD-3-Clause) in an .npz file with the keys
    ``AlexNet_0/Conv_{0..4}/kernel`` and ``bias``, kernels as ``(height, width, in, out)``, and
    ``NetLinLayer_{0..4}/Conv_0/kernel``, ``(1, 1, channels, 1)``.

    >>> lpips = metrics.LPIPS()  # doctest: +SKIP
    >>> distances = lpips(restored, images)  # doctest: +SKIP

    Args:
        weights: that file; None for ``lpips/alexnet.npz`` in the folder that the environment
            variable ``ATTNFLOW_DATA`` names.

    Raises:
        FileNotFoundError: no such file.
        ValueError: an invalid file.
    """

    def __init__(self, weights: str | Path | None = None) -> None:
        from keras import ops

        from attnflow_keras.flow.compiled import CompiledMethods

        path = find_weights(weights, FILE, "LPIPS", HOLDS)
        arrays = read_weights(path, expected_shapes(), "LPIPS with AlexNet")
        self._weights = {key: ops.convert_to_tensor(array) for key, array in arrays.items()}
        self._compiled = CompiledMethods()

    def __call__(self, a: Any, b: Any, batch_size: int = 64) -> np.ndarray:
        """Distances of pairs of images.

        Args:
            a: uint8 ``(n, h, w, 3)``, sides of at least 31.
            b: images of the same shape.
            batch_size: maximum batch size.

        Returns:
            float32 ``(n,)``, at least 0, which is that of identical images.

        Raises:
            ValueError: a wrong dtype or shape.
        """
        from keras import ops

        a, b = check_pair(a=a, b=b)
        if a.shape[-1] != 3 or min(a.shape[1:3]) < SMALLEST:
            raise ValueError(
                f"a and b must have shape (n, h, w, 3) with sides of at least {SMALLEST}, so that "
                f"AlexNet's last map is not empty; got {a.shape}"
            )
        distances = self._compiled.run("lpips", self._distances, (a, b), batch_size)
        return ops.convert_to_numpy(distances)

    def _distances(self, a: Tensor, b: Tensor) -> Tensor:
        from keras import ops

        total = 0.0
        for i, (x, y) in enumerate(zip(self._maps(a), self._maps(b), strict=True)):
            weights = ops.reshape(self._weights[f"NetLinLayer_{i}/Conv_0/kernel"], (-1,))
            weighted = ops.square(_unit_length(x) - _unit_length(y)) * weights
            total = total + ops.mean(ops.sum(weighted, axis=-1), axis=(1, 2))
        return total

    def _maps(self, images: Tensor) -> list[Tensor]:
        """AlexNet's maps of uint8 images after each ReLU."""
        from keras import ops

        x = ops.cast(images, "float32") / 127.5 - 1.0
        x = (x - SHIFT) / SCALE
        maps = []
        for i, (_, _, _, stride, pad) in enumerate(CONVOLUTIONS):
            kernel = self._weights[f"AlexNet_0/Conv_{i}/kernel"]
            x = ops.pad(x, ((0, 0), (pad, pad), (pad, pad), (0, 0)))
            x = ops.conv(x, kernel, stride, "valid", data_format="channels_last")
            x = ops.relu(x + self._weights[f"AlexNet_0/Conv_{i}/bias"])
            maps.append(x)
            if i in POOLED:
                x = ops.max_pool(x, 3, 2, "valid", data_format="channels_last")
        return maps


def _unit_length(x: Tensor) -> Tensor:
    from keras import ops

    length = ops.sqrt(ops.sum(ops.square(x), axis=-1, keepdims=True))
    return x / (length + EPSILON)
