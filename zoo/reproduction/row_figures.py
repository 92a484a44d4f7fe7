"""Figures of several seeds."""

import math
from collections.abc import Sequence

import numpy as np


def with_error(values: Sequence[float], digits: int = 4, sign: str = "") -> str:
    """Mean and its standard error over seeds, which one seed does not tell.

    >>> from zoo.reproduction.row_figures import with_error
    >>> with_error([1.0, 2.0], 2)
    '1.50 ± 0.50'
    """
    mean = f"{np.mean(values):{sign}.{digits}f}"
    if len(values) < 2:
        return mean
    return f"{mean} ± {np.std(values, ddof=1) / math.sqrt(len(values)):.{digits}f}"
