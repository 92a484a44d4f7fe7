"""Shared arguments of the commands, and reading of users' data."""

import contextlib
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from attnflow_keras.core import checks
from attnflow_keras.core.files import followed, is_special, write_file
from attnflow_keras.core.policies import POLICIES
from attnflow_keras.core.untrusted import printable
from zoo.cli.console import console, notes, working
from zoo.registry import info
from zoo.tasks import Task, task_of, those
from zoo.tasks.base import Reading

Name = Annotated[
    str,
    typer.Argument(
        metavar="NAME",
        help="An entry's name, a folder written by zoo.save, or hf://user/repository.",
    ),
]

DATA_HELP = (
    "A folder of PNG, JPEG or WebP files, one image, a .npy or .npz file (uint8), or a data "
    "set's split: mnist:test, fashion_mnist:validation, bluemarble_landcover:test, ..."
)


Labels = Annotated[
    Path | None,
    typer.Option(
        help="Label maps of the photos, for label-to-photo entries: a folder of images with the "
        "same names, grey or indexed for classes, or in colours. For class-conditional entries, a "
        "text file with one class per line."
    ),
]

Resize = Annotated[
    bool,
    typer.Option(
        "--resize",
        help="Resize images to the entry's size, each side independently: images are stretched, "
        "not cropped. Photos by bicubic interpolation, label maps by the nearest pixel. Colour "
        "images become grey for a grey entry; transparent pixels need --background.",
    ),
]

Background = Annotated[
    str | None,
    typer.Option(
        "--background",
        help="Colour behind transparent pixels: white, black, #rrggbb. Without it, transparent "
        "pixels are an error. Label maps must be opaque.",
    ),
]

Devices = Annotated[
    str | None,
    typer.Option(
        "--devices",
        metavar="N|all",
        help="How many devices share each batch: a number, or all of them. Default: one device.",
    ),
]

Json = Annotated[bool, typer.Option("--json", help="Print results as JSON.")]


def check_precision(precision: str | None) -> None:
    """Raise ValueError unless it is None or a policy that ``zoo.load`` takes."""
    check_choice("--precision", precision, POLICIES)


def check_choice(option: str, value: Any, allowed: Iterable[str]) -> None:
    """Raise ValueError, which names the option, unless the value is None or allowed."""
    if value is not None:
        checks.check_choice(option, value, allowed)


def check_out(path: Path, endings: Sequence[str] = ()) -> None:
    """Raise unless a file can be written there; called before long computations.

    With ``endings``, its name must have one of them.
    """
    if is_stdout(path):
        if endings:
            raise ValueError("--out must be a file: images don't go to standard output; got -")
        return
    if endings and path.suffix.lower().removeprefix(".") not in endings and not path.is_dir():
        names = ", ".join(f".{ending}" for ending in endings)
        raise ValueError(f"--out must be a name in {names}; got {path.name!r}")
    if path.is_dir():
        raise IsADirectoryError(f"--out must be a file to write; {path} is a folder")
    if is_special(path):
        # Such as a pipe: written into, whatever its folder allows.
        if not os.access(path, os.W_OK):
            raise PermissionError(f"--out: can't write into {path}")
        return
    _check_folder(path, followed(path).parent)


def is_stdout(path: Path | None) -> bool:
    """Whether ``--out`` asks for standard output, by ``-``."""
    return path is not None and str(path) == "-"


def check_text_out(path: Path, as_json: bool) -> None:
    """:func:`check_out` for text, which may go to standard output unless figures do as JSON."""
    if is_stdout(path) and as_json:
        raise ValueError("--json and --out - both write to standard output; name a file")
    check_out(path)


def write_text(path: Path, content: str, lines: Any) -> None:
    """Write a result that is text, to a file or, for ``-``, to standard output.

    Names of files in it are bytes; those that are no UTF-8 are written as they are.

    Args:
        path: what the user gave as ``--out``.
        content: the text.
        lines: the console that says that a file was written.
    """
    data = content.encode("utf-8", sys.getfilesystemencodeerrors())
    if is_stdout(path):
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    else:
        write_file(path, data)
        lines.print(f"wrote {path}")


def check_out_folder(path: Path) -> None:
    """Raise unless a folder can be written there; called before long computations."""
    if is_stdout(path):
        raise ValueError("--out must be a folder; got -, standard output")
    if path.exists() and not path.is_dir():
        raise NotADirectoryError(f"--out must be a folder; {path} is a file")
    _check_folder(path, followed(path))


def check_not_inputs(targets: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Raise ValueError if an output file is also an input, possibly through links."""
    read = {_identity(path): path for path in inputs}
    read.pop(None, None)
    for target in targets:
        path = read.get(_identity(target))
        if path is not None:
            raise ValueError(f"--out would replace {path}, which is read; name another place")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:  # nothing is there yet
        return None
    return found.st_dev, found.st_ino


def _check_folder(path: Path, folder: Path) -> None:
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir():
        raise NotADirectoryError(f"--out: can't write {path}, since {folder} is not a folder")
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"--out: can't write {path}, since {folder} is read-only to you")


def load_flow(name: str, devices: str | None = None, **options: Any) -> Any:
    """``zoo.load`` on the given devices, with progress messages."""
    import zoo
    from zoo.registry import locate

    locate(name)
    with working(f"loading {name}"), on_devices(devices):
        return zoo.load(name, **options)


@contextlib.contextmanager
def on_devices(wanted: str | None, distributed: bool = False) -> Iterator[str]:
    """Import the backend; flows loaded in the block are on the devices of ``--devices``.

    TensorFlow takes the memory of GPUs as it needs it.

    Args:
        wanted: a number or ``"all"``; None for one device.
        distributed: whether this is one of several processes.

    Yields:
        The devices, for people. Empty where the backend is not installed.

    Raises:
        ValueError: a wrong number of devices.
    """
    import attnflow_keras._quiet_import  # noqa: F401

    try:
        from attnflow_keras import backend
        from attnflow_keras.training import devices
    except ImportError:
        yield ""  # zoo.load says what to install
        return
    if distributed:
        backend.devices.join_processes()
        # Only the first of them talks.
        console.quiet = notes.quiet = not backend.devices.writes()
    name = devices.prepare_devices()
    if wanted is None and not distributed:
        yield name
        return
    given = wanted or devices.ALL
    count = devices.check_devices("--devices", int(given) if given.isdecimal() else given)
    with devices.on_devices(count):
        yield devices.prepare_devices(count)


def import_backend() -> str:
    """Import Keras and its backend, which takes the memory of GPUs as it needs it.

    Returns:
        The device that it computes on. Empty where the backend is not installed.
    """
    with on_devices(None) as device:
        return device


def entry_for(command: str, name: str) -> dict[str, Any]:
    """What is known of an entry that a command draws from.

    Raises:
        ValueError: another command draws from it.
    """
    entry = info(name)
    task = task_of(entry)
    if task.command != command:
        known = those(lambda other: other.command == command)
        raise ValueError(
            f"entry {name!r} is for {task.name}: 'attnflow {task.command}' draws from it; "
            f"'attnflow {command}' draws from entries for {known}"
        )
    return entry


def bundled_images(entry: dict[str, Any]) -> tuple[Any, Any] | None:
    """Images of an entry's data set that come with the package, and their conditions.

    None if none do, or none of the entry's size.
    """
    from attnflow_keras.data import data_set, is_data_set

    name = str(entry.get("dataset"))
    if not is_data_set(name):
        return None
    return task_of(entry).bundled(entry["config"], data_set(name))


def load_conditioned(
    entry: dict[str, Any],
    data: str,
    resize: bool,
    labels: Path | None = None,
    background: str | None = None,
    unreadable: Any = None,
) -> tuple[Any, Any]:
    """Images from what the user named, and the conditions that the entry's flow takes, or None.

    ``unreadable``, an ``Unreadable``, takes the errors of images of a folder that can't be read,
    and the others are returned.
    """
    from attnflow_keras.data import data_set, data_sets, is_data_set

    task, config = task_of(entry), entry["config"]
    if labels is not None:
        check_takes_labels(task)
    name, _, split = data.partition(":")
    if not Path(data).exists():
        if is_data_set(name):
            if not split:
                raise ValueError(
                    f"{data} is a data set; name its split as well, such as {name}:test"
                )
            return task.of_data_set(config, data_set(name), split)
        if split and "/" not in data:
            known = ", ".join(data_sets())
            raise ValueError(f"no data set {name!r}; those with splits are {known}")
    if task.labels is not None and labels is None:
        raise ValueError(f"{data}: {task.labels} with --labels")
    return task.of_files(config, data, Reading(labels, resize, background, unreadable))


def check_takes_labels(task: Task) -> None:
    """Raise ValueError unless the task is one whose conditions ``--labels`` names."""
    if task.labels is None:
        known = those(lambda other: other.labels)
        raise ValueError(f"--labels is for entries for {known}; this one is for {task.name}")


def report_unreadable(errors: Mapping[Any, Exception], read: int) -> None:
    """Name the images that were left out, count them, and end with status 1 if there are any.

    Args:
        errors: the error of each.
        read: how many others there were.
    """
    if not errors:
        return
    for error in errors.values():
        notes.print(Text.assemble(("error:", "red"), f" {printable(str(error))}"), soft_wrap=True)
    total = len(errors) + read
    notes.print(f"left out {len(errors)} of {total} images, which can't be read")
    raise typer.Exit(1)


def row_names(
    data: str, labels: Path | None, count: int, left_out: Collection[Path] = ()
) -> list[str]:
    """What each of ``count`` images that :func:`load_conditioned` read was.

    Its path in the folder, or the name of the one file or data set that holds them all; files of
    the folder that are ``left_out`` have no row.
    """
    from attnflow_keras.data import load_pair_folder
    from attnflow_keras.data.picture_files import Notes, find_pictures

    folder = Path(data)
    if not folder.is_dir():
        return [folder.name if folder.exists() else data] * count
    if labels is not None:
        files = load_pair_folder(folder, labels, Notes(folder))[0]
    else:
        files = find_pictures(folder, Notes(folder))
    read = (file for file in files if file not in left_out)
    return [file.relative_to(folder).as_posix() for file in read]
