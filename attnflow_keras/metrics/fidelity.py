"""FID, IS and KID with the features of Inception v3, by the package torch-fidelity."""

import tempfile
from pathlib import Path
from typing import Any

from attnflow_keras.core.checks import check_integer
from attnflow_keras.core.extras import install_command
from attnflow_keras.data.images import save_image
from attnflow_keras.metrics.image_quality import check_pictures

# Images of a subset in KID, as it is published.
SUBSET = 1000

# What torch-fidelity calls them, by our own names.
SCORES = {
    "fid": "frechet_inception_distance",
    "inception_score": "inception_score_mean",
    "inception_score_deviation": "inception_score_std",
    "kid": "kernel_inception_distance_mean",
    "kid_deviation": "kernel_inception_distance_std",
}


def inception_scores(
    samples: Any,
    images: Any,
    weights: str | Path | None = None,
    batch_size: int = 64,
    cuda: bool = False,
) -> dict[str, float]:
    """FID, IS and KID of samples, as papers report them: by torch-fidelity, on PyTorch.

    Both sets are written as PNG to a temporary folder. Published figures are of 50,000 samples
    against the training images; those of fewer are larger, FID above all. Where PyTorch or its
    weights can't be had, :class:`VGG16Features` with :func:`frechet_distance` and
    :func:`kernel_distance` compares models with one another.

    Args:
        samples: uint8 ``(n, h, w, c)`` with c = 1 or 3; grey ones count as three equal channels.
        images: the real images, uint8 ``(m, h, w, c)``.
        weights: file of Inception's weights; None lets torch-fidelity download it once.
        batch_size: images at a time.
        cuda: compute on a GPU.

    Returns:
        ``fid``; ``inception_score`` with ``inception_score_deviation`` over ten splits; ``kid``
        with ``kid_deviation`` over 100 subsets of 1,000, or fewer where there are fewer images.

    Raises:
        ImportError: torch-fidelity is not installed.
        ValueError: a wrong dtype or shape, or fewer than two images.

    Example:
        >>> scores = metrics.inception_scores(flow.sample(5000), images)  # doctest: +SKIP
    """
    sets = {
        "samples": check_pictures("samples", samples),
        "images": check_pictures("images", images),
    }
    check_integer("batch_size", batch_size)
    for name, given in sets.items():
        if len(given) < 2:
            raise ValueError(f"{name} must hold two images or more; got {len(given)}")
    try:
        from torch_fidelity import calculate_metrics
    except ImportError as error:
        raise ImportError(
            f"FID, IS and KID need torch-fidelity: {install_command('fidelity')}"
        ) from error
    options = {} if weights is None else {"feature_extractor_weights_path": str(weights)}
    with tempfile.TemporaryDirectory() as folder:
        for name, given in sets.items():
            write_pictures(Path(folder, name), given)
        found = calculate_metrics(
            input1=str(Path(folder, "samples")),
            input2=str(Path(folder, "images")),
            isc=True,
            fid=True,
            kid=True,
            kid_subset_size=min(SUBSET, *map(len, sets.values())),
            batch_size=batch_size,
            cuda=cuda,
            cache=False,
            verbose=False,
            **options,
        )
    return {name: float(found[key]) for name, key in SCORES.items()}


def write_pictures(folder: Path, images: Any) -> None:
    """Write images as ``000000.png`` and so on."""
    for index, image in enumerate(images):
        save_image(folder / f"{index:06}.png", image)
