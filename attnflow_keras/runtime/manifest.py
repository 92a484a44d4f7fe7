"""``manifest.json``: all that a program needs to know to run an export, without Python objects.

Without TensorFlow, so that a runtime reads it. A manifest may be untrusted: its files are regular
ones of its own folder, under names that it lists, and all else fits a schema.
"""

import hashlib
import stat
from pathlib import Path
from typing import Any

from attnflow_keras.core.files import restore_folder, sha256, write_json
from attnflow_keras.core.untrusted import read_json
from attnflow_keras.runtime import manifest_schema
from attnflow_keras.runtime.errors import ExportError

FORMAT = 1
NAME = "manifest.json"
KIND = manifest_schema.KIND


def write(folder: Path, content: dict[str, Any]) -> dict[str, Any]:
    """Write the manifest of a folder, with the size and sha256 of every other file in it."""
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != NAME
    }
    full = {"format": FORMAT, **content, "files": files}
    write_json(folder / NAME, full)
    return full


def read(
    folder: str | Path, check_files: bool = True, kinds: tuple[str, ...] = (KIND,)
) -> dict[str, Any]:
    """The manifest of an export.

    Args:
        folder: a folder that ``export.onnx`` wrote.
        check_files: compare every file with its recorded sha256.
        kinds: the runtimes that the caller has a use for.

    Raises:
        FileNotFoundError: no such folder.
        ExportError: not an export, a newer format, a manifest that doesn't fit the schema, a file
            that is missing, altered or no regular file.
    """
    folder = Path(folder)
    restore_folder(folder)
    if not folder.is_dir():
        if folder.exists():
            raise NotADirectoryError(f"{folder} is a file; an export is a folder")
        raise FileNotFoundError(f"no folder {folder}")
    path = folder / NAME
    if not path.exists():
        raise ExportError(f"{folder} is not an export: it has no {NAME}; export.onnx writes one")
    _check_regular(path)
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise ExportError(f"can't read {path}: {error}") from error
    version = content.get("format") if isinstance(content, dict) else None
    if type(version) is not int or not isinstance(content.get("files"), dict):
        raise ExportError(f"{path} is not the manifest of an export: it names no format or files")
    if version > FORMAT:
        raise ExportError(
            f"{folder} has format {version}, this version reads up to {FORMAT}; "
            "get a newer version of attnflow-keras"
        )
    kind = content.get("kind", KIND)
    if kind not in kinds:
        raise ExportError(
            f"{folder} is an export for {kind}; an ONNX export is needed here: "
            "'attnflow export NAME --to onnx'"
        )
    try:
        manifest_schema.check(content)
    except ValueError as error:
        raise ExportError(f"{path} is not the manifest of an export: {error}") from error
    if check_files:
        for name in content["files"]:
            check_file(folder, name, content)
    return content


def check_file(folder: Path, name: str, content: dict[str, Any]) -> None:
    """Raise ExportError unless a file is listed in the manifest, regular and unaltered."""
    path = _listed(folder, name, content)
    if sha256(path) != content["files"][name]["sha256"]:
        raise _altered(path)


def read_file(folder: Path, name: str, content: dict[str, Any], check: bool = True) -> bytes:
    """The bytes of a file of the manifest.

    Args:
        folder: the export.
        name: its name in ``files``.
        content: the manifest.
        check: compare what is read with the recorded sha256.

    Raises:
        ExportError: a file that is not listed, missing, no regular file or altered.
    """
    path = _listed(folder, name, content)
    data = path.read_bytes()
    if check and hashlib.sha256(data).hexdigest() != content["files"][name]["sha256"]:
        raise _altered(path)
    return data


def _listed(folder: Path, name: str, content: dict[str, Any]) -> Path:
    if name not in content["files"]:
        raise ExportError(f"{folder} has no file {name!r} that its {NAME} lists; export again")
    path = folder / name
    if not path.exists() and not path.is_symlink():
        raise ExportError(f"{folder} is incomplete: {name} is missing; export again")
    _check_regular(path)
    return path


def _check_regular(path: Path) -> None:
    """Raise unless it is a file: a link leads elsewhere, and a device may never end."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise ExportError(f"{path} must be a regular file; got a link, a folder or a device")


def _altered(path: Path) -> ExportError:
    return ExportError(
        f"{path} is damaged or altered: its sha256 is not that of {NAME}; export again"
    )
