"""Which entries there are, and what is known of them."""

import difflib
import fnmatch
import re
from pathlib import Path
from typing import Any

from attnflow_keras.core.checks import check_flag, is_integer
from attnflow_keras.core.files import restore_folder
from attnflow_keras.core.untrusted import file_inside, one_line, plain_name, read_json
from zoo.errors import ZooError

PRESETS = Path(__file__).parent / "presets"

FORMAT = 1


TASKS = ("unconditional", "super-resolution", "label-to-photo")


def list_entries(
    pattern: str = "*", pretrained: bool | None = None, task: str | None = None
) -> list[str]:
    """Names of the entries that come with the package, in natural order.

    Args:
        pattern: shell pattern, such as ``"*mnist*"``.
        pretrained: only entries with (True) or without (False) weights; None for both.
        task: only entries for ``"unconditional"``, ``"super-resolution"`` or
            ``"label-to-photo"``; None for all.

    Raises:
        ValueError: ``pattern`` is no text, or another argument is none of these.
    """
    if not isinstance(pattern, str):
        raise ValueError(f"pattern must be text, such as '*mnist*'; got {pattern!r}")
    check_flag("pretrained", pretrained, none=True)
    if task not in (None, *TASKS):
        raise ValueError(
            f"task must be one of {', '.join(map(repr, TASKS))}, or None; got {task!r}"
        )
    names = [path.parent.name for path in PRESETS.glob("*/metadata.json")]
    found = [
        name
        for name in names
        if fnmatch.fnmatchcase(name, pattern)
        and pretrained in (None, (PRESETS / name / "model.weights.h5").exists())
        and task in (None, read_metadata(PRESETS / name, name).get("task"))
    ]
    return sorted(found, key=_natural)


def info(name: str) -> dict[str, Any]:
    """Metadata of an entry (name, folder or ``hf://`` address), with its configuration.

    Texts hold no control characters and at most 4,000 characters; what is longer is cut.

    Returns:
        The content of ``metadata.json``, with the keys ``name``, ``config`` and ``pretrained``.

    Raises:
        ZooError: no such entry, or a file that is missing, damaged or newer.
    """
    folder = locate(name)
    metadata = read_metadata(folder, name)
    metadata["config"] = config = read_config(folder, name)["config"]
    if metadata.get("task") == "super-resolution" and "scale" not in config:
        raise ZooError(f"entry {str(name)!r} is for super-resolution; its config.json has no scale")
    metadata["pretrained"] = (folder / "model.weights.h5").exists()
    return metadata


def locate(name: str | Path) -> Path:
    """Folder of an entry: a registered name, a folder, or ``hf://user/repository``.

    Raises:
        ZooError: nothing of that name; the message lists near matches.
    """
    if not isinstance(name, str | Path):
        raise ZooError(
            "name must be an entry's name, a folder, or hf://user/repository; got a "
            f"{type(name).__name__}"
        )
    text = str(name)
    if text.startswith("hf://"):
        from zoo.hub import download

        return download(text)
    if (PRESETS / text / "metadata.json").exists() and "/" not in text:
        return PRESETS / text
    try:
        folder = Path(text).expanduser()
    except RuntimeError as error:  # ~ of somebody who has no home here
        raise ZooError(f"no folder {text}: {error}") from error
    restore_folder(folder)
    if folder.is_dir():
        if not (folder / "config.json").exists():
            raise ZooError(f"{text} is not an entry: it has no config.json")
        return folder
    if "/" in text or text.startswith((".", "~")):
        raise ZooError(f"no folder {text}")
    near = difflib.get_close_matches(text, list_entries(), n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise ZooError(
        f"no entry {text!r}: {hint}zoo.list() and 'attnflow list' name all entries; a folder "
        "written by zoo.save and hf://user/repository are accepted too"
    )


def read_metadata(folder: Path, name: str | Path) -> dict[str, Any]:
    """An entry's ``metadata.json``; its name is the folder's where it states none.

    Raises:
        ZooError: it is missing, unreadable, newer than this version, or does not fit its schema.
    """
    metadata = _read(folder, "metadata.json", "Metadata", name)
    metadata.setdefault("name", plain_name(folder.resolve().name))
    return metadata


def read_config(folder: Path, name: str | Path) -> dict[str, Any]:
    """An entry's ``config.json``, within the bounds of ``zoo.schema``.

    Raises:
        ZooError: as in :func:`read_metadata`, or it asks for more than these bounds.
    """
    return _read(folder, "config.json", "Config", name)


def entry_file(folder: Path, file: str, name: str | Path) -> Path:
    """Path of one of an entry's files: a regular one, inside the folder or the hub's cache.

    Raises:
        ZooError: it is missing, or something else.
    """
    # The hub's cache keeps snapshots of links into a folder beside them.
    in_cache = folder.parent.name == "snapshots" and (folder.parents[1] / "blobs").is_dir()
    try:
        return file_inside(folder, file, folder.parents[1] if in_cache else None)
    except FileNotFoundError:
        raise ZooError(f"entry {str(name)!r} is incomplete: {folder / file} is missing") from None
    except (OSError, ValueError) as error:
        raise ZooError(
            f"entry {str(name)!r}: can't read {folder / file}: {one_line(error)}"
        ) from error


def _read(folder: Path, file: str, kind: str, name: str | Path) -> dict[str, Any]:
    path = entry_file(folder, file, name)
    try:
        content = read_json(path)
    except (OSError, ValueError) as error:
        raise ZooError(f"entry {str(name)!r}: can't read {path}: {one_line(error)}") from error
    version = content.get("format") if isinstance(content, dict) else None
    if not is_integer(version):
        raise ZooError(f"entry {str(name)!r}: {path} names no format version")
    if version > FORMAT:
        raise ZooError(
            f"entry {str(name)!r} has format {version}, this version reads up to {FORMAT}; "
            "get a newer version of attnflow-keras"
        )
    if folder.parent != PRESETS:
        # The package's own entries are checked by its tests; the schema takes time to import.
        from zoo import schema

        try:
            schema.check(content, getattr(schema, kind))
            if kind == "Config":
                schema.check_bounds(content["config"])
        except ValueError as error:
            raise ZooError(f"entry {str(name)!r}: {path}: {one_line(error)}") from error
    return content


def _natural(name: str) -> list[Any]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
