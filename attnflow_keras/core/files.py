"""Files and folders that are complete or absent, and their hashes.

What is written goes to a hidden temporary beside its target first, which is then renamed. Names
end in these suffixes; what a killed program left is removed or put in place by the next call.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

fcntl: Any
try:
    import fcntl
except ImportError:  # Windows
    fcntl = None

PART = "attnflow-part"  # being written
NEW = "attnflow-new"  # a complete folder on its way to its name
OLD = "attnflow-old"  # the folder that it replaces

_BINARY = getattr(os, "O_BINARY", 0)  # Windows


def write_file(path: str | Path, content: bytes | str) -> None:
    """Write a file that is complete or absent.

    Links are followed, so that the file they point to is the one replaced. Devices, pipes and
    sockets are written into; they stay what they are. So are open descriptors, such as
    ``/dev/stdout``, where a file that output is appended to keeps what it has.

    Args:
        path: the file; folders above it are created.
        content: text is encoded as UTF-8.

    Raises:
        OSError: nothing was written (a full disk, no permission), or another process is writing
            the same file.
    """
    data = content.encode() if isinstance(content, str) else content
    with _naming(path):
        descriptor = _descriptor(path)
        if descriptor is not None:
            sys.stdout.flush()
            with open(os.dup(descriptor), "wb", buffering=0) as file:
                _write_all(file, data)
        elif is_special(path):
            _write_into(Path(path), data)
        else:
            _replace(followed(path), data)


def _write_into(path: Path, data: bytes) -> None:
    with path.open("r+b" if path.is_block_device() else "wb", buffering=0) as file:
        _write_all(file, data)


def _write_all(file: Any, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]


def _descriptor(path: str | Path) -> int | None:
    """The open descriptor that a path names, None for any other path."""
    named = re.fullmatch(r"/(?:dev|proc/self)/fd/(\d{1,6})", str(path))
    if named:
        return int(named[1])
    return {"/dev/stdout": 1, "/dev/stderr": 2}.get(str(path))


def _replace(target: Path, data: bytes) -> None:
    if target.is_dir():
        raise IsADirectoryError(f"{target} is a folder; give the name of a file")
    target.parent.mkdir(parents=True, exist_ok=True)
    part = _beside(target, PART)
    with _claimed_file(part, target) as file:
        try:
            with contextlib.suppress(OSError):
                # The permissions of the file that is replaced.
                part.chmod(stat.S_IMODE(target.stat().st_mode))
            file.write(data)
            file.flush()
            if fcntl is None:
                file.close()  # Windows renames no open file
            part.replace(target)
        except BaseException:
            part.unlink(missing_ok=True)
            raise


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON with a newline at its end, see :func:`write_file`."""
    write_file(path, json.dumps(content, indent=2) + "\n")


def is_special(path: str | Path) -> bool:
    """Whether it is there and neither a regular file nor a folder; links are followed."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def followed(path: str | Path) -> Path:
    """The path itself, or what it points to if it is a link, whether that is there or not."""
    return Path(os.path.realpath(path)) if os.path.islink(path) else Path(path)


@contextlib.contextmanager
def replacing_folder(folder: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """A temporary folder that takes the place of ``folder`` when the block succeeds.

    If the block fails, what was there before is untouched. If the program is killed, either the
    old or the new folder is whole under its name, or :func:`restore_folder` puts it there.

    Args:
        folder: the folder to write; links are followed.
        overwrite: whether a folder that exists may be replaced.

    Raises:
        FileExistsError: the folder exists and ``overwrite`` is False, it is a file, or it holds
            the current folder.
        OSError: another process is writing the same folder, or there is no room.
    """
    folder = followed(folder).absolute()
    check_free(folder, overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part, new, old = (_beside(folder, suffix) for suffix in (PART, NEW, OLD))
    with _claimed_folder(part, folder):
        try:
            with _naming(folder):
                yield part
            part.chmod(0o755)
            for left in (new, old):
                shutil.rmtree(left, ignore_errors=True)
            part.rename(new)
            _swap(folder, new, old)
        finally:
            shutil.rmtree(part, ignore_errors=True)


@contextlib.contextmanager
def _naming(path: str | Path) -> Iterator[None]:
    """Let errors of the system name a path: what fails while it writes names no file."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename is not None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def _swap(folder: Path, new: Path, old: Path) -> None:
    try:
        if folder.exists():
            folder.rename(old)
        # Where another call has already put it in its place, there is nothing left to do.
        if new.exists() or not folder.exists():
            new.rename(folder)
    except BaseException:
        if old.exists() and not folder.exists():
            old.rename(folder)
        shutil.rmtree(new, ignore_errors=True)
        raise
    shutil.rmtree(old, ignore_errors=True)


def restore_folder(folder: str | Path) -> None:
    """Finish an overwrite that was cut short between its two renames.

    Between them no folder has the name, and the new one is complete beside it. Does nothing
    where there is nothing to finish, or no permission to do so.
    """
    folder = followed(folder).absolute()
    if folder.exists():
        return
    new = _beside(folder, NEW)
    if new.is_dir():
        with contextlib.suppress(OSError):
            new.rename(folder)
            shutil.rmtree(_beside(folder, OLD), ignore_errors=True)


def check_free(folder: Path, overwrite: bool) -> None:
    """Raise FileExistsError unless the folder may be written; before work that takes long.

    The current folder and those above it, the root of the file system among them, are not
    replaced: what else they hold would go.
    """
    check_no_file(folder)
    if not folder.exists():
        return
    if not overwrite:
        raise FileExistsError(
            f"the folder {folder} exists; pass overwrite=True (--overwrite) to replace it"
        )
    here = Path.cwd()
    if folder.resolve() in (here, *here.parents):
        raise FileExistsError(
            f"{folder} is the current folder or above it and is not replaced; name another"
        )


def check_no_file(folder: Path) -> None:
    """Raise FileExistsError for a file where a folder is meant."""
    restore_folder(folder)
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; give the name of a folder")


def sha256(path: Path) -> str:
    """Hash of a regular file's content, hexadecimal.

    Raises:
        OSError: the file can't be read, or is a device, a pipe or a folder.
    """
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def open_regular(path: str | Path) -> Any:
    """Open a regular file for reading, as bytes; anything else is an OSError.

    A pipe would wait for ever, and a device might never end.
    """
    # Not blocking: to open a pipe without a writer waits for one.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | _BINARY)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{path} is not a regular file")
    return os.fdopen(descriptor, "rb")


def _beside(target: Path, suffix: str) -> Path:
    return target.with_name(f".{target.name}.{suffix}")


@contextlib.contextmanager
def _claimed_file(part: Path, target: Path) -> Iterator[Any]:
    """A new, empty, locked file; one that a killed program left is taken over."""
    flags = os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | _BINARY
    with os.fdopen(os.open(part, flags, 0o666), "wb") as file:
        _lock(file.fileno(), part, target)
        file.truncate(0)
        yield file


@contextlib.contextmanager
def _claimed_folder(part: Path, target: Path) -> Iterator[None]:
    """A new, empty, locked folder; one that a killed program left is replaced."""
    if fcntl is None:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        yield
        return
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            with contextlib.suppress(FileExistsError):
                part.mkdir()
            descriptor = os.open(part, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
            stack.callback(os.close, descriptor)
            _lock(descriptor, part, target)
            if not any(part.iterdir()):
                break
            shutil.rmtree(part)
        yield


def _lock(descriptor: int, part: Path, target: Path) -> None:
    """Lock a temporary, or raise OSError if another process holds it.

    The system takes the lock back when its process ends, however it ends.
    """
    if fcntl is None:
        return
    busy = f"{target} is being written by another process"
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OSError(busy) from None
    except OSError:
        return  # a file system without locks
    try:
        same = os.path.samestat(os.fstat(descriptor), os.stat(part))
    except FileNotFoundError:
        same = False
    if not same:
        # Its writer has renamed it since it was opened here.
        raise OSError(busy)
