"""Users' label maps, with or without photos."""

from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.core.palettes import as_classes
from attnflow_keras.data.pairs import load_pair_folder
from attnflow_keras.data.picture_files import Notes, Unreadable, fitted, read_pixels
from attnflow_keras.data.pictures import LABEL_FORMATS, PictureError, open_picture


def load_label_map(path: str | Path, palette: Any = None, colours: bool = False) -> np.ndarray:
    """Read one label map from a PNG, JPEG or WebP image.

    An image of one channel, grey, indexed or of 1 bit, holds classes, the integers as they are
    stored in the file, whatever its bits: uint8 ``(h, w)``. Any other holds colours: uint8
    ``(h, w, 3)``. An opaque alpha channel is dropped. EXIF orientation is applied, as to the photo
    that it goes with.

    Args:
        path: the file.
        palette: colour of each class, ``(classes, 3)``. If all colours of an indexed image are in
            the palette, they determine the classes, not the indices, which depend on the program
            that wrote the image.
        colours: read an indexed image as its colours.

    Raises:
        OSError: no such file, or a folder.
        ValueError: a file of another kind, an unreadable one, transparent pixels, or classes above
            255.
    """
    picture = open_picture(path, LABEL_FORMATS)
    array = picture.stored(colours)
    if picture.image.mode == "P" and palette is not None and not colours:
        array = _by_colour(picture.stored(colours=True), palette, array)
    if array.max(initial=0) > 255:
        raise ValueError(f"{path} must hold classes of at most 255; got {array.max()}")
    return array.astype("uint8")


def load_labelled_folder(
    image_folder: str | Path,
    label_folder: str | Path,
    image_shape: tuple[int, int, int],
    resize: bool = False,
    palette: Any = None,
    background: Any = None,
    unreadable: Unreadable | None = None,
) -> dict[str, np.ndarray]:
    """Photos and label maps of two folders whose files have the same names.

    Args:
        image_folder: folder of the photos.
        label_folder: folder of the label maps, all of classes or all of colours, see
            :func:`load_label_map`.
        image_shape: ``(height, width, 3)`` that each must have.
        resize: resize others, photos by bicubic interpolation and label maps by the nearest pixel;
            each side is scaled independently, so that a different aspect ratio is stretched.
        palette: colour of each class, ``(classes, 3)``; label maps of either kind then become
            classes.
        background: colour behind transparent pixels of photos, see :func:`load_images`; None
            refuses photos that have some. Label maps must be opaque.
        unreadable: collects the errors of pairs of which one can't be read, by the photo, and the
            others are returned. None raises the first.

    Returns:
        ``{"image": uint8 (n, h, w, 3), "condition": uint8 (n, h, w) or (n, h, w, 3)}``; with a
        palette ``(n, h, w)``.

    Raises:
        FileNotFoundError: no such folder.
        ValueError: files without a partner, another size, unreadable files, label maps of both
            kinds without a palette, or classes or colours that the palette lacks.
    """
    images, conditions = [], []
    notes = Notes(image_folder)
    pairs = list(zip(*load_pair_folder(image_folder, label_folder), strict=True))
    for photo, label in pairs:
        try:
            pixels = read_pixels(photo, 3, background, notes)
            found = load_label_map(label, palette)
        except PictureError as error:
            if unreadable is None:
                raise
            unreadable.add(photo, error)
            continue
        images.append(fitted(pixels, image_shape[:2], resize, photo, False, notes))
        found = fitted(found, image_shape[:2], resize, label)
        conditions.append(found if palette is None else known_classes(found, palette, label))
        if conditions[-1].ndim != conditions[0].ndim:
            raise ValueError(
                f"{label_folder} must hold label maps of one kind, of classes or of colours; "
                f"{label} is unlike the first"
            )
    if unreadable is not None:
        unreadable.check(len(pairs))
    notes.say()
    return {"image": np.stack(images), "condition": np.stack(conditions)}


def known_classes(labels: np.ndarray, palette: Any, path: Any, nearest: bool = False) -> np.ndarray:
    """Classes of a label map that was read from a file, which errors name.

    Args:
        labels: classes ``(h, w)`` or colours ``(h, w, 3)``.
        palette: colour of each class.
        path: the file.
        nearest: see :func:`attnflow_keras.core.palettes.as_classes`.

    Raises:
        ValueError: a class or a colour outside the palette.
    """
    if labels.ndim == 3:
        return as_classes(labels, palette, nearest, str(path))
    if labels.max() >= len(palette):
        raise ValueError(
            f"{path} holds class {labels.max()}; the palette has {len(palette)}, 0 to "
            f"{len(palette) - 1}"
        )
    return labels


def _by_colour(colours: np.ndarray, palette: Any, indices: np.ndarray) -> np.ndarray:
    """Classes by the colours of an indexed image, or its indices where the palette lacks one."""
    try:
        return as_classes(colours, palette)
    except ValueError:
        return indices
