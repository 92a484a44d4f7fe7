"""The user's own label maps, alone or with photos."""

from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.data.images import SUFFIXES
from attnflow_keras.data.pairs import load_pair_folder, load_picture
from attnflow_keras.palettes import as_classes


def load_label_map(path: str | Path, palette: Any = None) -> np.ndarray:
    """Read one label map from a PNG or JPEG picture.

    A picture of one channel, grey, indexed or of 1 bit, holds classes: uint8 ``(h, w)``. Any other
    holds colours: uint8 ``(h, w, 3)``; an alpha channel is dropped.

    Args:
        path: the file.
        palette: colour of each class, ``(classes, 3)``. An indexed picture all of whose colours
            are there holds the classes of its colours, whatever its indices: programs that write
            indexed pictures number the colours as they like.

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
            if opened.mode == "P" and palette is not None:
                array = _by_colour(np.asarray(opened.convert("RGB")), palette, array)
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
    palette: Any = None,
) -> dict[str, np.ndarray]:
    """Photos and label maps of two folders whose files have the same names.

    Args:
        image_folder: folder of the photos.
        label_folder: folder of the label maps, all of classes or all of colours, see
            :func:`load_label_map`.
        image_shape: ``(height, width, 3)`` that each must have.
        resize: resize others, photos with the bicubic filter and label maps to the nearest pixel.
        palette: colour of each class, ``(classes, 3)``; label maps of either kind then become
            classes.

    Returns:
        ``{"image": uint8 (n, h, w, 3), "condition": uint8 (n, h, w) or (n, h, w, 3)}``; with a
        palette ``(n, h, w)``.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: files without a partner, another size, unreadable files, label maps of both
            kinds without a palette, or classes or colours that the palette lacks.
    """
    images, conditions = [], []
    for photo, label in zip(*load_pair_folder(image_folder, label_folder), strict=True):
        images.append(fitted(load_picture(photo), image_shape[:2], resize, photo, nearest=False))
        found = fitted(load_label_map(label, palette), image_shape[:2], resize, label)
        conditions.append(found if palette is None else known_classes(found, palette, label))
        if conditions[-1].ndim != conditions[0].ndim:
            raise ValueError(
                f"{label_folder} must hold label maps of one kind, of classes or of colours; "
                f"{label} is unlike the first"
            )
    return {"image": np.stack(images), "condition": np.stack(conditions)}


def known_classes(labels: np.ndarray, palette: Any, path: Any, nearest: bool = False) -> np.ndarray:
    """Classes of a label map that was read from a file, which errors name.

    Args:
        labels: classes ``(h, w)`` or colours ``(h, w, 3)``.
        palette: colour of each class.
        path: the file.
        nearest: see :func:`attnflow_keras.palettes.as_classes`.

    Raises:
        ValueError: a class or a colour that the palette lacks.
    """
    if labels.ndim == 3:
        return as_classes(labels, palette, nearest, str(path))
    if labels.max() >= len(palette):
        raise ValueError(
            f"{path} holds class {labels.max()}; the palette has {len(palette)}, 0 to "
            f"{len(palette) - 1}"
        )
    return labels


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
            f"{path} is {picture.shape[1]}x{picture.shape[0]} (width x height), expected "
            f"{width}x{height}; resize the pictures, or ask for resizing (resize=True, --resize)"
        )
    method = Image.Resampling.NEAREST if nearest else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(picture).resize((width, height), method))


def _plain(picture: Any) -> Any:
    """A picture as classes if it is of one channel of integers, as RGB otherwise."""
    if picture.mode == "1":
        return np.asarray(picture).astype("uint8")
    return picture if picture.mode.startswith("I") else picture.convert("RGB")


def _by_colour(colours: np.ndarray, palette: Any, indices: np.ndarray) -> np.ndarray:
    """Classes by the colours of an indexed picture, or its indices where the palette lacks one."""
    try:
        return as_classes(colours, palette)
    except ValueError:
        return indices
