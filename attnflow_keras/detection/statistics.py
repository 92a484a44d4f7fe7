"""Statistics of images under a flow, the basis of the scores."""

import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np

BATCH_SIZE = 250

# Bits per dimension, those of the latents alone, those of the log-determinant alone, and those
# that PNG takes.
NAMES = ("bits_per_dim", "latent_bits", "log_det_bits", "png_bits")


def statistics_of(
    flow: Any,
    images: np.ndarray,
    condition: Any = None,
    batch_size: int = BATCH_SIZE,
    progress: Callable[[int], None] | None = None,
) -> dict[str, np.ndarray]:
    """Statistics of images, float64 ``(n,)`` each, all in bits per dimension.

    ``bits_per_dim`` is ``latent_bits + log_det_bits``: minus log p of the latents, and the
    change of volume with the 8 bits of a grey level. Both are taken at the centre of the grey
    levels' bins, without noise, so that they only depend on the image. ``png_bits`` is the
    size of the image as an optimized PNG file, a bound on its complexity.

    Args:
        flow: a flow, or the session of an export.
        images: uint8 ``(n, h, w, c)``.
        condition: conditions, for a conditional flow.
        batch_size: batch size.
        progress: called with the number of images done.

    Raises:
        ValueError: images of another shape or dtype, or scores that are not finite.
    """
    images = np.asarray(images)
    if images.dtype != np.uint8:
        raise ValueError(f"images must be uint8 (n, h, w, c); got {images.dtype}")
    x = flow.dequantize(images, center=True)
    dims = images[0].size if len(images) else 1
    latent, volume = [], []
    for start in range(0, len(images), batch_size):
        part = slice(start, start + batch_size)
        given = None if condition is None else condition[part]
        latents, log_det = flow.encode(x[part], given, batch_size)
        latent.append(sum(_normal_bits(np.asarray(z, "float64")) for z in latents))
        volume.append(-np.asarray(log_det, "float64") / math.log(2.0))
        if progress is not None:
            progress(min(start + batch_size, len(images)))
    floats = math.prod(x.shape[1:])
    found = {
        "latent_bits": np.concatenate(latent) / dims,
        "log_det_bits": np.concatenate(volume) / dims + 8.0 * floats / dims,
        "png_bits": np.array([8.0 * png_size(image) / dims for image in images]),
    }
    found["bits_per_dim"] = found["latent_bits"] + found["log_det_bits"]
    for name, values in found.items():
        if not np.isfinite(values).all():
            raise ValueError(f"{name} of image {int(np.argmin(np.isfinite(values)))} is not finite")
    return {name: found[name] for name in NAMES}


def png_size(image: np.ndarray) -> int:
    """Bytes of an image as an optimized PNG file."""
    from PIL import Image

    content = io.BytesIO()
    picture = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
    picture.save(content, format="PNG", optimize=True)
    return len(content.getvalue())


def _normal_bits(z: np.ndarray) -> np.ndarray:
    """Minus the log2 of the standard normal density of latents ``(n, ...)``."""
    flat = z.reshape(len(z), -1)
    nats = 0.5 * (flat**2).sum(axis=1) + 0.5 * flat.shape[1] * math.log(2.0 * math.pi)
    return np.asarray(nats / math.log(2.0))
