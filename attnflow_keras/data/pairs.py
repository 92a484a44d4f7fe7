"""Pictures with a condition each: two folders of files of the same names."""

from pathlib import Path

import numpy as np

from attnflow_keras.data.images import SUFFIXES, load_images


def load_pair_folder(
    image_folder: str | Path, condition_folder: str | Path
) -> tuple[list[Path], list[Path]]:
    """Find the pairs of two folders: files whose paths agree up to the suffix.

    Files are PNG or JPEG pictures, subfolders included: ``a/1.jpg`` of one folder goes with
    ``a/1.png`` of the other. None is opened; see :func:`load_picture`.

    Args:
        image_folder: folder of the pictures.
        condition_folder: folder of what each is conditioned on.

    Returns:
        images, conditions: lists of paths of the same length, one pair an index, in order of
        their names.

    Raises:
        FileNotFoundError: no such folder.
        NotADirectoryError: a file instead of a folder.
        ValueError: a folder without pictures, two files of one name in a folder, or a file
            without a partner.
    """
    images = _by_name(Path(image_folder))
    conditions = _by_name(Path(condition_folder))
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


def load_picture(path: str | Path) -> np.ndarray:
    """Read one PNG or JPEG picture of any size as RGB, uint8 ``(h, w, 3)``.

    Raises:
        OSError: no such file, or a folder.
        ValueError: a file of another kind, an unreadable one, or one of more pixels than Pillow
            reads (some 179 million).
    """
    from PIL import Image

    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give one picture of it")
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: expected {', '.join(SUFFIXES)}; got {path.suffix!r}")
    try:
        return load_images(path)[0]
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path} is too large a picture: {error}") from error


def _by_name(folder: Path) -> dict[str, Path]:
    if folder.is_file():
        raise NotADirectoryError(
            f"{folder} is a file; pairs are two folders, whose files have the same names"
        )
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}")
    files: dict[str, Path] = {}
    for path in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in files:
            raise ValueError(f"{files[name]} and {path} have the same name up to the suffix")
        files[name] = path
    if not files:
        raise ValueError(f"folder {folder} holds no image ({', '.join(SUFFIXES)})")
    return dict(sorted(files.items()))
