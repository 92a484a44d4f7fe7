"""Images in folders, fitted to a size, with one warning about changes."""

import os
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.data.pictures import SUFFIXES, PictureError, open_picture

# Besides names that start with a dot: what archivers and network drives leave beside the files.
HIDDEN = ("__MACOSX", "@eaDir")


class Notes:
    """Counts what was skipped or changed while images are read, for one warning at the end.

    Args:
        source: the folder or file that they are read from.
    """

    def __init__(self, source: Any) -> None:
        self.source = source
        self.counts: Counter[str] = Counter()

    def add(self, text: str) -> None:
        """Count one more image or file; ``text`` has ``{}`` where the count belongs."""
        self.counts[text] += 1

    def __str__(self) -> str:
        return ", ".join(text.format(f"{count:,}") for text, count in self.counts.items())

    def say(self) -> None:
        """Warn with all counts, where there are any."""
        if self.counts:
            warnings.warn(f"{self.source}: {self}", stacklevel=3)


class Unreadable:
    """Images of a folder that can't be read, for a caller that continues with the others.

    Attributes:
        errors: the error of each, by its file.
    """

    def __init__(self) -> None:
        self.errors: dict[Path, PictureError] = {}

    def add(self, file: Path, error: PictureError) -> None:
        """Note that a file can't be read."""
        self.errors[file] = error

    def check(self, count: int) -> None:
        """Raise the first error where none of ``count`` images can be read."""
        if len(self.errors) == count:
            raise next(iter(self.errors.values()))


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or belongs to the system."""
    return name.startswith(".") or name in HIDDEN


def find_pictures(folder: str | Path, notes: Notes | None = None) -> list[Path]:
    """PNG, JPEG and WebP files of a folder and its subfolders, in order of their paths.

    Links are followed, to folders too. Hidden files and folders are skipped, and so are system
    folders: names that start with a dot, ``__MACOSX``, ``@eaDir``.

    Args:
        folder: the folder.
        notes: counts what is skipped; None issues a warning here.

    Raises:
        FileNotFoundError: no such folder.
        NotADirectoryError: a file.
        PermissionError: the folder, or one in it, can't be read.
        ValueError: no image in it.
    """
    folder = Path(folder)
    if not folder.exists():
        raise FileNotFoundError(f"no folder {folder}")
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file, expected a folder of images")
    found = Notes(folder) if notes is None else notes
    files = sorted(_walk(folder, (), found))
    if not files:
        skipped = f"; {found}" if found.counts else ""
        raise ValueError(f"folder {folder} holds no image ({', '.join(SUFFIXES)}){skipped}")
    if notes is None:
        found.say()
    return files


def read_pixels(file: str | Path, channels: int, background: Any, notes: Notes) -> np.ndarray:
    """One image in grey or RGB, uint8 ``(h, w, channels)``.

    Args:
        file: a PNG, JPEG or WebP file.
        channels: 1 or 3.
        background: colour behind transparent pixels; None raises an error for such images.
        notes: counts images composited onto the background, and those that lose their colours.
    """
    picture = open_picture(file)
    pixels = picture.pixels(channels, background)
    if background is not None and picture.transparent:
        notes.add(f"laid {{}} on the background {background}")
    if channels == 1 and picture.coloured:
        notes.add("turned {} from colour to grey")
    return pixels


def load_pictures(
    path: str | Path, least: tuple[int, int] = (1, 1), background: Any = None
) -> list[np.ndarray]:
    """All PNG, JPEG and WebP images of a folder (or one file), uint8 ``(h, w, 3)`` each.

    Args:
        path: the folder or file.
        least: height and width that each must have at least.
        background: colour behind transparent pixels; None raises an error for such images.

    Raises:
        FileNotFoundError: no such file or folder.
        ValueError: a folder without images, another kind of file, an image too small, or
            transparent pixels and no background.
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


def fitted(
    picture: np.ndarray,
    size: Any,
    resize: bool,
    path: Any,
    nearest: bool = True,
    notes: Notes | None = None,
) -> np.ndarray:
    """An image of size ``(height, width)``, resized on request.

    Each side is scaled independently: a different aspect ratio is stretched, not cropped.

    Args:
        picture: uint8 ``(h, w)`` or ``(h, w, c)``.
        size: height and width.
        resize: whether to resize other sizes, by bicubic interpolation or the nearest pixel.
        path: the file, for errors.
        nearest: use the nearest pixel, for label maps.
        notes: counts images resized, and those stretched.

    Raises:
        ValueError: another size, and ``resize`` is False; ``path`` is named.
    """
    from PIL import Image

    height, width = size
    h, w = picture.shape[:2]
    if (h, w) == (height, width):
        return picture
    if not resize:
        order = "" if h == w and height == width else " (width x height)"
        raise ValueError(
            f"{path} is {w}x{h}{order}, expected {width}x{height}; "
            "resize the images, or ask for resizing (resize=True, --resize)"
        )
    if notes is not None:
        notes.add(f"resized {{}} to {width}x{height} ({'nearest pixel' if nearest else 'bicubic'})")
        # By more than the rounding of one pixel.
        if abs(h * width - w * height) > max(width, height, h, w) / 2:
            notes.add("stretched {} of another aspect ratio")
    method = Image.Resampling.NEAREST if nearest else Image.Resampling.BICUBIC
    flat = picture[..., 0] if picture.shape[2:] == (1,) else picture
    resized = np.asarray(Image.fromarray(flat).resize((width, height), method))
    return resized.reshape(height, width, *picture.shape[2:])


def _walk(folder: Path, above: tuple[Path, ...], notes: Notes) -> Iterator[Path]:
    real = folder.resolve()
    if real in above:
        notes.add("skipped {} linked to a folder above")
        return
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise PermissionError(f"can't read folder {folder}: {error.strerror}") from error
    for entry in entries:
        if is_hidden(entry.name):
            notes.add("skipped {} hidden")
        elif entry.is_dir():
            yield from _walk(Path(entry.path), (*above, real), notes)
        elif Path(entry.name).suffix.lower() in SUFFIXES:
            yield Path(entry.path)
        else:
            notes.add(f"skipped {{}} not named {', '.join(SUFFIXES)}")
