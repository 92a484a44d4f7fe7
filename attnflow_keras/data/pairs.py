"""Images with conditions: two folders of files with the same names."""

from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.data.picture_files import Notes, find_pictures
from attnflow_keras.data.pictures import open_picture


def load_pair_folder(
    image_folder: str | Path, condition_folder: str | Path, notes: Notes | None = None
) -> tuple[list[Path], list[Path]]:
    """Find the pairs of two folders: files whose paths agree up to the suffix.

    Files are PNG, JPEG or WebP images, subfolders included: ``a/1.jpg`` of one folder goes with
    ``a/1.png`` of the other. None is opened; see :func:`load_picture`.

    Args:
        image_folder: folder of the images.
        condition_folder: folder of the conditions.
        notes: counts skipped files; None issues a warning here.

    Returns:
        images, conditions: lists of paths of the same length, one pair per index, in order of their
        names.

    Raises:
        FileNotFoundError: no such folder.
        NotADirectoryError: a file instead of a folder.
        ValueError: a folder without images, two files of one name in a folder, or a file without a
            partner.
    """
    images = _by_name(Path(image_folder), notes)
    conditions = _by_name(Path(condition_folder), notes)
    for folder, present, others in (
        (condition_folder, conditions, images),
        (image_folder, images, conditions),
    ):
        missing = [name for name in others if name not in present]
        if missing:
            raise ValueError(
                f"folder {folder} has no partner of {others[missing[0]]}: {len(missing)} of "
                f"{len(others)} files lack one"
            )
    return list(images.values()), [conditions[name] for name in images]


def load_picture(path: str | Path, background: Any = None) -> np.ndarray:
    """Read one PNG, JPEG or WebP image of any size as RGB, uint8 ``(h, w, 3)``.

    EXIF orientation is applied.

    Args:
        path: the file.
        background: colour behind transparent pixels, see :func:`load_images`; None raises an
            error for such images.

    Raises:
        OSError: no such file, or a folder.
        ValueError: a file of another kind, an unreadable one, one of more pixels than Pillow reads
            (some 179 million), or transparent pixels and no background.
    """
    return open_picture(path).pixels(3, background)


def _by_name(folder: Path, notes: Notes | None) -> dict[str, Path]:
    if folder.is_file():
        raise NotADirectoryError(
            f"{folder} is a file; pairs are two folders, whose files have the same names"
        )
    files: dict[str, Path] = {}
    for path in find_pictures(folder, notes):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in files:
            raise ValueError(f"{files[name]} and {path} have the same name up to the suffix")
        files[name] = path
    return dict(sorted(files.items()))
