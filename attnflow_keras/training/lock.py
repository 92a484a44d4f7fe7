"""One training run per folder."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

LOCK = "training.lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock for the length of the block.

    The system takes the lock back when its process ends, however it ends; the file stays and
    means nothing. Where there are no such locks, nothing is held.

    Raises:
        ValueError: another training holds it.
    """
    if fcntl is None:
        yield
        return
    with (folder / LOCK).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise ValueError(
                f"{folder} is in use by another training (process {file.read().strip() or '?'}); "
                "wait for its end, or give another folder"
            ) from None
        except OSError:
            # A file system without locks is no reason not to train.
            pass
        else:
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
        yield
