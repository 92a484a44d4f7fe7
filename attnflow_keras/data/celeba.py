"""CelebA faces, cropped and resized for super-resolution from the user's copy."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from attnflow_keras.core.checks import check_integer
from attnflow_keras.core.files import check_free
from attnflow_keras.data.bicubic import bicubic_resize
from attnflow_keras.data.dataset import SPLITS
from attnflow_keras.data.picture_files import is_hidden
from attnflow_keras.data.pictures import SUFFIXES, open_picture
from attnflow_keras.data.prepared import load_split, write_splits

LICENSE = "CelebA, MMLAB, The Chinese University of Hong Kong, non-commercial research only"

HEIGHT, WIDTH = 218, 178  # of an aligned image
CROP = 178

# The last image of each split; no person is in two of them.
LAST = {"train": 162_770, "validation": 182_637, "test": 202_599}


def celeba_split(number: int) -> str:
    """CelebA's own split of an image; no person is in two splits.

    Args:
        number: the number in the image's name, 1 to 202599.

    Returns:
        ``"train"`` up to 162770, ``"validation"`` up to 182637, ``"test"`` above.

    Raises:
        ValueError: a number that CelebA does not have.
    """
    check_integer("number", number, 1, LAST["test"])
    return next(split for split, last in LAST.items() if number <= last)


def prepare_celeba(
    source: str | Path,
    target: str | Path,
    size: int = 160,
    crop: int | None = CROP,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, int]:
    """Crop and resize CelebA's aligned images, and write them by split.

    An image of 178 x 218 (width x height) is cropped to the square of ``crop`` pixels at its
    centre: for 178 that is all columns and rows 20 to 197, counted from 0. The square is resized by
    :func:`~attnflow_keras.data.bicubic.bicubic_resize`, MATLAB's bicubic.

    These are not the images of SRFlow, and scores on them can't be compared with its paper's.
    There, HD-CelebA-Cropper takes the original photographs, which are larger; turns, scales and
    shifts each so that 68 landmarks lie where those of a standard face do; and cuts 640 x 640
    pixels (face factor 0.6), of which MATLAB's bicubic makes 160 x 160. Here the source is CelebA's
    own alignment, by the eyes, which is small and compressed again: fine detail is lost, and the
    face is framed differently. For the images of SRFlow run that program, resize its output with
    :func:`~attnflow_keras.data.bicubic.downscale`, and call this function with ``crop=None``.

    A split is written as ``<target>/<split>/images.npy``, uint8 ``(n, size, size, 3)``, and
    ``numbers.npy``, the numbers of its images, int32 ``(n,)``, in increasing order. All of CelebA
    takes 15.6 GB at 160 x 160. Splits without an image are left out. The target is complete or
    absent.

    Args:
        source: the folder ``img_align_celeba``, or the folder that holds it. Images are its PNG and
            JPEG files, named by their number. Part of CelebA will do.
        target: folder to write.
        size: side of the images written, in pixels.
        crop: side of the square to cut, in pixels, 1 to 178. None takes images that are ``size`` x
            ``size`` already as they are.
        overwrite: whether a target that exists may be replaced.
        progress: called with the number of images done, and of all, after each.

    Returns:
        The number of images by split.

    Raises:
        FileNotFoundError: there is no folder ``source``.
        FileExistsError: the target exists and ``overwrite`` is False.
        ValueError: no image in the source, a name that is not an image's number, two images of one
            number, an unreadable image or one of another size, a bad size or crop.
    """
    check_integer("size", size)
    if crop is not None:
        check_integer("crop", crop, 1, WIDTH)
    check_free(Path(target), overwrite)
    files = _numbered_files(Path(source))
    numbers: dict[str, list[int]] = {split: [] for split in SPLITS}
    for number in sorted(files):
        numbers[celeba_split(number)].append(number)
    return write_splits(
        target,
        numbers,
        size,
        {"images": 3},
        lambda number: (_prepare(files[number], size, crop),),
        overwrite,
        progress,
        lambda folder, members: np.save(folder / "numbers.npy", np.array(members, dtype="int32")),
    )


def load_celeba(folder: str | Path, split: str) -> np.ndarray:
    """Images of one split that :func:`prepare_celeba` wrote, uint8 ``(n, size, size, 3)``.

    The array is memory-mapped and read-only.

    Args:
        folder: the ``target`` of :func:`prepare_celeba`.
        split: ``"train"``, ``"validation"`` or ``"test"``.

    Raises:
        FileNotFoundError: the folder has no such split.
        ValueError: an unknown split, or an invalid file.
    """
    return load_split(folder, split, "images", (3,), "prepare_celeba")


def _numbered_files(source: Path) -> dict[int, Path]:
    if not source.is_dir():
        raise FileNotFoundError(f"no folder {source}")
    inner = source / "img_align_celeba"
    folder = inner if inner.is_dir() else source
    files: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        if is_hidden(path.name) or path.suffix.lower() not in SUFFIXES:
            continue
        if not path.stem.isdecimal() or not 1 <= int(path.stem) <= LAST["test"]:
            raise ValueError(
                f"{path} must be named by its number in CelebA, 000001 to {LAST['test']}"
            )
        number = int(path.stem)
        if number in files:
            raise ValueError(f"{files[number]} and {path} have the same number")
        files[number] = path
    if not files:
        raise ValueError(f"folder {folder} holds no image ({', '.join(SUFFIXES)})")
    return files


def _prepare(file: Path, size: int, crop: int | None) -> np.ndarray:
    picture = open_picture(file).pixels()
    expected = (size, size) if crop is None else (HEIGHT, WIDTH)
    if picture.shape[:2] != expected:
        hint = "" if crop is None else "; crop=None (--whole) takes images of the final size"
        raise ValueError(
            f"{file} is {picture.shape[0]}x{picture.shape[1]}, expected "
            f"{expected[0]}x{expected[1]} (height x width){hint}"
        )
    if crop is None:
        return picture
    top, left = (HEIGHT - crop) // 2, (WIDTH - crop) // 2
    return bicubic_resize(picture[top : top + crop, left : left + crop], size, size)
