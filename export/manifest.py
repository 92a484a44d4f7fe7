"""``manifest.json``: all that a program needs to know to run an export, without Python objects.

Pure standard library, so that a runtime without TensorFlow reads it.
"""

import json
from pathlib import Path
from typing import Any

from attnflow_keras.files import sha256, write_json
from export.errors import ExportError

FORMAT = 1
NAME = "manifest.json"


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


def read(folder: str | Path, check_files: bool = True) -> dict[str, Any]:
    """The manifest of an export.

    Args:
        folder: a folder that ``export.onnx`` wrote.
        check_files: compare every file with its recorded sha256.

    Raises:
        FileNotFoundError: no such folder.
        ExportError: not an export, a newer format, a file that is missing or altered.
    """
    folder = Path(folder)
    if not folder.is_dir():
        if folder.exists():
            raise NotADirectoryError(f"{folder} is a file; an export is a folder")
        raise FileNotFoundError(f"no folder {folder}")
    path = folder / NAME
    if not path.exists():
        raise ExportError(f"{folder} is not an export: it has no {NAME}; export.onnx writes one")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ExportError(f"can't read {path}: {error}") from error
    version = content.get("format") if isinstance(content, dict) else None
    if not isinstance(version, int) or not isinstance(content.get("files"), dict):
        raise ExportError(f"{path} is not the manifest of an export: it names no format or files")
    if version > FORMAT:
        raise ExportError(
            f"{folder} has format {version}, this version reads up to {FORMAT}; upgrade with: "
            "pip install -U attnflow-keras"
        )
    if check_files:
        for name in content["files"]:
            check_file(folder, name, content)
    return content


def check_file(folder: Path, name: str, content: dict[str, Any]) -> None:
    """Raise ExportError unless a file of the manifest is there, unaltered."""
    path = folder / name
    if not path.exists():
        raise ExportError(f"{folder} is incomplete: {name} is missing; export again")
    if sha256(path) != content["files"][name]["sha256"]:
        raise ExportError(
            f"{path} is damaged or altered: its sha256 is not that of {NAME}; export again"
        )
