"""MNIST and Fashion-MNIST, with the project's splits."""

import gzip
import os
from pathlib import Path

import numpy as np

DATASETS = ("mnist", "fashion_mnist")
SPLITS = ("train", "validation", "test")
VALIDATION = 5000

LICENSES = {
    "mnist": "MNIST, Y. LeCun, C. Cortes and C. J. C. Burges, CC BY-SA 3.0",
    "fashion_mnist": "Fashion-MNIST, Zalando Research, MIT",
}


def load_dataset(name: str, split: str) -> np.ndarray:
    """Images of one split, uint8 ``(n, 28, 28, 1)``.

    ``"train"`` is the first 55,000 images of the training file, ``"validation"`` its last
    5,000, ``"test"`` the whole test file. Files are taken from the folder that the environment
    variable ``ATTNFLOW_DATA`` names if they are there, and by ``keras.datasets`` otherwise.

    Raises:
        ValueError: an unknown data set or split, or a file that is not what it should be.
    """
    if name not in DATASETS:
        raise ValueError(f"data set must be one of {', '.join(DATASETS)}; got {name!r}")
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}; got {split!r}")
    images = _load(name, "test" if split == "test" else "train")
    count = 10_000 if split == "test" else 60_000
    if images.dtype != np.uint8 or images.shape != (count, 28, 28):
        raise ValueError(
            f"{name}: expected {count} uint8 images of 28x28, got {images.dtype} of shape "
            f"{images.shape}"
        )
    if split == "train":
        images = images[:-VALIDATION]
    elif split == "validation":
        images = images[-VALIDATION:]
    return images[..., None]


def mnist_sample() -> np.ndarray:
    """The first 256 MNIST test digits, uint8 ``(256, 28, 28, 1)``; they come with the package."""
    path = Path(__file__).parent / "samples" / "mnist_test_256.npz"
    with np.load(path, allow_pickle=False) as arrays:
        return arrays["images"]


def _load(name: str, part: str) -> np.ndarray:
    folder = os.environ.get("ATTNFLOW_DATA")
    if folder:
        local = _from_folder(Path(folder), name, part)
        if local is not None:
            return local
    import keras

    try:
        (train, _), (test, _) = getattr(keras.datasets, name).load_data()
    except Exception as error:
        missing = f"ATTNFLOW_DATA={folder} holds no {name}, and " if folder else ""
        raise OSError(
            f"{missing}{name} can't be downloaded ({error}); set ATTNFLOW_DATA to a folder with "
            "mnist.npz or fashion-mnist/*.gz"
        ) from error
    return train if part == "train" else test


def _from_folder(folder: Path, name: str, part: str) -> np.ndarray | None:
    if name == "mnist":
        path = folder / "mnist.npz"
        if path.exists():
            with np.load(path, allow_pickle=False) as arrays:
                return arrays[f"x_{part}"]
        return None
    stem = "train" if part == "train" else "t10k"
    path = folder / "fashion-mnist" / f"{stem}-images-idx3-ubyte.gz"
    return _read_idx(path) if path.exists() else None


def _read_idx(path: Path) -> np.ndarray:
    """Images of an idx3 file: big-endian magic 2051, count, rows, columns, then bytes."""
    with gzip.open(path) as file:
        content = file.read()
    magic, count, rows, columns = np.frombuffer(content[:16], dtype=">i4")
    if magic != 2051 or len(content) != 16 + count * rows * columns:
        raise ValueError(f"{path} is not an idx file of images, or is cut off")
    return np.frombuffer(content[16:], dtype="uint8").reshape(count, rows, columns)
