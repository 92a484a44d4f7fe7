"""Score photos sampled for label maps, of a flow or a baseline, with the full convention."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from attnflow_keras.metrics.bits_per_dim import evaluate_bits_per_dim
from attnflow_keras.metrics.image_quality import check_pair, pixel_diversity, psnr, ssim
from attnflow_keras.metrics.sampling import ConditionSampler, check_counts, summary

TEMPERATURES = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0)

CONVENTIONS = {
    "pictures": "grey levels (uint8) of all channels; one photo sampled for each label map",
    "psnr": "dB, 10 log10(255^2 / MSE)",
    "ssim": "7x7 uniform window, data range 255, sample covariance, mean over channels",
    "lpips": "v0.1, AlexNet; lower is closer",
    "accuracy": "share of pixels in which a classifier trained on real training photos sees the "
    "label's class",
    "mean_iou": "of the same classifier, over classes in the labels, pixels of all photos together",
    "standard_error": "over photos, ddof 1",
    "diversity": "grey levels; standard deviation over samples (ddof 1), mean over the image",
}


def likeness(
    photos: Any,
    images: Any,
    labels: Any,
    lpips: Any = None,
    segmenter: Any = None,
    batch_size: int = 64,
) -> dict[str, Any]:
    """Similarity of photos to the real ones, and how well they match their labels.

    Args:
        photos: uint8 ``(n, h, w, 3)``.
        images: the real photos, of the same shape.
        labels: classes, integers ``(n, h, w)``; only ``segmenter`` reads them.
        lpips: an :class:`attnflow_keras.metrics.LPIPS`; None to skip it.
        segmenter: a trained :class:`attnflow_keras.metrics.Segmenter`; None to skip it.
        batch_size: maximum batch size in both.

    Returns:
        ``psnr``, ``ssim`` and, if given, ``lpips``, each with the ``mean`` and ``standard_error``
        over photos; and, if given, ``segmentation``, see :meth:`Segmenter.score`.

    Raises:
        ValueError: a wrong dtype or shape.
    """
    photos, images = check_pair(photos=photos, images=images)
    scores = {"psnr": psnr(photos, images), "ssim": ssim(photos, images)}
    if lpips is not None:
        distances = lpips(photos, images, batch_size=batch_size)
        scores["lpips"] = np.asarray(distances, dtype="float64")
    found: dict[str, Any] = {name: summary(values) for name, values in scores.items()}
    if segmenter is not None:
        found["segmentation"] = segmenter.score(photos, labels, batch_size)
    return found


def evaluate_translation(
    flow: Any,
    images: Any,
    labels: Any,
    split: str,
    temperatures: Sequence[float] = TEMPERATURES,
    draws: int = 5,
    seed: int = 0,
    samples: int = 4,
    lpips: Any = None,
    segmenter: Any = None,
    batch_size: int = 64,
    progress: Callable[[int], None] | None = None,
    diversity_temperature: float = 0.7,
) -> dict[str, Any]:
    """Score a flow's samples for label maps, and the likelihood of the real photos.

    Args:
        flow: a flow of photos given label maps.
        images: the real photos, uint8 ``(n, h, w, 3)``.
        labels: their label maps, as the flow takes them.
        split: what they are, such as ``"bluemarble_landcover test"``.
        temperatures: standard deviations of the latents; each block of 128 label maps has its
            own seed: ``seed``, ``seed + 1``, ...
        draws: draws of dequantization noise for the likelihood.
        seed: first seed, and that of the dequantization noise.
        samples: photos per label map to measure diversity; 1 for none.
        lpips: an :class:`attnflow_keras.metrics.LPIPS`; None to skip it.
        segmenter: a trained :class:`attnflow_keras.metrics.Segmenter`; None to skip it.
        batch_size: maximum batch size.
        progress: called with the number of photos done: ``n`` a temperature, then ``n`` a sample
            for diversity, then ``n`` a draw of noise.
        diversity_temperature: temperature of the samples for diversity.

    Returns:
        A JSON-able dict: ``split``, ``items``, ``image_shape``, ``seed``; ``temperatures``, a list
        with ``temperature``, ``seed`` and what :func:`likeness` gives; ``real``, the classifier on
        the real photos; ``diversity`` or None; ``bits_per_dim``, see :func:`evaluate_bits_per_dim`;
        and ``conventions``.

    Raises:
        ValueError: a wrong dtype, shape or number.
    """
    check_counts(draws=(draws, 1), seed=(seed, 0), samples=(samples, 1), batch_size=(batch_size, 1))
    sampler = ConditionSampler(flow, int(seed), int(batch_size), progress)

    def photos_at(temperature: float) -> np.ndarray:
        return np.concatenate([drawn for _, drawn in sampler.blocks(labels, temperature)])

    rows = []
    for temperature in temperatures:
        first = sampler.seed
        photos = photos_at(temperature)
        scores = likeness(photos, images, labels, lpips, segmenter, batch_size)
        rows.append({"temperature": float(temperature), "seed": first, **scores})
    diversity = None
    if samples > 1:
        first = sampler.seed
        drawn = np.stack([photos_at(diversity_temperature) for _ in range(samples)], axis=1)
        diversity = {
            **summary(pixel_diversity(drawn)),
            "temperature": float(diversity_temperature),
            "samples": int(samples),
            "items": len(images),
            "seed": first,
        }
    bits = evaluate_bits_per_dim(
        flow,
        images,
        split,
        draws=int(draws),
        seed=int(seed),
        batch_size=batch_size,
        progress=sampler.report,
        condition=labels,
    )
    return {
        "name": "translation",
        "split": split,
        "items": len(images),
        "image_shape": list(images.shape[1:]),
        "seed": int(seed),
        "temperatures": rows,
        "real": None if segmenter is None else segmenter.score(images, labels, batch_size),
        "diversity": diversity,
        "bits_per_dim": bits,
        "conventions": dict(CONVENTIONS),
    }
