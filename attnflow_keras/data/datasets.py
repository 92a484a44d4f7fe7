"""The data sets by name."""

import functools
from typing import Any

import numpy as np

from attnflow_keras.core.checks import check_choice
from attnflow_keras.core.discovery import one_of_each
from attnflow_keras.data.dataset import DataSet


@functools.cache
def data_sets() -> dict[str, DataSet]:
    """All data sets in ``attnflow_keras.data.sets``, by name.

    Example:
        >>> sorted(data_sets())[:3]
        ['bluemarble', 'bluemarble_landcover', 'bluemarble_sr8']
    """
    return one_of_each("attnflow_keras.data.sets", DataSet)  # type: ignore[type-abstract]


def is_data_set(name: Any) -> bool:
    """Whether there is a data set of that name; ``-`` and ``_`` are equivalent."""
    return isinstance(name, str) and name.replace("-", "_") in data_sets()


def data_set(name: str) -> DataSet:
    """The data set of a name; ``-`` and ``_`` are equivalent.

    Raises:
        ValueError: an unknown name.
    """
    if not is_data_set(name):
        check_choice("data set", name, data_sets())
    return data_sets()[name.replace("-", "_")]


def load_dataset(name: str, split: str) -> np.ndarray:
    """Images of one split, uint8 ``(n, h, w, c)``.

    Files are taken from the folder that the environment variable ``ATTNFLOW_DATA`` names. MNIST,
    Fashion-MNIST and CIFAR-10 are downloaded by ``keras.datasets`` otherwise.

    Args:
        name: a data set's name, such as ``"mnist"``, see :func:`data_sets`.
        split: ``"train"``, ``"validation"`` or ``"test"``.

    Raises:
        ValueError: an unknown data set or split, or an invalid file.
        OSError: no local file, and no download or a failed one.
    """
    return data_set(name).images(split)


def load_paired(name: str, split: str) -> dict[str, np.ndarray]:
    """Images and conditions of one split.

    Args:
        name: a data set's name, such as ``"bluemarble_sr8"``, see :func:`data_sets`.
        split: ``"train"``, ``"validation"`` or ``"test"``.

    Returns:
        ``{"image": uint8 (n, h, w, c), "condition": uint8}``; conditions are ``(n, h / s, w / s,
        3)`` for super-resolution by a factor s, ``(n, h, w)`` for label maps of classes,
        ``(n, h, w, 3)`` or 4 for those of colours, ``(n,)`` for classes.

    Raises:
        ValueError: an unknown data set or split, or a data set without conditions.
        OSError: missing files.
    """
    return data_set(name).pairs(split)
