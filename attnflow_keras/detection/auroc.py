"""How well a score separates two kinds of images."""

from typing import Any

import numpy as np


def auroc(inside: Any, outside: Any) -> tuple[float, float]:
    """Area under the ROC curve of a score that is higher for outliers, and its standard error.

    The area is the probability that an outlier scores higher than an inlier; ties count one half. 1
    is perfect, 1/2 chance, and below 1/2 the score ranks them the wrong way round. The
    standard error over images is that of DeLong et al. (Biometrics, 1988).

    Args:
        inside: scores of inliers, ``(m,)``.
        outside: scores of outliers, ``(n,)``.

    Raises:
        ValueError: fewer than two scores of a kind, or NaN.

    Example:
        >>> from attnflow_keras import detection
        >>> detection.auroc([0.1, 0.2, 0.3], [0.3, 0.4])[0]  # 5 1/2 pairs of 6
        0.9166666666666666
    """
    groups = []
    for name, given in (("inside", inside), ("outside", outside)):
        values = np.asarray(given, "float64")
        if values.ndim != 1 or len(values) < 2 or np.isnan(values).any():
            raise ValueError(
                f"{name} must be at least two scores (n,) without NaN; got shape {values.shape}"
            )
        groups.append(values)
    low, high = groups
    # For each image, the part of the other kind that it is on the right side of.
    above = _part_below(low, high)
    below = 1.0 - _part_below(high, low)
    variance = above.var(ddof=1) / len(high) + below.var(ddof=1) / len(low)
    return float(above.mean()), float(variance**0.5)


def _part_below(reference: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Part of the reference that is below each value; what is equal counts half."""
    ordered = np.sort(reference)
    counts = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return counts / (2.0 * len(ordered))
