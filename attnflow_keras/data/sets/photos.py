"""Photographs for super-resolution by 4: the example of a data set in one file."""

import functools
import importlib.util
import math
from pathlib import Path

import numpy as np

from attnflow_keras.core.checks import check_choice
from attnflow_keras.core.extras import install_command
from attnflow_keras.data.dataset import SPLITS, DataSet, local_folder, reduced
from attnflow_keras.data.pictures import open_picture
from attnflow_keras.data.sources import PictureCrops

SIDE = 64
MOST = 12  # tiles along a side of an image

# Every other photograph of the folder is for training.
VALIDATION = ("FallenLeaf", "Picture_1A_by_freespace", "aitzgorri_by_Aitzol_Berasategi")
# In scikit-image's folder of data.
TEST = ("astronaut.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "rocket.jpg")


class PhotosSR4(DataSet):
    """Tiles of 64x64 of photographs, and their 16x16 reductions.

    Training draws crops at any offset, half of them from the image halved, whose pixels are
    sharper. Validation tiles are of three other photographs, halved; test tiles of the colour
    photographs that come with scikit-image, which are small and sharp. Both lie on a fixed grid
    without overlap. All training photographs are kept in memory, some 500 MB.
    """

    name = "photos_sr4"
    license = (
        "20 photographs from Debian's Lomiri and Plasma wallpapers: Aitzol Berasategi, Jakub Mede, "
        'Trevor "Freespace" (CC BY 4.0); "Bolly", Sander Klootwijk (CC BY-SA 4.0); Lukas Baubkus '
        "(CC BY-SA 3.0); Clemens Engelhardt (CC0 1.0); Dmitri Popov, Ian Hex, Maciej Wiklo, Martin "
        "Klapetek, Risto Saukonpää (LGPL 3). Test: photographs that come with scikit-image"
    )
    task = "super-resolution"
    scale = 4

    def images(self, split: str) -> np.ndarray:
        if check_choice("split", split, SPLITS) == "test":
            pictures = list(test_photographs().values())
        else:
            pictures = [_halved(photo) for photo in _photographs(split)]
        return np.concatenate([_tiles(picture) for picture in pictures])

    @property
    def has_bundled(self) -> bool:
        return importlib.util.find_spec("skimage") is not None

    def bundled(self) -> dict[str, np.ndarray]:
        """Every ninth of the test tiles; scikit-image brings the photographs."""
        images = self.images("test")[::9]
        return {"image": images, "condition": reduced(images, self.scale)}

    def crops(self) -> PictureCrops:
        photos = _photographs("train")
        return PictureCrops([*photos, *map(_halved, photos)], SIDE, SIDE)


def _photographs(split: str) -> list[np.ndarray]:
    files = sorted(local_folder("photos", "Photographs", " of JPEG images").glob("*.jpg"))
    chosen = [file for file in files if (file.stem in VALIDATION) == (split == "validation")]
    if not chosen:
        raise OSError(f"ATTNFLOW_DATA: photos/ holds no photograph for {split}")
    return [_read(file) for file in chosen]


def test_photographs() -> dict[str, np.ndarray]:
    """The whole photographs of the test split, uint8 ``(h, w, 3)``, by name.

    Raises:
        ImportError: scikit-image, which brings them, is not installed.
    """
    found = importlib.util.find_spec("skimage")
    if found is None or found.origin is None:
        raise ImportError(f"the test photographs need scikit-image: {install_command('metrics')}")
    folder = Path(found.origin).parent / "data"
    return {Path(name).stem: _read(folder / name) for name in TEST}


@functools.lru_cache(maxsize=32)
def _read(file: Path) -> np.ndarray:
    return open_picture(file).pixels()


def _halved(picture: np.ndarray) -> np.ndarray:
    from PIL import Image

    height, width = picture.shape[:2]
    halved = Image.fromarray(picture).resize((width // 2, height // 2), Image.Resampling.BICUBIC)
    return np.asarray(halved)


def _tiles(picture: np.ndarray) -> np.ndarray:
    """Tiles from the top-left corner, at the smallest multiple of their side that gives so few."""
    height, width = picture.shape[:2]
    step = SIDE * math.ceil(max(height, width) / (SIDE * MOST))
    rows, columns = (range(0, side - SIDE + 1, step) for side in (height, width))
    return np.stack([picture[y : y + SIDE, x : x + SIDE] for y in rows for x in columns])
