"""Classify images by the likelihood of a class-conditional flow."""

from collections.abc import Callable
from typing import Any

import numpy as np

from attnflow_keras.core.checks import check_integer
from attnflow_keras.metrics.bits_per_dim import described
from attnflow_keras.metrics.sampling import check_counts, summary

CONVENTIONS = {
    "accuracy": "per cent of images whose own class has the highest likelihood, Bayes' rule under "
    "equally probable classes; the same dequantization noise for all classes of an image",
    "bits_per_dim": "given the image's own class",
}


def evaluate_classification(
    flow: Any,
    images: np.ndarray,
    labels: np.ndarray,
    classes: int,
    split: str,
    draws: int = 1,
    seed: int = 0,
    batch_size: int = 250,
    progress: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Accuracy of Bayes classification by log p(image | class), and bits/dim given the class.

    Args:
        flow: a class-conditional flow.
        images: uint8 ``(n, h, w, c)``.
        labels: the class of each, integers ``(n,)`` below ``classes``.
        classes: number of classes.
        split: description of the images, such as ``"mnist test"``.
        draws: draws of dequantization noise to average over, with seeds ``seed``,
            ``seed + 1``, ...
        seed: first seed.
        batch_size: batch size.
        progress: called with the number of images done: ``n`` a class and draw.

    Returns:
        A dict for JSON: ``split``, ``items``, ``image_shape``, ``seed``, ``accuracy`` in per cent
        with ``mean`` and ``standard_error``, ``bits_per_dim``, see
        :func:`evaluate_bits_per_dim`, and ``conventions``.

    Raises:
        ValueError: a number out of range, labels of another shape or kind, or a score that is not
            finite.
    """
    check_counts(classes=(classes, 2), draws=(draws, 1), batch_size=(batch_size, 1))
    seed = check_integer("seed", seed, 0)
    labels = np.asarray(labels)
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"labels must be integers of shape ({len(images)},); got {labels.dtype} of shape "
            f"{labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"labels must be classes 0 to {classes - 1}; got {labels.min()} to {labels.max()}"
        )
    scores = np.zeros((classes, len(images)))
    done = 0
    for number in range(classes):
        given = np.full(len(images), number, labels.dtype)
        for draw in range(draws):
            report = None if progress is None else (lambda part, at=done: progress(at + part))
            bits = flow.bits_per_dim(
                images, given, seed=seed + draw, batch_size=batch_size, progress=report
            )
            scores[number] += np.asarray(bits, dtype="float64") / draws
            done += len(images)
    bad = np.flatnonzero(~np.isfinite(scores).all(axis=0))
    if bad.size:
        raise ValueError(f"the score of image {bad[0]} of {split} is not finite")
    own = scores[labels, np.arange(len(images))]
    return {
        "name": "classification",
        "split": split,
        "items": len(images),
        "image_shape": list(images.shape[1:]),
        "seed": seed,
        "accuracy": summary(100.0 * (scores.argmin(axis=0) == labels)),
        "bits_per_dim": described(own, images, split, draws),
        "conventions": dict(CONVENTIONS),
    }
