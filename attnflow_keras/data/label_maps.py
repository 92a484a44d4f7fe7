"""The user's own label maps, alone or with photos."""

from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.data.images import SUFFIXES
from attnflow_keras.data.pairs import load_pair_folder, load_picture


def load_label_map(path: str | Path) -> np.ndarray:
    """Read one label map from a PNG or JPEG picture.

    A picture of one channel, grey or indexed, holds classes: uint8 ``(h, w)``. Any other holds
    colours: uint8 ``(h, w, 3)``; an alpha channel is dropped.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a file of another kind, an unreadable one, or classes above 255.
    """
    from PIL import Image

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: expected {', '.join(SUFFIXES)}; got {path.suffix!r}")
    try:
        with Image.open(path) as opened:
            array = np.asarray(opened if opened.mode in ("L", "P") else _plain(opened))
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path} is too large a picture: {error}") from error
    except OSError as error:
        raise ValueError(f"can't read {path} as an image: {error}") from error
    if array.max(initial=0) > 255:
        raise ValueError(f"{path} must hold classes of at most 255; got {array.max()}")
    return array.astype("uint8")


def load_labelled_folder(
    image_folder: str | Path,
    label_folder: str | Path,
    image_shape: tuple[int, int, int],
    resize: bool = False,
) -> dict[str, np.ndarray]:
    """Photos and label maps of two folders whose files have the same names.

    Args:
        image_folder: folder of the photos.
        label_folder: folder of the label maps, all of classes or all of colours, see
            :func:`load_label_map`.
        image_shape: ``(height, width, 3)`` that each must have.
        resize: resize others, photos with the bicubic filter and label maps to the nearest pixel.

    Returns:
        ``{"image": uint8 (n, h, w, 3), "condition": uint8 (n, h, w) or (n, h, w, 3)}``.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: files without a partner, another size, unreadable files, or label maps of both
            kinds.
    """
    images, conditions = [], []
    for photo, label in zip(*load_pair_folder(image_folder, label_folder), strict=True):
        images.append(fitted(load_picture(photo), image_shape[:2], resize, photo, nearest=False))
        conditions.append(fitted(load_label_map(label), image_shape[:2], resize, label))
        if conditions[-1].ndim != conditions[0].ndim:
            raise ValueError(
                f"{label_folder} must hold label maps of one kind, of classes or of colours; "
                f"{label} is unlike the first"
            )
    return {"image": np.stack(images), "condition": np.stack(conditions)}


def as_classes(colours: np.ndarray, palette: Any) -> np.ndarray | None:
    """The classes whose colours these are, uint8 ``(...)``; None where there are others.

    Args:
        colours: uint8 ``(..., 3)``.
        palette: colour of each class, ``(classes, 3)``; of two that are the same the first counts.
    """
    weights = np.array([1 << 16, 1 << 8, 1])
    known, first = np.unique(np.asarray(palette, "int64") @ weights, return_index=True)
    codes = colours.astype("int64") @ weights
    places = np.minimum(np.searchsorted(known, codes), len(known) - 1)
    if (known[places] != codes).any():
        return None
    return first[places].astype("uint8")


def fitted(
    picture: np.ndarray, size: Any, resize: bool, path: Any, nearest: bool = True
) -> np.ndarray:
    """A picture of the size ``(height, width)``, resized if that is wanted.

    Raises:
        ValueError: another size, and ``resize`` is False; ``path`` is named.
    """
    from PIL import Image

    height, width = size
    if picture.shape[:2] == (height, width):
        return picture
    if not resize:
        raise ValueError(
            f"{path} is {picture.shape[0]}x{picture.shape[1]}, expected {height}x{width}; resize "
            "the pictures, or ask for resizing (resize=True, --resize)"
        )
    method = Image.Resampling.NEAREST if nearest else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(picture).resize((width, height), method))


def _plain(picture: Any) -> Any:
    """A picture as classes if it is of one channel of integers, as RGB otherwise."""
    return picture if picture.mode.startswith("I") else picture.convert("RGB")
