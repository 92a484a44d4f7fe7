"""Score a flow on a split, with the full convention."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from attnflow_keras.core.checks import check_integer
from attnflow_keras.core.wording import counted


def evaluate_bits_per_dim(
    flow: Any,
    images: np.ndarray,
    split: str,
    draws: int = 1,
    seed: int = 0,
    batch_size: int = 250,
    progress: Callable[[int], None] | None = None,
    condition: Any = None,
) -> dict[str, Any]:
    """Mean bits per dimension of uint8 images as an entry of ``metrics``.

    Args:
        flow: the flow.
        images: uint8 ``(n, h, w, c)``.
        split: description of the images, such as ``"mnist test"``.
        draws: draws of dequantization noise to average over, with seeds ``seed``,
            ``seed + 1``, ...
        seed: first seed.
        batch_size: batch size.
        progress: called with the number of images done after each batch.
        condition: conditions or their features, one for each image, for a conditional flow.

    Returns:
        ``name``, ``value`` (mean over images), ``standard_error`` (over images),
        ``bits_per_image``, and the convention: ``split``, ``items``, ``dims``, ``levels``,
        ``dequantization``, ``draws``.

    Raises:
        ValueError: ``draws`` below 1, another number of conditions than of images, or a score that
            is not finite.
    """
    check_integer("draws", draws)
    if condition is not None and not isinstance(condition, tuple) and len(condition) != len(images):
        raise ValueError(
            f"condition must be one for each of {counted(len(images), 'image')}; got "
            f"{len(condition)}"
        )
    given = {} if condition is None else {"condition": condition}
    scores = np.zeros(len(images))
    for draw in range(draws):
        offset = draw * len(images)
        report = None if progress is None else (lambda done, o=offset: progress(o + done))
        bits = flow.bits_per_dim(
            images, **given, seed=seed + draw, batch_size=batch_size, progress=report
        )
        scores += np.asarray(bits, dtype="float64") / draws
    return described(scores, images, split, draws)


def described(scores: np.ndarray, images: np.ndarray, split: str, draws: int) -> dict[str, Any]:
    """Bits per dimension of each image, ``(n,)``, in the form of :func:`evaluate_bits_per_dim`.

    Raises:
        ValueError: a score that is not finite.
    """
    dims = math.prod(images.shape[1:])
    bad = np.flatnonzero(~np.isfinite(scores))
    if bad.size:
        raise ValueError(f"the score of image {bad[0]} of {split} is not finite")
    return {
        "name": "bits_per_dim",
        "value": round(float(scores.mean()), 5),
        "standard_error": round(float(scores.std(ddof=1) / np.sqrt(len(scores))), 5)
        if len(scores) > 1
        else 0.0,
        "bits_per_image": round(float(scores.mean()) * dims, 2),
        "split": split,
        "items": len(images),
        "dims": dims,
        "levels": 256,
        "dequantization": "uniform",
        "draws": draws,
    }
