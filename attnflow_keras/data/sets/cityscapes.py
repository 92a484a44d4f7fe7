"""Cityscapes: street images with colour label maps."""

import numpy as np

from attnflow_keras.data.cityscapes import LICENSE, load_cityscapes
from attnflow_keras.data.dataset import DataSet, local_folder

ADVICE = ", as attnflow_keras.data.prepare_cityscapes writes it from gtFine/ and leftImg8bit/"


class Cityscapes(DataSet):
    """Images and label maps of 256x256, ``(n, 256, 256, 3)`` each, or 4 with boundaries.

    ``prepare_cityscapes`` wrote them to ``$ATTNFLOW_DATA/cityscapes``.
    """

    name = "cityscapes"
    license = LICENSE
    task = "label-to-photo"

    def images(self, split: str) -> np.ndarray:
        return _load(split)[0]

    def conditions(self, split: str) -> np.ndarray:
        return _load(split)[1]


def _load(split: str) -> tuple[np.ndarray, np.ndarray]:
    return load_cityscapes(local_folder("cityscapes", "Cityscapes", ADVICE), split)
