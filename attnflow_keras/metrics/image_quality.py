"""Similarity of images to the ground truth, and diversity of samples."""

from typing import Any

import numpy as np

from attnflow_keras.core.extras import install_command
from attnflow_keras.data.bicubic import downscale

PEAK = 255.0
CHANNELS = (1, 3)

# Side of SSIM's uniform window in pixels.
WINDOW = 7


def psnr(a: Any, b: Any) -> np.ndarray:
    """Peak signal-to-noise ratio in dB, ``10 log10(255^2 / MSE)``; higher is closer.

    The mean square error is taken over all pixels and channels of an image, including its border.

    Args:
        a: uint8 ``(n, h, w, c)``.
        b: images of the same shape.

    Returns:
        float64 ``(n,)``; inf for identical images.

    Raises:
        ValueError: a wrong dtype or shape.
        ImportError: scikit-image is not installed.
    """
    a, b = check_pair(a=a, b=b)
    return _psnr(a, b)


def ssim(a: Any, b: Any) -> np.ndarray:
    """Structural similarity (Wang et al., 2004) as scikit-image computes it; 1 at best.

    Its defaults: a uniform window of 7x7, a data range of 255, K1 = 0.01, K2 = 0.03, sample
    covariances, the mean over channels and over all windows that lie inside the image.

    Args:
        a: uint8 ``(n, h, w, c)``, sides of at least 7.
        b: images of the same shape.

    Returns:
        float64 ``(n,)``, at most 1, at which images are identical.

    Raises:
        ValueError: a wrong dtype or shape.
        ImportError: scikit-image is not installed.
    """
    a, b = check_pair(a=a, b=b)
    if min(a.shape[1:3]) < WINDOW:
        raise ValueError(
            f"a and b must have sides of at least {WINDOW}, SSIM's window; got shape {a.shape}"
        )
    score = _skimage("SSIM").structural_similarity
    pairs = zip(a, b, strict=True)
    return np.array([score(x, y, data_range=PEAK, channel_axis=-1) for x, y in pairs])


def lr_psnr(restored: Any, low_res: Any) -> np.ndarray:
    """PSNR in dB of the low-resolution images and the downsampled restorations.

    It measures how consistent a restoration is with its input (SRFlow's LR-PSNR). The
    reduction is :func:`attnflow_keras.data.bicubic.downscale`, with MATLAB's weights and rounding
    after each axis, by the quotient of the sides.

    Args:
        restored: uint8 ``(n, scale h, scale w, c)`` with an integer scale of at least 2.
        low_res: uint8 ``(n, h, w, c)``.

    Returns:
        float64 ``(n,)``; inf for images that agree in every pixel.

    Raises:
        ValueError: a wrong dtype or shape.
        ImportError: scikit-image is not installed.
    """
    restored, low_res = check_pictures("restored", restored), check_pictures("low_res", low_res)
    scale = scale_of("restored", restored, "low_res", low_res)
    return _psnr(downscale(restored, scale), low_res)


def pixel_diversity(samples: Any) -> np.ndarray:
    """Pixel-wise diversity of samples for one condition, in grey levels (SRFlow's sigma).

    The standard deviation of each pixel's channel over the samples, with k - 1 in the
    denominator (ddof = 1), then the mean over pixels and channels.

    Args:
        samples: uint8 ``(n, k, h, w, c)``, k samples of each of n conditions, k at least 2.

    Returns:
        float64 ``(n,)``; 0 where all samples are the same.

    Raises:
        ValueError: a wrong dtype or shape, or fewer than two samples.
    """
    samples = check_pictures("samples", samples, rank=5)
    if samples.shape[1] < 2:
        raise ValueError(
            f"samples must hold at least 2 images of each condition; got shape {samples.shape}"
        )
    return np.array([s.std(axis=0, ddof=1, dtype="float64").mean() for s in samples])


def check_pictures(name: str, images: Any, rank: int = 4) -> np.ndarray:
    """Grey levels as an array ``(n, h, w, c)``, or ``(n, k, h, w, c)`` with a rank of 5.

    Raises:
        ValueError: a wrong dtype or shape, which names the argument.
    """
    images = np.asarray(images)
    shape = images.shape
    if len(shape) != rank or shape[-1] not in CHANNELS or 0 in shape:
        sides = "(n, h, w, c)" if rank == 4 else "(n, k, h, w, c)"
        raise ValueError(f"{name} must have shape {sides} with c = 1 or 3; got {shape}")
    if images.dtype != np.uint8:
        raise ValueError(f"{name} must be uint8, levels from 0 to 255; got dtype {images.dtype}")
    return images


def check_pair(**pair: Any) -> tuple[np.ndarray, np.ndarray]:
    """Two stacks of images of the same shape, given by their names.

    Raises:
        ValueError: a wrong dtype, or shapes that differ.
    """
    (first, a), (second, b) = pair.items()
    a, b = check_pictures(first, a), check_pictures(second, b)
    if a.shape != b.shape:
        raise ValueError(
            f"{first} and {second} must have the same shape; got {a.shape} and {b.shape}"
        )
    return a, b


def scale_of(large_name: str, large: np.ndarray, small_name: str, small: np.ndarray) -> int:
    """Scale factor between images and their low-resolution versions.

    Raises:
        ValueError: no integer of at least 2, or another number of images or channels.
    """
    n, height, width, channels = small.shape
    scale = large.shape[1] // height
    if scale < 2 or large.shape != (n, scale * height, scale * width, channels):
        raise ValueError(
            f"{large_name} must have shape (n, s h, s w, c), with an integer s of at least 2, for "
            f"{small_name} of shape (n, h, w, c); got {large.shape} and {small.shape}"
        )
    return scale


def _psnr(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    score = _skimage("PSNR").peak_signal_noise_ratio
    with np.errstate(divide="ignore"):
        return np.array([score(x, y, data_range=PEAK) for x, y in zip(a, b, strict=True)])


def _skimage(score: str) -> Any:
    try:
        import skimage.metrics
    except ImportError as error:
        raise ImportError(f"{score} needs scikit-image: {install_command('metrics')}") from error
    return skimage.metrics
