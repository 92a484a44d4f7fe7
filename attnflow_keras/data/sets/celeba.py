"""CelebA: faces for super-resolution by 8."""

import numpy as np

from attnflow_keras.data.celeba import LICENSE, load_celeba
from attnflow_keras.data.dataset import DataSet, local_folder

ADVICE = ", as attnflow_keras.data.prepare_celeba writes it from img_align_celeba/"


class CelebASR8(DataSet):
    """Faces of 160x160 and 20x20, which ``prepare_celeba`` wrote to ``$ATTNFLOW_DATA/celeba``."""

    name = "celeba_sr8"
    license = LICENSE
    task = "super-resolution"
    scale = 8

    def images(self, split: str) -> np.ndarray:
        return load_celeba(local_folder("celeba", "CelebA", ADVICE), split)
