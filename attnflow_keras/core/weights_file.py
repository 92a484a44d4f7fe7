"""Weights as HDF5 that is complete in memory before a byte of it reaches the disk.

When a write fails, on a full disk say, HDF5 can't close its file any more: it raises once for each
object that it flushes and ends in a segmentation fault. Bytes that are written at once fail once.
"""

import io
from pathlib import Path
from typing import Any

from attnflow_keras.core.files import write_file


class MemoryFile(io.BytesIO):
    """What ``save`` and ``save_weights`` of Keras take for a file of that name."""

    def __init__(self, name: str | Path) -> None:
        super().__init__()
        self._name = str(name)

    def __str__(self) -> str:
        return self._name


def weights_bytes(model: Any, attributes: dict[str, Any] | None = None) -> bytes:
    """A ``.weights.h5`` file of a Keras model, with attributes at its root."""
    import h5py

    memory = MemoryFile("memory.weights.h5")
    model.save_weights(memory)
    if attributes:
        with h5py.File(memory, "r+") as file:
            file.attrs.update(attributes)
    return memory.getvalue()


def save_weights(model: Any, path: Path, attributes: dict[str, Any] | None = None) -> None:
    """Write a ``.weights.h5`` file that is complete or absent.

    Raises:
        OSError: nothing was written.
    """
    write_file(path, weights_bytes(model, attributes))
