"""Score restorations, of a flow or a baseline, with the full convention."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from attnflow_keras.core.checks import check_number
from attnflow_keras.metrics.bits_per_dim import evaluate_bits_per_dim
from attnflow_keras.metrics.image_quality import (
    check_pair,
    check_pictures,
    lr_psnr,
    pixel_diversity,
    psnr,
    scale_of,
    ssim,
)
from attnflow_keras.metrics.sampling import ConditionSampler, check_counts, summary

TEMPERATURES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)

CONVENTIONS = {
    "pictures": "grey levels (uint8) of all channels, no border left out",
    "psnr": "dB, 10 log10(255^2 / MSE)",
    "ssim": "7x7 uniform window, data range 255, sample covariance, mean over channels",
    "lr_psnr": "dB, PSNR of the condition and the restoration, downsampled with MATLAB's bicubic",
    "lpips": "v0.1, AlexNet; lower is closer",
    "mean": "over images; infinite values are left out and counted",
    "standard_error": "over images, ddof 1",
    "average": "over the temperatures for each image, then over images",
    "diversity": "grey levels; standard deviation over samples (ddof 1), mean over the image",
}


def quality(
    restored: Any, images: Any, conditions: Any, lpips: Any = None, batch_size: int = 64
) -> dict[str, dict[str, Any]]:
    """Similarity of restorations to the ground truth and to the low-resolution images.

    Args:
        restored: uint8 ``(n, s h, s w, c)``, such as those of bicubic interpolation.
        images: the ground-truth images, of the same shape.
        conditions: the low-resolution images, uint8 ``(n, h, w, c)``.
        lpips: an :class:`attnflow_keras.metrics.LPIPS`; None leaves it out.
        batch_size: maximum batch size in LPIPS.

    Returns:
        ``psnr``, ``ssim``, ``lr_psnr`` and, if given, ``lpips``, each with the ``mean`` and
        ``standard_error`` over images. Infinite values, those of identical images, are left out;
        where there are any, ``infinite`` is their number, and ``mean`` is None if all are.

    Raises:
        ValueError: a wrong dtype or shape.
    """
    scores = _scores(restored, images, conditions, lpips, batch_size)
    return {name: summary(values) for name, values in scores.items()}


def evaluate_restoration(
    flow: Any,
    images: Any,
    conditions: Any,
    split: str,
    temperatures: Sequence[float] = TEMPERATURES,
    seed: int = 0,
    samples: int = 1,
    lpips: Any = None,
    batch_size: int = 64,
    progress: Callable[[int], None] | None = None,
    diversity_temperature: float = 0.9,
    diversity_items: int = 64,
) -> dict[str, Any]:
    """Score a flow's restorations of low-resolution images.

    At each temperature one restoration of each condition is drawn, in blocks of 128 conditions.
    Every draw of a block has its own seed: ``seed``, ``seed + 1``, ... in the order of the
    temperatures, then of the samples for diversity; they don't depend on ``batch_size``.

    Args:
        flow: a conditional flow.
        images: the ground-truth images, uint8 ``(n, s h, s w, c)``.
        conditions: the low-resolution images, uint8 ``(n, h, w, c)``.
        split: description of the images, such as ``"bluemarble test"``.
        temperatures: standard deviations of the latents.
        seed: first seed, and that of the dequantization noise.
        samples: restorations per condition to measure diversity; 1 for none.
        lpips: an :class:`attnflow_keras.metrics.LPIPS`; None leaves it out.
        batch_size: maximum batch size.
        progress: called with the number of images done after each block: ``n`` a temperature, then
            ``samples * min(n, diversity_items)`` for diversity, unless ``samples`` is 1, then ``n``
            for bits.
        diversity_temperature: temperature of those samples.
        diversity_items: conditions from which they are drawn, evenly spaced among all.

    Returns:
        A JSON-able dict: ``split``, ``items``, ``scale``, ``image_shape``, ``seed``;
        ``temperatures``, a list with ``temperature``, ``seed`` (that of the first block) and the
        scores of :func:`quality` each; ``average``, the same scores averaged over the temperatures
        above 0; ``diversity`` in grey levels, with ``temperature``, ``samples``, ``items`` and
        ``seed``, or None; ``bits_per_dim``, see :func:`evaluate_bits_per_dim`; and ``conventions``,
        a sentence each.

    Raises:
        ValueError: a wrong dtype, shape or number, or images of the flow that are not finite.
    """
    images, conditions = check_pictures("images", images), check_pictures("conditions", conditions)
    scale = scale_of("images", images, "conditions", conditions)
    if not isinstance(temperatures, Sequence | np.ndarray) or not len(temperatures):
        raise ValueError(f"temperatures must be one number or more; got {temperatures!r}")
    for temperature in temperatures:
        check_number("each of temperatures", temperature)
    check_number("diversity_temperature", diversity_temperature)
    check_counts(
        seed=(seed, 0),
        samples=(samples, 1),
        batch_size=(batch_size, 1),
        diversity_items=(diversity_items, 1),
    )
    batch_size = int(batch_size)
    sampler = ConditionSampler(flow, int(seed), batch_size, progress)
    rows, scores = [], []
    for temperature in temperatures:
        first = sampler.seed
        blocks = [
            _scores(restored, images[part], conditions[part], lpips, batch_size)
            for part, restored in sampler.blocks(conditions, temperature)
        ]
        scores.append({name: np.concatenate([b[name] for b in blocks]) for name in blocks[0]})
        summaries = {name: summary(values) for name, values in scores[-1].items()}
        rows.append({"temperature": float(temperature), "seed": first, **summaries})
    # Temperature 0 is no sample.
    drawn = [s for s, t in zip(scores, temperatures, strict=True) if t > 0] or scores
    averages = {name: np.mean([s[name] for s in drawn], axis=0) for name in drawn[0]}
    diversity = None
    if samples > 1:
        chosen = _spread(len(images), diversity_items)
        diversity = _diversity(sampler, conditions[chosen], diversity_temperature, samples)
    bits = evaluate_bits_per_dim(
        flow,
        images,
        split,
        seed=int(seed),
        batch_size=batch_size,
        progress=sampler.report,
        condition=conditions,
    )
    return {
        "name": "restoration",
        "split": split,
        "items": len(images),
        "image_shape": list(images.shape[1:]),
        "scale": scale,
        "seed": int(seed),
        "temperatures": rows,
        "average": {name: summary(values) for name, values in averages.items()},
        "diversity": diversity,
        "bits_per_dim": bits,
        "conventions": dict(CONVENTIONS),
    }


def _scores(
    restored: Any, images: Any, conditions: Any, lpips: Any, batch_size: int
) -> dict[str, np.ndarray]:
    """Scores by name, each float64 ``(n,)``."""
    restored, images = check_pair(restored=restored, images=images)
    conditions = check_pictures("conditions", conditions)
    scale_of("images", images, "conditions", conditions)
    scores = {
        "psnr": psnr(restored, images),
        "ssim": ssim(restored, images),
        "lr_psnr": lr_psnr(restored, conditions),
    }
    if lpips is not None:
        distances = lpips(restored, images, batch_size=batch_size)
        scores["lpips"] = np.asarray(distances, dtype="float64")
    return scores


def _diversity(
    sampler: ConditionSampler, conditions: np.ndarray, temperature: float, samples: int
) -> dict[str, Any]:
    first = sampler.seed
    draws = [
        np.concatenate([restored for _, restored in sampler.blocks(conditions, temperature)])
        for _ in range(samples)
    ]
    return {
        **summary(pixel_diversity(np.stack(draws, axis=1))),
        "temperature": float(temperature),
        "samples": int(samples),
        "items": len(conditions),
        "seed": first,
    }


def _spread(n: int, wanted: int) -> np.ndarray:
    """Evenly spaced indices, as many as wanted or ``n``."""
    count = min(n, wanted)
    return np.arange(count) * n // count
