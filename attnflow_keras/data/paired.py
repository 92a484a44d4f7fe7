"""Data sets of images with a condition, for the conditional tasks."""

import os
from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.core.checks import check_choice
from attnflow_keras.data import bluemarble, celeba, cityscapes
from attnflow_keras.data.bicubic import downscale
from attnflow_keras.data.picture_files import Notes, find_pictures, read_pixels
from attnflow_keras.data.sources import Labelled, SmallAndLarge, WholePictures

PAIRED = ("bluemarble_sr8", "celeba_sr8", "bluemarble_landcover", "cityscapes")
SPLITS = ("train", "validation", "test")

LICENSES = {
    "bluemarble_sr8": bluemarble.LICENSE,
    "celeba_sr8": celeba.LICENSE,
    "bluemarble_landcover": f"{bluemarble.LICENSE}; {bluemarble.LAND_COVER_LICENSE}",
    "cityscapes": cityscapes.LICENSE,
}
SCALE = 8

BLOCK = 256


def load_paired(name: str, split: str) -> dict[str, np.ndarray]:
    """Images and conditions of one split, on a fixed grid.

    Args:
        name: ``"bluemarble_sr8"``, 64x64 tiles of Blue Marble and their 8x8 reductions; or
            ``"celeba_sr8"``, faces of 160x160 and 20x20, which :func:`prepare_celeba` wrote to
            ``celeba`` in the folder that ``ATTNFLOW_DATA`` names; or ``"bluemarble_landcover"``,
            the tiles and their land cover, classes 0 to 16; or ``"cityscapes"``, street images and
            colour label maps of 256x256, which :func:`prepare_cityscapes` wrote to ``cityscapes``
            in that folder.
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
    """The training split of a data set: crops of Blue Marble at any offset, or whole images."""
    _check(name, "train")
    if name == "bluemarble_landcover":
        return Labelled(bluemarble.BlueMarbleCrops())
    if name == "cityscapes":
        return Labelled(WholePictures(*_cityscapes("train")))
    if name == "celeba_sr8":
        return SmallAndLarge(WholePictures(_celeba("train")), SCALE)
    return SmallAndLarge(bluemarble.BlueMarbleCrops(), SCALE)


def load_pictures(
    path: str | Path, least: tuple[int, int] = (1, 1), background: Any = None
) -> list[np.ndarray]:
    """All PNG, JPEG and WebP images of a folder (or one file), uint8 ``(h, w, 3)`` each.

    Args:
        path: the folder or file.
        least: height and width that each must have at least.
        background: colour behind transparent pixels; None refuses images that have some.

    Raises:
        FileNotFoundError: no such file or folder.
        ValueError: a folder without images, a file that is none, an image too small, or transparent
            pixels and no background.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no file or folder {path}")
    notes = Notes(path)
    files = find_pictures(path, notes) if path.is_dir() else [path]
    pictures = [read_pixels(file, 3, background, notes) for file in files]
    notes.say()
    for file, picture in zip(files, pictures, strict=True):
        if picture.shape[0] < least[0] or picture.shape[1] < least[1]:
            raise ValueError(
                f"{file} must be at least {least[0]}x{least[1]}; it is "
                f"{picture.shape[0]}x{picture.shape[1]}"
            )
    return pictures


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
    check_choice("data set", name, PAIRED)
    check_choice("split", split, SPLITS)
