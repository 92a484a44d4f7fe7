"""Files and folders that are complete or not there, and their hashes."""

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any


@contextlib.contextmanager
def replacing_folder(folder: str | Path, overwrite: bool = False) -> Iterator[Path]:
    """A temporary folder that takes the place of ``folder`` when the block succeeds.

    If the block fails, what was there before is untouched.

    Args:
        folder: the folder to write.
        overwrite: whether a folder that exists may be replaced.

    Raises:
        FileExistsError: the folder exists and ``overwrite`` is False, or it is a file.
    """
    folder = Path(folder)
    check_free(folder, overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        yield part
        part.chmod(0o755)
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
            folder.rename(old / folder.name)
            part.rename(folder)
            shutil.rmtree(old)
        else:
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def check_free(folder: Path, overwrite: bool) -> None:
    """Raise FileExistsError unless the folder may be written; before work that takes long."""
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"{folder} is a file; give the name of a folder")
    if folder.exists() and not overwrite:
        raise FileExistsError(
            f"the folder {folder} exists; pass overwrite=True (--overwrite) to replace it"
        )


def sha256(path: Path) -> str:
    """Hash of a file's content, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def write_json(path: Path, content: Any) -> None:
    """Write indented JSON with a newline at its end."""
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
