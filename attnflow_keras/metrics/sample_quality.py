"""Distances between sets of images in feature space, and a score from class probabilities."""

from typing import Any

import numpy as np

BLOCK = 1000  # features of a kernel estimate
CLOSE = 1e-6


def frechet_distance(a: Any, b: Any) -> float:
    """Squared Fréchet distance of the normal distributions with the moments of two sets.

    ``|mean_a - mean_b|^2 + tr(cov_a + cov_b - 2 (cov_a cov_b)^(1/2))`` (Heusel et al.,
    arXiv:1706.08500, which has features of Inception v3; with others it is not FID). It is biased
    upwards for small sets: compare equal numbers, larger than that of features.

    Args:
        a: features ``(n, d)``.
        b: features ``(m, d)``.

    Raises:
        ValueError: features of fewer than two images, or NaN.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(5000, 3))
        >>> metrics.frechet_distance(x, x) < 1e-9
        True
        >>> round(metrics.frechet_distance(x, x + 2.0), 3)  # three means, each 2 apart
        12.0
    """
    a, b = _checked(a, b)
    difference = a.mean(axis=0) - b.mean(axis=0)
    cov_a, cov_b = (np.cov(x, rowvar=False).reshape(x.shape[1], -1) for x in (a, b))
    # The eigenvalues of cov_a cov_b are those of this symmetric matrix, which are real.
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    middle = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_b @ root), 0.0)).sum()
    total = difference @ difference + np.trace(cov_a) + np.trace(cov_b) - 2.0 * middle
    return float(max(total, 0.0))


def kernel_distance(a: Any, b: Any, block: int = BLOCK) -> tuple[float, float]:
    """Squared maximum mean discrepancy of two sets of features, and its standard error.

    With the kernel ``(x y / d + 1)^3``, without bias, the mean over disjoint blocks of both sets
    (Binkowski et al., arXiv:1801.01401, with features of Inception; with others it is not KID).
    Equal distributions give 0 in the mean, so a value may be negative.

    Args:
        a: features ``(n, d)``.
        b: features ``(m, d)``.
        block: features of each set in a block.

    Returns:
        The distance, and its standard error over blocks; NaN where there is one block.

    Raises:
        ValueError: features of fewer than two images, or NaN.

    Example:
        >>> x = np.random.default_rng(0).normal(size=(2000, 3))
        >>> metrics.kernel_distance(x[:1000], x[1000:] + 1.0, block=500)[0] > 1
        True
    """
    a, b = _checked(a, b)
    size = max(min(block, len(a), len(b)), 2)
    count = min(len(a), len(b)) // size
    found = [_discrepancy(a[i::count][:size], b[i::count][:size]) for i in range(count)]
    error = np.std(found, ddof=1) / count**0.5 if count > 1 else np.nan
    return float(np.mean(found)), float(error)


def class_score(probabilities: Any) -> float:
    """``exp E KL(p(y|x) || p(y))``: high for images with confident and diverse classes.

    The inception score of Salimans et al. (arXiv:1606.03498) for any classifier: 1 at least, the
    number of classes at most.

    Args:
        probabilities: of the classes of each image, ``(n, classes)``, each row a distribution.

    Raises:
        ValueError: rows that are not distributions.

    Example:
        >>> metrics.class_score(np.eye(4))
        4.0
        >>> metrics.class_score(np.full((5, 4), 0.25))
        1.0
    """
    p = np.asarray(probabilities, "float64")
    if p.ndim != 2 or not p.size or not (p >= 0).all() or (abs(p.sum(axis=1) - 1) > CLOSE).any():
        raise ValueError(f"probabilities must be distributions (n, classes); got shape {p.shape}")
    mean = np.broadcast_to(p.mean(axis=0), p.shape)
    some = p > 0
    divergence = (p[some] * np.log(p[some] / mean[some])).sum() / len(p)
    return float(np.exp(divergence))


def _discrepancy(a: np.ndarray, b: np.ndarray) -> float:
    within = []
    for x in (a, b):
        kernel, n = _kernel(x, x), len(x)
        within.append((kernel.sum() - np.trace(kernel)) / (n * (n - 1)))
    return float(sum(within) - 2.0 * _kernel(a, b).mean())


def _kernel(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray((a @ b.T / a.shape[1] + 1.0) ** 3)


def _checked(a: Any, b: Any) -> tuple[np.ndarray, np.ndarray]:
    sets = []
    for name, given in (("a", a), ("b", b)):
        values = np.asarray(given, "float64")
        if values.ndim != 2 or len(values) < 2 or not np.isfinite(values).all():
            raise ValueError(
                f"{name} must be finite features (n, d) of two or more images; got shape "
                f"{values.shape}"
            )
        sets.append(values)
    if sets[0].shape[1] != sets[1].shape[1]:
        raise ValueError(
            f"a and b must have the same number of features; got shapes {sets[0].shape} and "
            f"{sets[1].shape}"
        )
    return sets[0], sets[1]
