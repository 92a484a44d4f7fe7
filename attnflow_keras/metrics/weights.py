"""Weights of published networks, which don't come with this package."""

import os
import zipfile
from pathlib import Path

import numpy as np


def find_weights(given: str | Path | None, file: str, what: str, holds: str) -> Path:
    """The given file or, for None, the one in the folder ``ATTNFLOW_DATA``.

    Args:
        given: path, or None.
        file: its path in that folder.
        what: name of the network.
        holds: what the file must hold, for the error.

    Raises:
        FileNotFoundError: no such file.
    """
    folder = os.environ.get("ATTNFLOW_DATA")
    if given is None and not folder:
        reason = "ATTNFLOW_DATA is not set"
    else:
        path = Path(folder or "", file) if given is None else Path(given)
        if path.is_file():
            return path
        reason = f"there is no file {path}"
    raise FileNotFoundError(
        f"{what} has no weights: {reason}. Set ATTNFLOW_DATA to a folder with {file}, or give its "
        f"path. It must hold {holds}"
    )


def read_weights(
    path: Path, shapes: dict[str, tuple[int, ...]], what: str
) -> dict[str, np.ndarray]:
    """Arrays of these keys and shapes of an .npz file, as float32.

    Raises:
        ValueError: another file, other shapes, or numbers that are not finite.
    """
    try:
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise ValueError("it holds one array without a name")
        with loaded:
            missing = [key for key in shapes if key not in loaded.files]
            if missing:
                raise ValueError(f"it has no {missing[0]}, but {', '.join(loaded.files)}")
            arrays = {key: loaded[key] for key in shapes}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        # NumPy's message for such files recommends to unpickle them, which is never done here.
        reason = "it is damaged or holds no plain numbers" if "pickle" in str(error) else error
        raise ValueError(f"{path} holds no weights of {what}: {reason}") from error
    for key, array in arrays.items():
        if array.shape != shapes[key] or array.dtype.kind != "f":
            raise ValueError(
                f"{path}: {key} must be floats of shape {shapes[key]}; got {array.dtype} of shape "
                f"{array.shape}"
            )
        if not np.isfinite(array).all() or (key.startswith("NetLin") and array.min() < 0):
            raise ValueError(f"{path}: {key} must be finite, and not negative in a NetLinLayer")
    return {key: array.astype("float32") for key, array in arrays.items()}
