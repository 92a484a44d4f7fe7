"""CIFAR-10: small colour photographs."""

from pathlib import Path

import numpy as np

from attnflow_keras.data.labelled_images import CLASSES, LabelledImages

IMAGES = 10_000  # in one file of the binary version
BYTES = 1 + 3 * 32 * 32  # of an image: a label, then red, green and blue planes


class CIFAR10(LabelledImages):
    """32x32 RGB photographs: 45,000 to train on, 5,000 to validate on, 10,000 to test on.

    Read from ``cifar10.npz`` or from the binary version; pickled files are never read.
    """

    name = "cifar10"
    license = "CIFAR-10, A. Krizhevsky, no licence stated by its authors"
    counts = (50_000, 10_000)
    shape = (32, 32, 3)
    files = "cifar10.npz or cifar-10-batches-bin/*.bin"

    def local(self, folder: Path, part: str, kind: str) -> np.ndarray | None:
        found = super().local(folder, part, kind)
        binary = folder / "cifar-10-batches-bin"
        if found is not None or not binary.is_dir():
            return found
        stems = [f"data_batch_{i}" for i in range(1, 6)] if part == "train" else ["test_batch"]
        records = np.concatenate([_read(binary / f"{stem}.bin") for stem in stems])
        if kind == "y":
            return records[:, 0]
        return records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)

    def hint(self, folder: Path | None) -> str:
        pickled = folder is not None and (folder / "cifar-10-batches-py").exists()
        return " (its cifar-10-batches-py holds pickles, which are not read)" if pickled else ""


def _read(path: Path) -> np.ndarray:
    if not path.exists():
        raise ValueError(f"{path.parent} is incomplete: it has no {path.name}")
    content = np.fromfile(path, dtype="uint8")
    if content.size != IMAGES * BYTES:
        raise ValueError(f"{path} must have {IMAGES * BYTES:,} bytes; it has {content.size:,}")
    records = content.reshape(IMAGES, BYTES)
    if records[:, 0].max() >= CLASSES:
        raise ValueError(f"{path} is not a file of CIFAR-10's binary version: a label is above 9")
    return records
