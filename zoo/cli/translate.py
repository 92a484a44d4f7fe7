"""``attnflow translate``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from attnflow_keras.untrusted import read_json
from zoo.cli.common import (
    LABEL_TO_PHOTO,
    Background,
    Name,
    Resize,
    check_out,
    load_flow,
)
from zoo.cli.console import console, working
from zoo.registry import info

GAP = 4


def translate_command(
    name: Name,
    label: Annotated[
        Path,
        typer.Argument(
            help="The label map, PNG or JPEG: grey or indexed for classes, or of colours."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG to write.")] = Path("photo.png"),
    temperature: Annotated[
        float, typer.Option("--temperature", "-t", help="0 for the most probable; up to 1.")
    ] = 0.7,
    samples: Annotated[int, typer.Option(min=1, help="Photos: OUT shows them side by side.")] = 1,
    seed: Annotated[int, typer.Option(help="The same seed gives the same photos.")] = 0,
    photo: Annotated[
        Path | None,
        typer.Option(help="The true photo. OUT is then a strip: label map, photos, true photo."),
    ] = None,
    strip: Annotated[bool, typer.Option("--strip", help="Show the label map beside.")] = False,
    palette: Annotated[
        Path | None,
        typer.Option(
            help="JSON with a list of [red, green, blue]: the colours in which LABEL shows the "
            "entry's classes, in their order. Default: the entry's own."
        ),
    ] = None,
    nearest: Annotated[
        bool,
        typer.Option(
            "--nearest",
            help="Take the palette's nearest colour for those that it lacks: for label maps kept "
            "as JPEG.",
        ),
    ] = False,
    resize: Resize = False,
    background: Background = None,
) -> None:
    """Draw photos for a label map, with an entry for label to photo."""
    import numpy as np

    from attnflow_keras.data import load_label_map, load_picture, save_image
    from attnflow_keras.data.picture_files import Notes, fitted

    entry = info(name)
    if entry.get("task") != LABEL_TO_PHOTO:
        raise ValueError(
            f"entry {name!r} is for the task {entry.get('task', 'unknown')}; 'attnflow list --task "
            f"{LABEL_TO_PHOTO}' shows those for label maps"
        )
    check_out(out, ".png")
    size = entry["config"]["image_shape"][:2]
    own = entry["config"].get("palette")
    given = None if palette is None else _read_palette(palette, own)
    notes = Notes(label)
    # By the user's palette an indexed picture is read as colours.
    read = load_label_map(label, own, colours=given is not None)
    read = fitted(read, size, resize, label, notes=notes)
    condition = _condition(read, label, own, given, nearest)
    true = None
    if photo is not None:
        true = fitted(load_picture(photo, background), size, resize, photo, False, notes)
    notes.say()
    flow = load_flow(name)
    with working("drawing"):
        drawn = flow.sample(samples, condition[None], temperature=temperature, seed=seed)
    shown: list[Any] = list(drawn)
    if strip or true is not None:
        shown = [condition if own is None else np.asarray(own, "uint8")[condition], *shown]
    if true is not None:
        shown.append(true)
    gap = np.full((size[0], GAP, 3), 255, "uint8")
    parts = [part for image in shown for part in (image, gap)][:-1]
    save_image(out, np.concatenate(parts, axis=1))
    if true is not None:
        bits = float(np.asarray(flow.bits_per_dim(true[None], condition[None]))[0])
        console.print(f"the true photo has {bits:.3f} bits/dim given the label map")
    console.print(f"wrote {out}")


def _condition(labels: Any, path: Path, own: Any, given: Any, nearest: bool) -> Any:
    """What the entry's flow takes: classes where it has a palette, else colours."""
    from attnflow_keras.data.label_maps import known_classes

    classes = labels.ndim == 2
    if own is not None:
        if classes and given is not None:
            raise ValueError(
                f"--palette says which class a colour is; {path} holds classes already"
            )
        try:
            return known_classes(labels, own if given is None else given, path, nearest)
        except ValueError as error:
            hint = "" if classes else ". --palette names others, --nearest takes the nearest ones"
            raise ValueError(f"{error}{hint}") from error
    if not classes:
        if given is not None or nearest:
            raise ValueError(
                f"--palette and --nearest: {path} is of colours and the entry takes any"
            )
        return labels
    if given is None:
        raise ValueError(
            f"{path} is a map of classes and the entry has no palette; give one with --palette, "
            "or a picture of colours"
        )
    return given[known_classes(labels, given, path)]


def _read_palette(path: Path, own: Any) -> Any:
    """The user's palette, uint8 ``(classes, 3)``."""
    import numpy as np

    if not path.is_file():
        raise FileNotFoundError(f"--palette: no file {path}")
    try:
        colours = read_json(path)
    except ValueError as error:
        raise ValueError(f"--palette: {path} is no JSON: {error}") from error
    try:
        table = np.asarray(colours)
    except ValueError:  # rows of several lengths
        table = np.zeros(0)
    if table.ndim != 2 or table.shape[1] != 3 or table.dtype.kind != "i":
        raise ValueError(f"--palette: {path} must hold a list of [red, green, blue]")
    if table.min() < 0 or table.max() > 255:
        raise ValueError(f"--palette: {path} must hold numbers of 0 to 255; got {table.max()}")
    most = 256 if own is None else len(own)
    if len(table) > most:
        raise ValueError(
            f"--palette: {path} must hold at most {most} colours, one for each class; got "
            f"{len(table)}"
        )
    return table.astype("uint8")
