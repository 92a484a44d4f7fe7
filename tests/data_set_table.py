"""Every data set, by name: a new one is one line here and gets all the tests.

An entry is (writer of small files, shape of an image, shape of a condition, images of each split).
A writer takes the folder that ``ATTNFLOW_DATA`` will name and pytest's ``monkeypatch``. None takes
the real files, and skips the tests where they are not there. A condition's shape is None where
there is none.
"""

import gzip
import struct

import numpy as np
from PIL import Image

from attnflow_keras.data import save_image
from attnflow_keras.data.sets import photos
from attnflow_keras.data.sets.cifar10 import CIFAR10
from attnflow_keras.data.sets.fashion_mnist import FashionMNIST
from attnflow_keras.data.sets.mnist import MNIST

COUNTS = (5_020, 12)  # of the training and the test file: 5,000 of the first are for validation
SPLITS = (20, 5_000, 12)
RNG = np.random.default_rng(0)


def arrays(shape):
    for part, count in zip(("train", "test"), COUNTS, strict=True):
        images = RNG.integers(0, 256, (count, *shape), dtype="uint8")
        yield part, images, RNG.integers(0, 10, count, dtype="uint8")


def npz(kind):
    def write(folder, monkeypatch):
        monkeypatch.setattr(kind, "counts", COUNTS)
        content = {}
        for part, images, labels in arrays(kind.shape):
            # As keras.datasets has CIFAR-10's.
            labels = labels[:, None] if kind is CIFAR10 else labels
            content |= {f"x_{part}": images, f"y_{part}": labels}
        np.savez(folder / f"{kind.name}.npz", **content)

    return write


def idx(folder, monkeypatch):
    monkeypatch.setattr(FashionMNIST, "counts", COUNTS)
    (folder / "fashion-mnist").mkdir()
    for part, images, labels in arrays((28, 28)):
        stem = folder / "fashion-mnist" / ("train" if part == "train" else "t10k")
        for ending, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = struct.pack(f">{1 + array.ndim}i", 2048 + array.ndim, *array.shape)
            with gzip.open(f"{stem}-{ending}-ubyte.gz", "wb", compresslevel=0) as file:
                file.write(header + array.tobytes())


def prepared(name, *kinds):
    def write(folder, monkeypatch):
        for split, count in (("train", 3), ("validation", 2), ("test", 1)):
            (folder / name / split).mkdir(parents=True)
            for kind in kinds:
                images = RNG.integers(0, 256, (count, 16, 16, 3), dtype="uint8")
                np.save(folder / name / split / f"{kind}.npy", images)

    return write


def pictures(name, shape):
    """PNG files, a folder for each split: 3, 2 and 1 of them."""

    def write(folder, monkeypatch):
        for split, count in (("train", 3), ("validation", 2), ("test", 1)):
            for index in range(count):
                picture = RNG.integers(0, 256, shape, dtype="uint8")
                save_image(folder / name / split / f"{index}.png", picture)

    return write


def photographs(folder, monkeypatch):
    (folder / "photos").mkdir()
    for name in ("Kite", "Path", *photos.VALIDATION):
        picture = RNG.integers(0, 256, (150, 270, 3), dtype="uint8")
        Image.fromarray(picture).save(folder / "photos" / f"{name}.jpg")


DATA_SETS = {
    "bluemarble": (None, (64, 64, 3), None, (649, 135, 120)),
    "bluemarble_landcover": (None, (64, 64, 3), (64, 64), (649, 135, 120)),
    "bluemarble_sr8": (None, (64, 64, 3), (8, 8, 3), (649, 135, 120)),
    "celeba_sr8": (prepared("celeba", "images"), (16, 16, 3), (2, 2, 3), (3, 2, 1)),
    "cifar10": (npz(CIFAR10), (32, 32, 3), (), SPLITS),
    "cityscapes": (prepared("cityscapes", "images", "labels"), (16, 16, 3), (16, 16, 3), (3, 2, 1)),
    "fashion_mnist": (idx, (28, 28, 1), (), SPLITS),
    "mnist": (npz(MNIST), (28, 28, 1), (), SPLITS),
    "photos_sr4": (photographs, (64, 64, 3), (16, 16, 3), (4, 6, 283)),
}
