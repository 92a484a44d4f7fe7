"""An upper bound of the operator norm of convolutions, differentiable and without state."""

import math
from typing import Any

import numpy as np
from keras import ops

Tensor = Any

# Frequencies along each side of a kernel that has one, and squarings of each frequency's matrix.
FREQUENCIES = 12
SQUARINGS = 5
# Keeps the gradient at a kernel of zeros finite.
SMALLEST = 1e-24


def operator_norm_bound(kernel: Tensor) -> Tensor:
    """At least the largest singular value of a convolution, on maps of any size.

    A convolution with stride 1 and zero padding has at most the norm of the one on an endless
    map, which is the largest spectral norm of the kernel's Fourier transform, a matrix
    ``(in, out)`` for each frequency. Those are bounded by Gram iteration (arXiv:2305.16173):
    ``|G^k|_F^(1/k)`` for ``G = K K^H`` and ``k = 2 ** SQUARINGS``, which is never too small as
    power iteration is. Between the frequencies of the grid a trigonometric polynomial of degree
    d is at most ``1 / cos(pi d / FREQUENCIES)`` times its largest value on it, along each side.

    >>> from attnflow_keras.ops.operator_norm import operator_norm_bound
    >>> kernel = 2.0 * np.eye(3, dtype="float32")[None, None]
    >>> 2.0 <= float(operator_norm_bound(kernel)) < 2.1
    True

    Args:
        kernel: ``(height, width, in, out)``, sides odd and below ``FREQUENCIES``.
    """
    height, width, inputs, outputs = kernel.shape
    taps = ops.reshape(kernel, (height * width, -1))
    if height * width == 1:
        matrices = ops.reshape(taps, (1, inputs, outputs))
    else:
        real, imaginary = (
            ops.reshape(ops.matmul(ops.cast(part, kernel.dtype), taps), (-1, inputs, outputs))
            for part in _transform(height, width)
        )
        # The real matrix of a complex one, with the same singular values, each twice.
        upper = ops.concatenate([real, -imaginary], axis=2)
        lower = ops.concatenate([imaginary, real], axis=2)
        matrices = ops.concatenate([upper, lower], axis=1)
    between = math.cos(math.pi * (height // 2) / FREQUENCIES)
    between *= math.cos(math.pi * (width // 2) / FREQUENCIES)
    return ops.exp(0.5 * ops.max(_log_squared_norm(matrices))) / between


def _log_squared_norm(matrices: Tensor) -> Tensor:
    """At least twice the log of the largest singular value, of each of ``(n, a, b)`` matrices."""
    adjoint = ops.transpose(matrices, (0, 2, 1))
    wide = matrices.shape[1] <= matrices.shape[2]
    gram = ops.matmul(matrices, adjoint) if wide else ops.matmul(adjoint, matrices)
    total: Tensor = 0.0
    for i in range(SQUARINGS + 1):
        size = ops.sqrt(ops.sum(ops.square(gram), axis=(1, 2), keepdims=True) + SMALLEST)
        total = total + ops.log(size) / 2**i
        if i < SQUARINGS:
            gram = gram / size
            gram = ops.matmul(gram, gram)
    return total


def _transform(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Cosines and sines ``(frequencies, taps)``; a frequency and its opposite are one."""
    rows = 2 * math.pi * np.arange(FREQUENCIES if height > 1 else 1) / FREQUENCIES
    count = FREQUENCIES // 2 + 1 if height > 1 else FREQUENCIES
    columns = 2 * math.pi * np.arange(count if width > 1 else 1) / FREQUENCIES
    y, x = np.mgrid[:height, :width].reshape(2, 1, -1)
    angle = rows[:, None, None] * (y - height // 2) + columns[:, None] * (x - width // 2)
    angle = angle.reshape(-1, height * width)
    return np.cos(angle), np.sin(angle)
