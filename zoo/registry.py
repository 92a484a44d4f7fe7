"""Which entries there are, and what is known of them."""

import difflib
import fnmatch
import json
import re
from pathlib import Path
from typing import Any

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
    if pretrained is not None and not isinstance(pretrained, bool):
        raise ValueError(f"pretrained must be True, False or None; got {pretrained!r}")
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
        and task in (None, read_json(PRESETS / name / "metadata.json", name).get("task"))
    ]
    return sorted(found, key=_natural)


def info(name: str) -> dict[str, Any]:
    """Metadata of an entry (name, folder or ``hf://`` address), with its configuration.

    Returns:
        The content of ``metadata.json``, with the keys ``name``, ``config`` and ``pretrained``.
    """
    folder = locate(name)
    metadata = read_json(folder / "metadata.json", name)
    config = read_json(folder / "config.json", name)
    metadata.setdefault("name", folder.name)
    metadata["config"] = config.get("config", {})
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
    folder = Path(text).expanduser()
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


def read_json(path: Path, name: str | Path) -> dict[str, Any]:
    """A JSON object of an entry, with its format version checked.

    Raises:
        ZooError: a missing or unreadable file, or a format newer than this version reads.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ZooError(f"entry {str(name)!r} is incomplete: {path} is missing") from None
    except (OSError, ValueError) as error:
        raise ZooError(f"entry {str(name)!r}: can't read {path}: {error}") from error
    version = content.get("format") if isinstance(content, dict) else None
    if not isinstance(version, int):
        raise ZooError(f"entry {str(name)!r}: {path} names no format version")
    if version > FORMAT:
        raise ZooError(
            f"entry {str(name)!r} has format {version}, this version reads up to {FORMAT}; "
            "upgrade with: pip install -U attnflow-keras"
        )
    return content


def _natural(name: str) -> list[Any]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
