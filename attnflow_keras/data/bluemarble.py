"""Blue Marble: colour of the Earth from space, with land cover aligned to it pixel by pixel.

Both are maps of the whole globe at 15 pixels per degree, from 180 W, 90 N. The globe is cut into
eight longitude bands of 675 columns: bands 3 and 7 are the test set, band 5 is the validation set,
all others are the training set. A tile lies within one band, and is kept if at least 30 % of it is
land (any class but water) and at most 50 % is snow and ice.
"""

import functools
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.core import noise
from attnflow_keras.core.checks import check_choice, check_integer
from attnflow_keras.data.dataset import SPLITS
from attnflow_keras.data.pictures import open_picture

CROPS = 2**33  # stream of step 0; each step has its own, far from those of the augmentation

LICENSE = "Blue Marble, NASA Earth Observatory, public domain"
LAND_COVER_LICENSE = (
    "MODIS MCD12C1 v006 land cover 2019 (IGBP), NASA LP DAAC, free to use, cite MCD12C1"
)

HEIGHT, WIDTH = 2700, 5400
BAND = 675  # columns
BANDS = {"train": (0, 1, 2, 4, 6), "validation": (5,), "test": (3, 7)}

# What the folder named by ATTNFLOW_DATA must hold.
PICTURE_FILE = "bluemarble/bluemarble_5400x2700.jpg"
LAND_COVER_FILE = "bluemarble/landcover_igbp_2019_5400x2700.png"

IGBP_CLASSES = (
    "water",
    "evergreen needleleaf forest",
    "evergreen broadleaf forest",
    "deciduous needleleaf forest",
    "deciduous broadleaf forest",
    "mixed forest",
    "closed shrubland",
    "open shrubland",
    "woody savanna",
    "savanna",
    "grassland",
    "permanent wetland",
    "cropland",
    "urban and built-up land",
    "cropland and natural vegetation",
    "snow and ice",
    "barren",
)
WATER = IGBP_CLASSES.index("water")
ICE = IGBP_CLASSES.index("snow and ice")

# A colour to show each class in, uint8 (17, 3).
IGBP_PALETTE = np.array(
    [
        (38, 70, 140),
        (12, 84, 60),
        (0, 120, 30),
        (70, 150, 110),
        (100, 170, 50),
        (50, 110, 50),
        (150, 90, 110),
        (205, 160, 140),
        (140, 140, 40),
        (200, 190, 80),
        (160, 210, 110),
        (60, 160, 180),
        (245, 220, 60),
        (210, 40, 40),
        (190, 150, 20),
        (240, 245, 255),
        (170, 165, 150),
    ],
    dtype="uint8",
)
IGBP_PALETTE.flags.writeable = False


def load_bluemarble() -> tuple[np.ndarray, np.ndarray]:
    """The whole globe, read once per process from the folder ``ATTNFLOW_DATA``.

    Returns:
        picture: uint8 ``(2700, 5400, 3)``, RGB.
        land_cover: uint8 ``(2700, 5400)``, classes 0 to 16 of :data:`IGBP_CLASSES`.

        Both are shared and read-only.

    Raises:
        OSError: ``ATTNFLOW_DATA`` is not set, or the folder lacks a file.
        ValueError: an invalid file.
    """
    folder = os.environ.get("ATTNFLOW_DATA")
    needed = f"set ATTNFLOW_DATA to a folder with {PICTURE_FILE} and {LAND_COVER_FILE}"
    if not folder:
        raise OSError(f"Blue Marble is read from local files only; {needed}")
    for name in (PICTURE_FILE, LAND_COVER_FILE):
        if not (Path(folder) / name).is_file():
            raise OSError(f"ATTNFLOW_DATA={folder} holds no {name}; {needed}")
    return _decode(Path(folder).absolute())


def bluemarble_tiles(split: str, size: int = 64) -> tuple[np.ndarray, np.ndarray]:
    """The tiles of one split: a grid from the top-left corner of each band, without overlap.

    Tiles come band by band, from north to south, and from west to east within a row.

    Args:
        split: ``"train"``, ``"validation"`` or ``"test"``.
        size: side of a tile in pixels, 1 to 675.

    Returns:
        images: uint8 ``(n, size, size, 3)``, RGB.
        classes: uint8 ``(n, size, size)``, 0 to 16.

    Raises:
        ValueError: an unknown split, a bad size, or an invalid file.
        OSError: missing local files, see :func:`load_bluemarble`.
    """
    check_choice("split", split, SPLITS)
    check_integer("size", size, 1, BAND)
    picture, land_cover = load_bluemarble()
    corners = _corners(land_cover, BANDS[split], size, step=size)
    return _cut(picture, corners, size), _cut(land_cover, corners, size)


class BlueMarbleCrops:
    """Training crops at any offset inside the training bands, by the rule of the tiles.

    All crops that the rule keeps are equally likely.

    >>> crops = data.BlueMarbleCrops(size=64)  # doctest: +SKIP
    >>> images, classes = crops.draw(16, seed=0, step=0)  # doctest: +SKIP

    Args:
        size: side of a crop in pixels, 1 to 675.
        flip: whether a crop is mirrored, west to east, with probability 1/2.

    Raises:
        ValueError: a bad size, or an invalid file.
        OSError: missing local files, see :func:`load_bluemarble`.
    """

    def __init__(self, size: int = 64, flip: bool = True) -> None:
        check_integer("size", size, 1, BAND)
        self.size = int(size)
        self.flip = bool(flip)
        self._picture, self._land_cover = load_bluemarble()
        self._corners = _corners(self._land_cover, BANDS["train"], self.size, step=1)
        self._tiles = len(_corners(self._land_cover, BANDS["train"], self.size, step=self.size))

    def __len__(self) -> int:
        """Nominal size of the training set: the number of its tiles without overlap."""
        return self._tiles

    def draw(self, count: int, seed: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        """The crops of one training step, a function of ``count``, ``seed`` and ``step`` alone.

        Args:
            count: number of crops.
            seed: seed of the run.
            step: training step; each has crops of its own.

        Returns:
            images: uint8 ``(count, size, size, 3)``, RGB.
            classes: uint8 ``(count, size, size)``, 0 to 16.

        Raises:
            ValueError: a count below 1, a step or a seed below 0, or one that is not an integer.
        """
        for name, value, least in (("count", count, 1), ("seed", seed, 0), ("step", step, 0)):
            check_integer(name, value, least)
        rng = noise.generator(seed, CROPS + int(step))
        corners = self._corners[rng.integers(0, len(self._corners), count)]
        images = _cut(self._picture, corners, self.size)
        classes = _cut(self._land_cover, corners, self.size)
        if self.flip:
            mirrored = rng.integers(0, 2, count) == 1
            images[mirrored] = images[mirrored, :, ::-1]
            classes[mirrored] = classes[mirrored, :, ::-1]
        return images, classes

    def fingerprint(self) -> dict[str, Any]:
        """What identifies the data, for JSON: a hash of every ninth pixel, and the arguments.

        JPEG decoders may differ by a grey level, and then the hash does too.
        """
        digest = hashlib.sha256()
        for array in (self._picture, self._land_cover):
            digest.update(np.ascontiguousarray(array[::9, ::9]).tobytes())
        return {
            "data": "bluemarble",
            "sha256": digest.hexdigest(),
            "size": self.size,
            "flip": self.flip,
        }


@functools.lru_cache(maxsize=1)
def _decode(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    picture = _read(folder / PICTURE_FILE, "RGB")
    land_cover = _read(folder / LAND_COVER_FILE, "L")
    if land_cover.max() >= len(IGBP_CLASSES):
        raise ValueError(
            f"{folder / LAND_COVER_FILE} must hold classes 0 to {len(IGBP_CLASSES) - 1}; got "
            f"{land_cover.max()}"
        )
    return picture, land_cover


def _read(path: Path, mode: str) -> np.ndarray:
    opened = open_picture(path).image
    if opened.mode != mode or opened.size != (WIDTH, HEIGHT):
        raise ValueError(
            f"{path} must be {HEIGHT}x{WIDTH} pixels of mode {mode}; got "
            f"{opened.height}x{opened.width} of mode {opened.mode}"
        )
    array = np.array(opened)
    array.flags.writeable = False
    return array


def _corners(land_cover: np.ndarray, bands: tuple[int, ...], size: int, step: int) -> np.ndarray:
    """Top-left corners of the tiles kept, every ``step`` pixels: int16 ``(n, 2)``, row, column."""
    found = []
    for band in bands:
        classes = land_cover[:, band * BAND : (band + 1) * BAND]
        land = _window_sums(classes != WATER, size, step)
        ice = _window_sums(classes == ICE, size, step)
        kept = (10 * land >= 3 * size**2) & (2 * ice <= size**2)
        corners = np.argwhere(kept) * step + (0, band * BAND)
        found.append(corners.astype("int16"))
    return np.concatenate(found)


def _window_sums(mask: np.ndarray, size: int, step: int) -> np.ndarray:
    """Number of true pixels in the square at each position that is a multiple of ``step``."""
    height, width = mask.shape
    total = np.zeros((height + 1, width + 1), dtype="int32")
    np.cumsum(mask, axis=0, dtype="int32", out=total[1:, 1:])
    np.cumsum(total[1:, 1:], axis=1, out=total[1:, 1:])
    top, bottom = slice(0, height - size + 1, step), slice(size, None, step)
    left, right = slice(0, width - size + 1, step), slice(size, None, step)
    return total[bottom, right] - total[top, right] - total[bottom, left] + total[top, left]


def _cut(array: np.ndarray, corners: np.ndarray, size: int) -> np.ndarray:
    """Squares of an array ``(h, w, ...)``, copied to ``(n, size, size, ...)``."""
    cut = np.empty((len(corners), size, size, *array.shape[2:]), dtype=array.dtype)
    for index, (top, left) in enumerate(corners.tolist()):
        cut[index] = array[top : top + size, left : left + size]
    return cut
