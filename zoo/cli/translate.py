"""``attnflow translate``."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from zoo.cli.common import LABEL_TO_PHOTO, Name, check_out, console, load_flow
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
            help="JSON with a list of [red, green, blue], the colour of each class of the label "
            "map. Default: the entry's."
        ),
    ] = None,
    resize: Annotated[
        bool, typer.Option("--resize", help="Resize a label map of another size.")
    ] = False,
) -> None:
    """Draw photos for a label map, with an entry for label to photo."""
    import numpy as np

    from attnflow_keras.data import load_label_map, load_picture, save_image
    from attnflow_keras.data.label_maps import fitted

    entry = info(name)
    if entry.get("task") != LABEL_TO_PHOTO:
        raise ValueError(
            f"entry {name!r} is for the task {entry.get('task', 'unknown')}; 'attnflow list --task "
            f"{LABEL_TO_PHOTO}' shows those for label maps"
        )
    check_out(out, ".png")
    size = entry["config"]["image_shape"][:2]
    condition = fitted(load_label_map(label), size, resize, label)
    true = None if photo is None else fitted(load_picture(photo), size, resize, photo, False)
    own = entry["config"].get("palette")
    if condition.ndim == 2:
        condition = _coloured(condition, palette, own, label)
    elif palette is not None:
        raise ValueError(f"--palette is for maps of classes; {label} is one of colours")
    elif own is not None:
        _say_of_unknown(condition, own, label)
    flow = load_flow(name)
    with console.status("drawing"):
        drawn = flow.sample(samples, condition[None], temperature=temperature, seed=seed)
    shown: list[Any] = list(drawn)
    if strip or true is not None:
        shown = [condition, *shown]
    if true is not None:
        shown.append(true)
    gap = np.full((size[0], GAP, 3), 255, "uint8")
    parts = [part for image in shown for part in (image, gap)][:-1]
    save_image(out, np.concatenate(parts, axis=1))
    if true is not None:
        bits = float(np.asarray(flow.bits_per_dim(true[None], condition[None]))[0])
        console.print(f"the true photo has {bits:.3f} bits/dim given the label map")
    console.print(f"wrote {out}")


def _coloured(classes: Any, path: Path | None, own: Any, label: Path) -> Any:
    """Classes as colours, by the user's palette or the entry's."""
    import numpy as np

    colours = own
    if path is not None:
        try:
            colours = json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ValueError(f"--palette: {path} is no JSON: {error}") from error
    if colours is None:
        raise ValueError(
            f"{label} is a map of classes and the entry has no palette; give one with --palette, "
            "or a picture of colours"
        )
    try:
        table = np.asarray(colours)
    except ValueError:
        table = np.zeros(0)
    if table.ndim != 2 or table.shape[1] != 3 or table.dtype.kind != "i":
        raise ValueError(f"--palette: {path} must hold a list of [red, green, blue]")
    if table.min() < 0 or table.max() > 255:
        raise ValueError(f"--palette: {path} must hold numbers of 0 to 255; got {table.max()}")
    if classes.max() >= len(table):
        raise ValueError(
            f"{label} holds class {classes.max()}; the palette has {len(table)}, 0 to "
            f"{len(table) - 1}"
        )
    return table.astype("uint8")[classes]


def _say_of_unknown(colours: Any, palette: Any, label: Path) -> None:
    """Warn of colours that the entry has not been trained on."""
    import numpy as np

    weights = np.array([1 << 16, 1 << 8, 1])
    known = np.isin(colours.astype("int64") @ weights, np.asarray(palette) @ weights)
    if not known.all():
        console.print(
            f"note: {100 * (1 - known.mean()):.0f} % of {label} has colours that are not in the "
            "entry's palette; a grey or indexed picture of classes has none of them",
            highlight=False,
        )
