"""Fashion-MNIST: articles of clothing."""

from pathlib import Path

import numpy as np

from attnflow_keras.data.labelled_images import LabelledImages, read_idx


class FashionMNIST(LabelledImages):
    """28x28 grey images of clothing, split as MNIST; read from the four files of its authors."""

    name = "fashion_mnist"
    license = "Fashion-MNIST, Zalando Research, MIT"
    sample = "fashion_mnist_test_128.npz"
    counts = (60_000, 10_000)
    shape = (28, 28)
    files = "fashion-mnist/*.gz"

    def local(self, folder: Path, part: str, kind: str) -> np.ndarray | None:
        ending = {"x": "images-idx3", "y": "labels-idx1"}[kind]
        stem = "train" if part == "train" else "t10k"
        path = folder / "fashion-mnist" / f"{stem}-{ending}-ubyte.gz"
        return read_idx(path) if path.exists() else None
