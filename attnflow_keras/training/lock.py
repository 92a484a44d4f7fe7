"""One training run per folder."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

LOCK = "training.lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock for the length of the block.

    The operating system releases the lock when the process ends in any way; the file remains,
    without effect. On file systems without locks, nothing is locked.

    Raises:
        ValueError: another training holds it.
    """
    file = folder / LOCK
    lock = FileLock(file, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ValueError(
            f"{folder} is in use by another training (process {_holder(file)}); wait until "
            "it ends, or use another folder"
        ) from None
    except (OSError, NotImplementedError):
        # A file system without locks is no reason not to train.
        yield
        return
    try:
        with contextlib.suppress(OSError):  # Windows keeps a locked file from being written
            file.write_text(str(os.getpid()))
        yield
    finally:
        lock.release()


def _holder(file: Path) -> str:
    with contextlib.suppress(OSError):
        return file.read_text().strip() or "?"
    return "?"
