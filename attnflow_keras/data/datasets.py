"""MNIST, Fashion-MNIST and CIFAR-10, with the project's splits."""

import gzip
import os
import zipfile
from pathlib import Path

import numpy as np

from attnflow_keras.core.checks import check_choice

DATASETS = ("mnist", "fashion_mnist", "cifar10")
SPLITS = ("train", "validation", "test")
VALIDATION = 5000

LICENSES = {
    "mnist": "MNIST, Y. LeCun, C. Cortes and C. J. C. Burges, CC BY-SA 3.0",
    "fashion_mnist": "Fashion-MNIST, Zalando Research, MIT",
    "cifar10": "CIFAR-10, A. Krizhevsky, no licence stated by its authors",
}

# Images in the training file, in the test file, and the shape of one.
SIZES = {
    "mnist": (60_000, 10_000, (28, 28)),
    "fashion_mnist": (60_000, 10_000, (28, 28)),
    "cifar10": (50_000, 10_000, (32, 32, 3)),
}

# What a folder named by ATTNFLOW_DATA may hold of each.
FILES = {
    "mnist": "mnist.npz",
    "fashion_mnist": "fashion-mnist/*.gz",
    "cifar10": "cifar10.npz or cifar-10-batches-bin/*.bin",
}

CIFAR_FILE = 10_000  # images in one file of CIFAR-10's binary version
CIFAR_IMAGE = 3 * 32 * 32


def load_dataset(name: str, split: str) -> np.ndarray:
    """Images of one split, uint8 ``(n, h, w, c)``.

    ``"validation"`` is the last 5,000 images of the training file, ``"train"`` all before them
    (55,000, or 45,000 of CIFAR-10), ``"test"`` the whole test file. Files are taken from the
    folder that the environment variable ``ATTNFLOW_DATA`` names if they are there
    (``mnist.npz``, ``fashion-mnist/*.gz``, ``cifar10.npz`` with x_train and x_test, or
    ``cifar-10-batches-bin/*.bin``), and by ``keras.datasets`` otherwise. Pickled files of
    CIFAR-10 in that folder are never read.

    Args:
        name: ``"mnist"``, ``"fashion_mnist"`` or ``"cifar10"``.
        split: ``"train"``, ``"validation"`` or ``"test"``.

    Raises:
        ValueError: an unknown data set or split, or a file that is not what it should be.
        OSError: no local file, and the download failed.
    """
    check_choice("data set", name, DATASETS)
    check_choice("split", split, SPLITS)
    images = _load(name, "test" if split == "test" else "train")
    train_count, test_count, shape = SIZES[name]
    count = test_count if split == "test" else train_count
    if images.dtype != np.uint8 or images.shape != (count, *shape):
        raise ValueError(
            f"{name}: expected {count} uint8 images of {'x'.join(map(str, shape))}, got "
            f"{images.dtype} of shape {images.shape}"
        )
    if split == "train":
        images = images[:-VALIDATION]
    elif split == "validation":
        images = images[-VALIDATION:]
    return images if images.ndim == 4 else images[..., None]


def _load(name: str, part: str) -> np.ndarray:
    folder = os.environ.get("ATTNFLOW_DATA")
    if folder:
        local = _from_folder(Path(folder), name, part)
        if local is not None:
            return local
    import attnflow_keras._backend  # noqa: F401 - before Keras

    # isort: split
    import keras

    try:
        (train, _), (test, _) = getattr(keras.datasets, name).load_data()
    except Exception as error:
        missing = f"ATTNFLOW_DATA={folder} holds no {name}, and " if folder else ""
        pickled = (
            " (its cifar-10-batches-py holds pickles, which are not read)"
            if folder and name == "cifar10" and (Path(folder) / "cifar-10-batches-py").exists()
            else ""
        )
        raise OSError(
            f"{missing}{name} can't be downloaded ({error}); set ATTNFLOW_DATA to a folder with "
            f"{FILES[name]}{pickled}"
        ) from error
    return train if part == "train" else test


def _from_folder(folder: Path, name: str, part: str) -> np.ndarray | None:
    if name == "fashion_mnist":
        stem = "train" if part == "train" else "t10k"
        path = folder / "fashion-mnist" / f"{stem}-images-idx3-ubyte.gz"
        return _read_idx(path) if path.exists() else None
    path = folder / f"{name}.npz"
    if path.exists():
        return _read_npz(path, f"x_{part}")
    binary = folder / "cifar-10-batches-bin"
    if name == "cifar10" and binary.is_dir():
        stems = [f"data_batch_{i}" for i in range(1, 6)] if part == "train" else ["test_batch"]
        return np.concatenate([_read_cifar(binary / f"{stem}.bin") for stem in stems])
    return None


def _read_npz(path: Path, key: str) -> np.ndarray:
    try:
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise ValueError("it holds one array without a name")
        with loaded as arrays:
            if key not in arrays.files:
                raise ValueError(f"it holds {', '.join(arrays.files)}")
            return arrays[key]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        # NumPy's message for such files recommends to unpickle them, which is never done here.
        reason = "it is damaged or holds no plain numbers" if "pickle" in str(error) else error
        raise ValueError(f"{path} must be an .npz file with an array {key}: {reason}") from error


def _read_idx(path: Path) -> np.ndarray:
    """Images of an idx3 file: big-endian magic 2051, count, rows, columns, then bytes."""
    with gzip.open(path) as file:
        content = file.read()
    magic, count, rows, columns = np.frombuffer(content[:16], dtype=">i4")
    if magic != 2051 or len(content) != 16 + count * rows * columns:
        raise ValueError(f"{path} is not an idx file of images, or is cut off")
    return np.frombuffer(content[16:], dtype="uint8").reshape(count, rows, columns)


def _read_cifar(path: Path) -> np.ndarray:
    """Images of a file of CIFAR-10's binary version: a label, then red, green and blue planes."""
    if not path.exists():
        raise ValueError(f"{path.parent} is incomplete: it has no {path.name}")
    content = np.fromfile(path, dtype="uint8")
    if content.size != CIFAR_FILE * (1 + CIFAR_IMAGE):
        raise ValueError(
            f"{path} must have {CIFAR_FILE * (1 + CIFAR_IMAGE):,} bytes; it has {content.size:,}"
        )
    records = content.reshape(CIFAR_FILE, 1 + CIFAR_IMAGE)
    if records[:, 0].max() > 9:
        raise ValueError(f"{path} is not a file of CIFAR-10's binary version: a label is above 9")
    return records[:, 1:].reshape(CIFAR_FILE, 3, 32, 32).transpose(0, 2, 3, 1)
