"""Blue Marble: 64x64 tiles of the Earth from space, alone, reduced, or with their land cover."""

from typing import Any

import numpy as np

from attnflow_keras.data.bluemarble import (
    LAND_COVER_LICENSE,
    LICENSE,
    BlueMarbleCrops,
    bluemarble_tiles,
)
from attnflow_keras.data.dataset import DataSet


class BlueMarble(DataSet):
    """The tiles alone. Training draws crops at any offset."""

    name = "bluemarble"
    license = LICENSE
    sample = "bluemarble_test_32.npz"

    def images(self, split: str) -> np.ndarray:
        return bluemarble_tiles(split)[0]

    def crops(self) -> Any:
        return BlueMarbleCrops()


class BlueMarbleSR8(BlueMarble):
    """The tiles and their 8x8 reductions."""

    name = "bluemarble_sr8"
    task = "super-resolution"
    scale = 8


class BlueMarbleLandCover(BlueMarble):
    """The tiles and their land cover, classes 0 to 16 ``(n, 64, 64)``."""

    name = "bluemarble_landcover"
    license = f"{LICENSE}; {LAND_COVER_LICENSE}"
    task = "label-to-photo"

    def conditions(self, split: str) -> np.ndarray:
        return bluemarble_tiles(split)[1]
