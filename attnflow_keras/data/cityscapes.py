"""Cityscapes: street images with colour label maps, from the user's copy."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from attnflow_keras.core.checks import check_integer
from attnflow_keras.core.files import check_free
from attnflow_keras.data.dataset import SPLITS
from attnflow_keras.data.picture_files import is_hidden
from attnflow_keras.data.pictures import open_picture
from attnflow_keras.data.prepared import load_split, write_splits

LICENSE = "Cityscapes, Daimler AG, MPI Informatics, TU Darmstadt, non-commercial research only"

SIZE = 256
# Cityscapes keeps the labels of its own test set back: its validation set is the test set here,
# as in Full-Glow's paper, and one city of the training set is held out.
FOLDERS = {"train": "train", "validation": "train", "test": "val"}
HELD_OUT = "zurich"

PHOTO = "_leftImg8bit.png"
COLOURS = "_gtFine_color.png"
INSTANCES = "_gtFine_instanceIds.png"


def prepare_cityscapes(
    source: str | Path,
    target: str | Path,
    size: int = SIZE,
    boundaries: bool = False,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, int]:
    """Resize Cityscapes' images and colour label maps to squares, and write them by split.

    Both are resized with Pillow's bilinear filter, which changes the aspect from 2:1 and blends
    colours at borders of the label map, as Full-Glow's code does. ``train`` are the images of the
    folder ``train`` but for the city of Zurich (122), which are ``validation``; ``test`` are those
    of the folder ``val``. Full-Glow trains on all of ``train`` and validates on its test set.

    A split is written as ``<target>/<split>/images.npy`` and ``labels.npy``, uint8
    ``(n, size, size, 3)``. Splits without an image are left out. The target is complete or absent.

    Args:
        source: the folder that holds ``leftImg8bit`` and ``gtFine``. A part is enough.
        target: folder to write.
        size: side of the images written, in pixels.
        boundaries: give label maps a fourth channel: 255 on pixels whose neighbour belongs to
            another instance, resized in the same way.
        overwrite: whether a target that exists may be replaced.
        progress: called with the number of images done, and of all, after each.

    Returns:
        The number of images by split.

    Raises:
        FileNotFoundError: there is no folder ``leftImg8bit`` or ``gtFine``, or an image lacks its
            label map.
        FileExistsError: the target exists and ``overwrite`` is False.
        ValueError: no image in the source, an unreadable file, two sizes in a pair, a bad size.
    """
    check_integer("size", size)
    check_free(Path(target), overwrite)
    found = {split: _pairs(Path(source), split, boundaries) for split in SPLITS}
    if not any(found.values()):
        raise ValueError(f"{source} holds no image leftImg8bit/<split>/<city>/*{PHOTO}")
    channels = {"images": 3, "labels": 4 if boundaries else 3}
    return write_splits(
        target, found, size, channels, lambda files: _prepare(files, size), overwrite, progress
    )


def load_cityscapes(folder: str | Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """One split that :func:`prepare_cityscapes` wrote, mapped from its files, read-only.

    Args:
        folder: the ``target`` of :func:`prepare_cityscapes`.
        split: ``"train"``, ``"validation"`` or ``"test"``.

    Returns:
        images: uint8 ``(n, size, size, 3)``.
        labels: uint8 ``(n, size, size, 3)``, or 4 with boundaries.

    Raises:
        FileNotFoundError: the folder has no such split.
        ValueError: an unknown split, or an invalid file.
    """
    images, labels = (
        load_split(folder, split, name, (3, 4), "prepare_cityscapes")
        for name in ("images", "labels")
    )
    if images.shape[:3] != labels.shape[:3]:
        raise ValueError(
            f"{folder}/{split}: images and labels must agree; got shapes {images.shape} and "
            f"{labels.shape}"
        )
    return images, labels


def boundary_map(instances: np.ndarray) -> np.ndarray:
    """255 where a neighbour above, below, left or right is another instance, uint8 ``(h, w)``.

    Args:
        instances: a number for each instance, integers ``(h, w)``.
    """
    edges = np.zeros(instances.shape, dtype=bool)
    across = instances[:, 1:] != instances[:, :-1]
    down = instances[1:] != instances[:-1]
    edges[:, 1:] |= across
    edges[:, :-1] |= across
    edges[1:] |= down
    edges[:-1] |= down
    return np.where(edges, 255, 0).astype("uint8")


def _pairs(source: Path, split: str, boundaries: bool) -> list[tuple[Path, ...]]:
    """Photo, label map and, if wanted, instance map of each image of a split, by name."""
    for name in ("leftImg8bit", "gtFine"):
        if not (source / name).is_dir():
            raise FileNotFoundError(
                f"no folder {source / name}; leftImg8bit and gtFine belong there"
            )
    found = (source / "leftImg8bit" / FOLDERS[split]).glob(f"*/*{PHOTO}")
    photos = sorted(p for p in found if not is_hidden(p.name))
    if split != "test":
        photos = [p for p in photos if (p.parent.name == HELD_OUT) == (split == "validation")]
    pairs = []
    for photo in photos:
        stem = photo.name.removesuffix(PHOTO)
        folder = source / "gtFine" / FOLDERS[split] / photo.parent.name
        suffixes = (COLOURS, INSTANCES) if boundaries else (COLOURS,)
        files = tuple(folder / f"{stem}{suffix}" for suffix in suffixes)
        missing = next((file for file in files if not file.is_file()), None)
        if missing is not None:
            raise FileNotFoundError(f"no file {missing}, which {photo} needs")
        pairs.append((photo, *files))
    return pairs


def _prepare(files: tuple[Path, ...], size: int) -> tuple[np.ndarray, np.ndarray]:
    from PIL import Image

    pictures = []
    for index, file in enumerate(files):
        read = open_picture(file)
        if index < 2:
            pictures.append(read.image.convert("RGB"))
        else:
            pictures.append(Image.fromarray(boundary_map(read.stored())))
        if pictures[index].size != pictures[0].size:
            raise ValueError(
                f"{file} must be as large as {files[0]}, {pictures[0].height}x"
                f"{pictures[0].width}; it is {pictures[index].height}x{pictures[index].width}"
            )
    small = [np.asarray(p.resize((size, size), Image.Resampling.BILINEAR)) for p in pictures]
    return small[0], np.dstack(small[1:])
