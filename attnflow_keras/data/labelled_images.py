"""Base of MNIST, Fashion-MNIST and CIFAR-10: files, Keras' download, splits."""

import gzip
import zipfile
from pathlib import Path
from typing import ClassVar

import numpy as np

from attnflow_keras.core.checks import check_choice
from attnflow_keras.data.dataset import SPLITS, DataSet, data_folder
from attnflow_keras.data.sources import Classed, WholePictures

VALIDATION = 5000
CLASSES = 10


class LabelledImages(DataSet):
    """Small images of ten classes, with a training and a test file.

    ``"validation"`` is the last 5,000 images of the training file, ``"train"`` all before them,
    ``"test"`` the whole test file. Conditions are the classes, 0 to 9. Files are taken from the
    folder ``ATTNFLOW_DATA`` if they exist, otherwise from ``keras.datasets``.

    Attributes:
        counts: images in the training file and in the test file.
        shape: of one stored image.
        files: possible files, for errors.

    Example:
        >>> from attnflow_keras.data import data_set
        >>> data_set("mnist").counts
        (60000, 10000)
    """

    task = "class-conditional"
    counts: ClassVar[tuple[int, int]]
    shape: ClassVar[tuple[int, ...]]
    files: ClassVar[str]

    def images(self, split: str) -> np.ndarray:
        count = self.counts[split == "test"]
        images = self._read(split, "x")
        if images.dtype != np.uint8 or images.shape != (count, *self.shape):
            raise ValueError(
                f"{self.name}: expected {count} uint8 images of {'x'.join(map(str, self.shape))}, "
                f"got {images.dtype} of shape {images.shape}"
            )
        images = _part(images, split)
        return images if images.ndim == 4 else images[..., None]

    def conditions(self, split: str) -> np.ndarray:
        """Classes 0 to 9, uint8 ``(n,)``."""
        count = self.counts[split == "test"]
        labels = self._read(split, "y")
        if labels.dtype.kind not in "ui" or labels.size != count or labels.max() >= CLASSES:
            raise ValueError(
                f"{self.name}: expected {count} classes of 0 to {CLASSES - 1}, got {labels.dtype} "
                f"of shape {labels.shape}, at most {labels.max(initial=0)}"
            )
        return _part(labels.reshape(-1).astype("uint8"), split)

    def crops(self) -> WholePictures:
        return WholePictures(self.images("train"), self.conditions("train"), flip=False)

    def training(self, conditional: bool = True) -> object:
        """Pairs, which can be augmented; or an array, which ``fit`` goes through in passes."""
        return Classed(self.crops()) if conditional else self.images("train")

    def local(self, folder: Path, part: str, kind: str) -> np.ndarray | None:
        """Images (kind ``"x"``) or classes (``"y"``) of a file ``part`` in the folder, if there."""
        path = folder / f"{self.name}.npz"
        return _read_npz(path, f"{kind}_{part}") if path.exists() else None

    def _read(self, split: str, kind: str) -> np.ndarray:
        check_choice("split", split, SPLITS)
        part = "test" if split == "test" else "train"
        folder = data_folder()
        local = None if folder is None else self.local(folder, part, kind)
        return self._download(part, kind, folder) if local is None else local

    def _download(self, part: str, kind: str, folder: Path | None) -> np.ndarray:
        import attnflow_keras._quiet_import  # noqa: F401 - before Keras

        # isort: split
        import keras

        try:
            train, test = getattr(keras.datasets, self.name).load_data()
        except Exception as error:
            missing = f"ATTNFLOW_DATA={folder} holds no {self.name}, and " if folder else ""
            raise OSError(
                f"{missing}{self.name} can't be downloaded ({error}); set ATTNFLOW_DATA to a "
                f"folder with {self.files}{self.hint(folder)}"
            ) from error
        return np.asarray((train if part == "train" else test)["xy".index(kind)])

    def hint(self, folder: Path | None) -> str:
        """What else to say where neither the folder nor the download has the files."""
        return ""


def read_idx(path: Path) -> np.ndarray:
    """A file of bytes in IDX format: big-endian magic 2048 + rank, the sides, then the bytes."""
    with gzip.open(path) as file:
        content = file.read()
    rank = content[3] if content[:3] == b"\0\0\x08" else 0
    sides = np.frombuffer(content[4 : 4 + 4 * rank], dtype=">i4")
    start = 4 + 4 * rank
    if rank not in (1, 3) or len(sides) != rank or len(content) != start + int(sides.prod()):
        what = "classes" if "labels" in path.name else "images"
        raise ValueError(f"{path} is not an idx file of {what}, or is cut off")
    return np.frombuffer(content[start:], dtype="uint8").reshape(sides)


def _part(array: np.ndarray, split: str) -> np.ndarray:
    if split == "test":
        return array
    return array[:-VALIDATION] if split == "train" else array[-VALIDATION:]


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
