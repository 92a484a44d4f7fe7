"""Registry of entries: names, folders, metadata."""

import difflib
import fnmatch
import os
import re
from pathlib import Path
from typing import Any

from attnflow_keras.core.checks import check_choice, check_flag, is_integer
from attnflow_keras.core.files import restore_folder
from attnflow_keras.core.untrusted import file_inside, one_line, plain_name, read_json
from zoo.errors import ZooError
from zoo.tasks import task_of, tasks

PRESETS = Path(__file__).parent / "presets"

FORMAT = 1
FOLDERS = "ATTNFLOW_ZOO"  # the environment variable that names more of them

_ADDED: list[Path] = []


PINNED = re.compile(r"(?P<name>.+)@sha256:(?P<digits>[0-9a-f]{8,64})")


def add_folder(path: str | Path) -> None:
    """Add a folder of your own entries to those of the package.

    Each entry is a folder written by :func:`zoo.save`; its name then works in :func:`zoo.list`,
    :func:`zoo.load` and :func:`zoo.info`. The environment variable ``ATTNFLOW_ZOO`` does the same,
    also for the command line: paths of such folders, separated as in ``PATH``.

    Args:
        path: folder of entries; adding it again has no effect.

    Raises:
        ZooError: no such folder, or an entry whose name is taken.

    Example:
        >>> import pathlib, tempfile, zoo
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> zoo.add_folder(folder)
        >>> "my-flow" in zoo.list()  # not before zoo.save(flow, folder / "my-flow")
        False
    """
    if not isinstance(path, str | Path):
        raise ZooError(f"path must be a folder of entries; got a {type(path).__name__}")
    folder = _folder(path, "path")
    if folder not in _ADDED:
        _ADDED.append(folder)
        try:
            entries()
        except ZooError:
            _ADDED.remove(folder)
            raise


def entries() -> dict[str, Path]:
    """Folders of all entries by name: the package's, then those of added folders.

    Raises:
        ZooError: a folder that ``ATTNFLOW_ZOO`` names is not there, or two entries of one name.
    """
    named = filter(None, os.environ.get(FOLDERS, "").split(os.pathsep))
    found: dict[str, Path] = {}
    for parent in (PRESETS, *_ADDED, *(_folder(path, FOLDERS) for path in named)):
        for path in sorted(parent.glob("*/metadata.json")):
            folder = path.parent
            if folder.name.startswith("."):
                continue  # one that is being written
            if found.setdefault(folder.name, folder) != folder:
                raise ZooError(
                    f"two entries are named {folder.name!r}: {found[folder.name]} and {folder}; "
                    "rename the folder of one"
                )
    return found


def _folder(path: str | Path, name: str) -> Path:
    try:
        folder = Path(path).expanduser().resolve()
        is_folder = folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)
    except (OSError, RuntimeError, ValueError) as error:
        raise ZooError(f"{name}: can't read {path}: {one_line(error)}") from error
    if not is_folder:
        raise ZooError(f"{name} must name folders of entries; {path} is not a readable folder")
    if (folder / "config.json").exists():
        raise ZooError(f"{name} must name folders of entries; {path} is an entry: name its parent")
    return folder


def list_entries(
    pattern: str = "*", pretrained: bool | None = None, task: str | None = None
) -> list[str]:
    """Names of the entries that come with the package and of added folders, in natural order.

    Args:
        pattern: shell pattern, such as ``"*mnist*"``.
        pretrained: only entries with (True) or without (False) weights; None for both.
        task: only entries for this task, such as ``"super-resolution"``; None for all.

    Raises:
        ValueError: ``pattern`` is not a string, or another argument has an invalid value.
    """
    if not isinstance(pattern, str):
        raise ValueError(f"pattern must be a string, such as '*mnist*'; got {pattern!r}")
    check_flag("pretrained", pretrained, none=True)
    check_choice("task", task, (*tasks(), None))
    found = [
        name
        for name, folder in entries().items()
        if fnmatch.fnmatchcase(name, pattern)
        and pretrained in (None, (folder / "model.weights.h5").exists())
        and task in (None, read_metadata(folder, name).get("task"))
    ]
    return sorted(found, key=_natural)


def info(name: str) -> dict[str, Any]:
    """Metadata of an entry (name, folder or ``hf://`` address), with its configuration.

    Texts are truncated at 4,000 characters, and have no control characters.

    Returns:
        The content of ``metadata.json``, with the keys ``name``, ``config`` and ``pretrained``.

    Raises:
        ZooError: no such entry, or a file that is missing, damaged or newer.
    """
    folder = locate(name)
    metadata = read_metadata(folder, name)
    metadata["config"] = config = read_config(folder, name)["config"]
    try:
        task_of(metadata).check(config)
    except ValueError as error:
        raise ZooError(f"entry {str(name)!r} {error}") from None
    metadata["pretrained"] = (folder / "model.weights.h5").exists()
    return metadata


def locate(name: str | Path) -> Path:
    """Folder of an entry: a registered name, a folder, or ``hf://user/repository``.

    ``@sha256:`` and the first digits of the weights' hash may follow, see :func:`zoo.load`.

    Raises:
        ZooError: nothing of that name, for which the message lists near matches; or other weights
            than those.
    """
    if isinstance(name, str) and (pinned := PINNED.fullmatch(name)):
        folder = locate(pinned["name"])
        found = str(read_metadata(folder, name).get("sha256"))
        if not found.startswith(pinned["digits"]):
            raise ZooError(
                f"{pinned['name']} has other weights than {pinned['digits']}: their sha256 is "
                f"{found}"
            )
        return folder
    if not isinstance(name, str | Path):
        raise ZooError(
            "name must be an entry's name, a folder, or hf://user/repository; got a "
            f"{type(name).__name__}"
        )
    text = str(name)
    if text.startswith("hf://"):
        from zoo.hub import download

        return download(text)
    known = entries().get(text)
    if known is not None:
        return known
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
    if "@" in text:
        raise ZooError(
            f"a version is named by {text.partition('@')[0]}@sha256: and 8 to 64 hexadecimal "
            f"digits of its weights' hash; got {text!r}"
        )
    near = difflib.get_close_matches(text, list_entries(), n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    raise ZooError(
        f"no entry {text!r}: {hint}zoo.list() and 'attnflow list' name all entries; a folder "
        "written by zoo.save and hf://user/repository are accepted too"
    )


def at_revision(name: str | Path, revision: str) -> str:
    """An ``hf://`` address with its revision.

    Raises:
        ZooError: another kind of name, or one that has a revision.
    """
    if not str(name).startswith("hf://") or "@" in str(name):
        raise ZooError(
            f"revision goes with an address hf://user/repository; got revision={revision!r} and "
            f"{str(name)!r:.200}"
        )
    return f"{name}@{revision}"


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
