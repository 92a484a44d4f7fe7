"""Read untrusted JSON, texts and names, within stated limits. Standard library only.

Nothing here depends on what a file says of itself.
"""

import json
import re
import stat
import unicodedata
from itertools import accumulate, repeat
from pathlib import Path
from typing import Any

from attnflow_keras.core.files import open_regular

JSON_BYTES = 1 << 20
JSON_DEPTH = 32
TEXT_LENGTH = 4000
NAME_LENGTH = 100

# One without an end too: to look for it from each of its quotes would take quadratic time.
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_LEVELS = {"[": 1, "{": 1, "]": -1, "}": -1}
_JOINERS = "\u200c\u200d"  # of scripts and emoji
_NOT_IN_NAMES = set("/\\\"'`<>|:*?$")


def read_json(
    path: str | Path, limit: int = JSON_BYTES, depth: int = JSON_DEPTH, raw: bool = False
) -> Any:
    """JSON of a regular file, with every text in it made printable by :func:`printable`.

    Args:
        path: the file.
        limit: its largest size in bytes.
        depth: how deep arrays and objects may be nested.
        raw: leave texts as they are, to compare them.

    Raises:
        OSError: no such file, or not a regular one.
        ValueError: no JSON, NaN or Infinity in it, or beyond a limit.
    """
    return parse_json(read_bytes(path, limit), depth, raw)


def parse_json(data: bytes, depth: int = JSON_DEPTH, raw: bool = False) -> Any:
    """JSON from bytes of limited size; see :func:`read_json`.

    Raises:
        ValueError: no JSON, NaN or Infinity in it, or nested deeper than ``depth``.
    """
    text = data.decode("utf-8")
    # Brackets in strings don't count.
    steps = map(_LEVELS.get, _STRING.sub("", text), repeat(0))
    deepest = max(accumulate(steps), default=0)
    if deepest > depth:
        raise ValueError(f"it is nested {deepest} deep, more than {depth}")
    content = json.loads(text, parse_constant=_no_constant)
    return content if raw else _printable_tree(content)


def read_bytes(path: str | Path, limit: int) -> bytes:
    """Content of a regular file of at most ``limit`` bytes.

    Raises:
        OSError: no such file, or not a regular one.
        ValueError: a larger file.
    """
    with open_regular(path) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"it has more than {limit:,} bytes")
    return content


def printable(text: str, length: int = TEXT_LENGTH) -> str:
    """Text without control characters, cut at ``length`` characters.

    Line ends and tabs stay; all other control and format characters (terminal sequences, marks
    that turn the writing direction) and lone surrogates become U+FFFD.
    """
    if len(text) > length:
        text = text[: length - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        "\N{REPLACEMENT CHARACTER}"
        if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") and c not in "\n\t" + _JOINERS
        else c
        for c in text
    )


def one_line(error: BaseException, length: int = 400) -> str:
    """The message of an error as one printable line, which may quote what a file held."""
    return printable(" ".join(str(error).split()), length)


def is_plain_name(name: Any) -> bool:
    """Whether it is one plain component of a path, which no program takes for more than a name.

    At most 100 printable characters, no separators, quotes or wildcards, no dot or blank at the
    start or the end.
    """
    return (
        isinstance(name, str)
        and 0 < len(name) <= NAME_LENGTH
        and name.isprintable()
        and not _NOT_IN_NAMES & set(name)
        and name.strip() == name
        and not name.startswith(".")
        and not name.endswith(".")
    )


def plain_name(name: str) -> str:
    """The nearest plain name: what :func:`is_plain_name` refuses becomes a hyphen."""
    kept = "".join("-" if c in _NOT_IN_NAMES or not c.isprintable() else c for c in name)
    return kept[:NAME_LENGTH].strip(" .") or "unnamed"


def file_inside(folder: Path, name: str, root: Path | None = None) -> Path:
    """Path of a regular file directly in a folder.

    Args:
        folder: the folder.
        name: the file's name.
        root: where links may lead; None for the folder itself.

    Raises:
        ValueError: not one plain component, a link that leads out of the folder, or not a
            regular file.
        FileNotFoundError: no such file.
    """
    if not is_plain_name(name):
        raise ValueError(f"{name!r:.80} is not a plain file name")
    path = folder / name
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError(f"{path} is not a regular file")
    if not path.resolve().is_relative_to((root or folder).resolve()):
        raise ValueError(f"{path} is a link that leads out of its folder")
    return path


def _no_constant(name: str) -> None:
    raise ValueError(f"it holds {name}, which is not valid JSON")


def _printable_tree(value: Any) -> Any:
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [_printable_tree(item) for item in value]
    if isinstance(value, dict):
        return {printable(key): _printable_tree(item) for key, item in value.items()}
    return value
