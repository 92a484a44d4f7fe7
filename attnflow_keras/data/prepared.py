"""Splits of prepared images: memory-mapped arrays in files."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.core.checks import check_choice
from attnflow_keras.core.files import replacing_folder, restore_folder
from attnflow_keras.data.dataset import SPLITS


def write_splits(
    target: str | Path,
    items: Mapping[str, Sequence[Any]],
    size: int,
    channels: dict[str, int],
    prepare: Callable[[Any], tuple[np.ndarray, ...]],
    overwrite: bool,
    progress: Callable[[int, int], None] | None,
    also: Callable[[Path, Sequence[Any]], None] | None = None,
) -> dict[str, int]:
    """Write ``<target>/<split>/<name>.npy``, uint8 ``(n, size, size, channels)``, complete or not.

    Args:
        target: folder to write.
        items: what each image is made of, by split; splits without any are left out.
        size: side of the images.
        channels: channels by name of the arrays.
        prepare: makes the arrays' parts of one item.
        overwrite: whether a target that exists may be replaced.
        progress: called with the number of items done, and of all, after each.
        also: writes more into a split's folder, given its items.

    Returns:
        The number of items by split.
    """
    items = {split: members for split, members in items.items() if members}
    done, total = 0, sum(map(len, items.values()))
    with replacing_folder(target, overwrite) as part:
        for split, members in items.items():
            (part / split).mkdir()
            if also is not None:
                also(part / split, members)
            # Written as it goes: a split may be larger than the memory.
            arrays = [
                np.lib.format.open_memmap(
                    part / split / f"{name}.npy",
                    mode="w+",
                    dtype=np.dtype("uint8"),
                    shape=(len(members), size, size, depth),
                )
                for name, depth in channels.items()
            ]
            for index, item in enumerate(members):
                for array, made in zip(arrays, prepare(item), strict=True):
                    array[index] = made
                done += 1
                if progress is not None:
                    progress(done, total)
            for array in arrays:
                array.flush()
            del arrays, array  # closes the files
    return {split: len(members) for split, members in items.items()}


def load_split(
    folder: str | Path, split: str, name: str, channels: tuple[int, ...], writer: str
) -> np.ndarray:
    """An array that :func:`write_splits` wrote, mapped from its file and read-only.

    Raises:
        FileNotFoundError: it is missing; the function ``writer`` creates it.
        ValueError: an unknown split, or an invalid file.
    """
    check_choice("split", split, SPLITS)
    restore_folder(folder)
    path = Path(folder) / split / f"{name}.npy"
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; {writer} writes it")
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ValueError(f"can't read {path}: it is damaged or no array of images") from error
    if array.dtype != np.uint8 or array.ndim != 4 or array.shape[-1] not in channels:
        depths = " or ".join(map(str, channels))
        raise ValueError(
            f"{path} must hold uint8 images of shape (n, size, size, {depths}); got "
            f"{array.dtype} of shape {array.shape}"
        )
    return array
