"""Data sets of pictures with a condition, for the conditional tasks."""

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras import noise
from attnflow_keras.data import bluemarble, celeba, cityscapes
from attnflow_keras.data.bicubic import downscale
from attnflow_keras.data.images import SUFFIXES
from attnflow_keras.data.pairs import load_picture

RESTORED = ("bluemarble_sr8", "celeba_sr8")
LABELLED = ("bluemarble_landcover", "cityscapes")
PAIRED = (*RESTORED, *LABELLED)
SPLITS = ("train", "validation", "test")

LICENSES = {
    "bluemarble_sr8": bluemarble.LICENSE,
    "celeba_sr8": celeba.LICENSE,
    "bluemarble_landcover": f"{bluemarble.LICENSE}; {bluemarble.LAND_COVER_LICENSE}",
    "cityscapes": cityscapes.LICENSE,
}
SCALE = 8

BLOCK = 256
CROPS = 2**34  # stream of step 0; each step has its own


def load_paired(name: str, split: str) -> dict[str, np.ndarray]:
    """Pictures and conditions of one split, on a fixed grid.

    Args:
        name: ``"bluemarble_sr8"``, 64x64 tiles of Blue Marble and their 8x8 reductions; or
            ``"celeba_sr8"``, faces of 160x160 and 20x20, which :func:`prepare_celeba` wrote to
            ``celeba`` in the folder that ``ATTNFLOW_DATA`` names; or
            ``"bluemarble_landcover"``, the tiles and their land cover, classes 0 to 16; or
            ``"cityscapes"``, street pictures and colour label maps of 256x256, which
            :func:`prepare_cityscapes` wrote to ``cityscapes`` in that folder.
        split: ``"train"``, ``"validation"`` or ``"test"``.

    Returns:
        ``{"image": uint8 (n, h, w, 3), "condition": uint8}``; conditions are ``(n, h / 8, w / 8,
        3)`` for super-resolution, ``(n, h, w)`` for classes, ``(n, h, w, 3)`` or 4, with
        boundaries, for colours.

    Raises:
        ValueError: an unknown data set or split.
        OSError: the data set's files are not there.
    """
    _check(name, split)
    if name == "bluemarble_landcover":
        images, classes = bluemarble.bluemarble_tiles(split)
        return {"image": images, "condition": classes}
    if name == "cityscapes":
        images, labels = _cityscapes(split)
        return {"image": images, "condition": labels}
    images = _celeba(split) if name == "celeba_sr8" else bluemarble.bluemarble_tiles(split)[0]
    # In blocks: reducing all faces at once would take several times their memory.
    blocks = [downscale(images[i : i + BLOCK], SCALE) for i in range(0, len(images), BLOCK)]
    return {"image": images, "condition": np.concatenate(blocks)}


def training_source(name: str) -> Any:
    """The training split of a data set: crops of Blue Marble at any offset, or whole pictures."""
    _check(name, "train")
    if name == "bluemarble_landcover":
        return Labelled(bluemarble.BlueMarbleCrops())
    if name == "cityscapes":
        return Labelled(WholePictures(*_cityscapes("train")))
    if name == "celeba_sr8":
        return SmallAndLarge(WholePictures(_celeba("train")), SCALE)
    return SmallAndLarge(bluemarble.BlueMarbleCrops(), SCALE)


class SmallAndLarge:
    """Crops with their reductions, for super-resolution.

    Args:
        crops: draws ``(images, ...)``, such as ``BlueMarbleCrops`` or :class:`PictureCrops`.
        scale: factor of the reduction.
    """

    def __init__(self, crops: Any, scale: int) -> None:
        self.crops = crops
        self.scale = scale

    def __len__(self) -> int:
        return len(self.crops)

    def draw(self, count: int, seed: int, step: int) -> dict[str, np.ndarray]:
        """``{"image", "condition"}`` of one training step."""
        images = self.crops.draw(count, seed, step)[0]
        return {"image": images, "condition": downscale(images, self.scale)}

    def fingerprint(self) -> dict[str, Any]:
        """What tells this data from other data."""
        return {**self.crops.fingerprint(), "scale": self.scale}


class Labelled:
    """Photos with their label maps.

    Args:
        crops: draws ``(images, labels)``, such as ``BlueMarbleCrops`` or :class:`WholePictures`.
    """

    def __init__(self, crops: Any) -> None:
        self.crops = crops

    def __len__(self) -> int:
        return len(self.crops)

    def draw(self, count: int, seed: int, step: int) -> dict[str, np.ndarray]:
        """``{"image", "condition"}`` of one training step."""
        images, labels = self.crops.draw(count, seed, step)
        return {"image": images, "condition": labels}

    def fingerprint(self) -> dict[str, Any]:
        """What tells this data from other data."""
        return {**self.crops.fingerprint(), "labels": True}


class Photos:
    """The photos of a source alone, for unconditional flows.

    Args:
        source: draws ``{"image", "condition"}``.
    """

    def __init__(self, source: Any) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def draw(self, count: int, seed: int, step: int) -> np.ndarray:
        """Photos of one training step."""
        return self.source.draw(count, seed, step)["image"]

    def fingerprint(self) -> dict[str, Any]:
        """What tells this data from other data."""
        return {**self.source.fingerprint(), "photos": True}


class WholePictures:
    """Pictures of one size, drawn at random.

    Args:
        *arrays: uint8 ``(n, h, w, ...)`` each, in memory or mapped from a file: the pictures, and
            what belongs to each.
        flip: mirror half of the pictures.
    """

    def __init__(self, *arrays: np.ndarray, flip: bool = True) -> None:
        self.arrays = arrays
        self.flip = flip

    def __len__(self) -> int:
        return len(self.arrays[0])

    def draw(self, count: int, seed: int, step: int) -> tuple[np.ndarray, ...]:
        """Pictures of one training step, uint8 ``(count, h, w, ...)`` each."""
        rng = noise.generator(seed, CROPS + step)
        rows = rng.integers(len(self), size=count)
        flip = self.flip & (rng.integers(2, size=count) == 1)
        drawn = []
        for array in self.arrays:
            part = np.array(array[rows])
            part[flip] = part[flip, :, ::-1]
            drawn.append(part)
        return tuple(drawn)

    def fingerprint(self) -> dict[str, Any]:
        """Shape and hash of some of the pictures."""
        digest = hashlib.sha256()
        for array in self.arrays:
            digest.update(np.ascontiguousarray(array[:: -(-len(array) // BLOCK)]).data)
        shape = list(self.arrays[0].shape[1:])
        return {"shape": shape, "flip": self.flip, "sha256": digest.hexdigest()}


class PictureCrops:
    """Random crops of pictures of any size, each of which is at least as large as a crop.

    Args:
        pictures: uint8 arrays ``(h, w, 3)``.
        height: height of a crop.
        width: width of a crop.
        flip: mirror half of the crops.
    """

    def __init__(
        self, pictures: list[np.ndarray], height: int, width: int, flip: bool = True
    ) -> None:
        if not pictures:
            raise ValueError("pictures must hold at least one picture; got none")
        for index, picture in enumerate(pictures):
            if picture.shape[0] < height or picture.shape[1] < width:
                raise ValueError(
                    f"pictures must be at least {height}x{width}; number {index} is "
                    f"{picture.shape[0]}x{picture.shape[1]}"
                )
        self.pictures = pictures
        self.height = height
        self.width = width
        self.flip = flip

    def __len__(self) -> int:
        return len(self.pictures)

    def draw(self, count: int, seed: int, step: int) -> tuple[np.ndarray]:
        """Crops of one training step, uint8 ``(count, height, width, 3)``."""
        rng = noise.generator(seed, CROPS + step)
        crops = []
        for _ in range(count):
            picture = self.pictures[rng.integers(len(self.pictures))]
            top = rng.integers(picture.shape[0] - self.height + 1)
            left = rng.integers(picture.shape[1] - self.width + 1)
            crop = picture[top : top + self.height, left : left + self.width]
            crops.append(crop[:, ::-1] if self.flip and rng.integers(2) else crop)
        return (np.stack(crops),)

    def fingerprint(self) -> dict[str, Any]:
        """Hash of the pictures and the size of a crop."""
        digest = hashlib.sha256()
        for picture in self.pictures:
            digest.update(np.ascontiguousarray(picture).data)
        size = [self.height, self.width]
        return {"crop": size, "flip": self.flip, "sha256": digest.hexdigest()}


def load_pictures(path: str | Path) -> list[np.ndarray]:
    """All PNG and JPEG pictures of a folder (or one file), uint8 ``(h, w, 3)`` each.

    Raises:
        FileNotFoundError: no such file or folder.
        ValueError: a folder without pictures, or a file that is none.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no file or folder {path}")
    if not path.is_dir():
        return [load_picture(path)]
    files = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)
    if not files:
        raise ValueError(f"folder {path} holds no image ({', '.join(SUFFIXES)})")
    return [load_picture(file) for file in files]


def _celeba(split: str) -> np.ndarray:
    return celeba.load_celeba(_prepared("celeba", "CelebA", "img_align_celeba/"), split)


def _cityscapes(split: str) -> tuple[np.ndarray, np.ndarray]:
    folder = _prepared("cityscapes", "Cityscapes", "gtFine/ and leftImg8bit/")
    return cityscapes.load_cityscapes(folder, split)


def _prepared(folder: str, name: str, source: str) -> Path:
    root = os.environ.get("ATTNFLOW_DATA")
    if not root or not (Path(root) / folder).is_dir():
        raise OSError(
            f"{name} is read from local files only; set ATTNFLOW_DATA to a folder with {folder}/, "
            f"as attnflow_keras.data.prepare_{folder} writes it from {source}"
        )
    return Path(root) / folder


def _check(name: str, split: str) -> None:
    if name not in PAIRED:
        raise ValueError(f"data set must be one of {', '.join(PAIRED)}; got {name!r}")
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}; got {split!r}")
