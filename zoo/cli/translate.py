"""``attnflow translate``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from attnflow_keras.core.untrusted import read_json
from zoo.cli.common import LABEL_TO_PHOTO, Background, Json, Name, check_not_inputs, load_flow
from zoo.cli.results import Format, Out, Results, Separate, counted
from zoo.registry import info


def translate_command(
    name: Name,
    labels: Annotated[
        list[Path],
        typer.Argument(
            metavar="LABEL...",
            help="Label maps of any size, PNG, JPEG or WebP, or folders of them: grey or indexed "
            "for classes, or of colours. 'attnflow info NAME' shows both.",
        ),
    ],
    out: Out = None,
    temperature: Annotated[
        float, typer.Option("--temperature", "-t", min=0, help="0 for the most probable; up to 1.")
    ] = 0.7,
    samples: Annotated[int, typer.Option(min=1, help="Photos: OUT shows them side by side.")] = 1,
    seed: Annotated[int, typer.Option(help="The same seed gives the same photos.")] = 0,
    photo: Annotated[
        Path | None,
        typer.Option(
            help="The real photo, or a folder of them under the same names. A result is then a "
            "strip: label map, photos, real photo; and figures are printed."
        ),
    ] = None,
    strip: Annotated[bool, typer.Option("--strip", help="Show the label map beside.")] = False,
    separate: Separate = False,
    format_: Format = None,
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
    resize: Annotated[
        bool,
        typer.Option(
            "--resize",
            help="Resize label maps of another size than the entry's, and their photos, each side "
            "on its own: another aspect ratio is stretched, not cut. Label maps by the nearest "
            "pixel, photos by the bicubic filter. Without it label maps are drawn at their own "
            "size, in tiles.",
        ),
    ] = False,
    background: Background = None,
    as_json: Json = False,
) -> None:
    """Sample photos for label maps, with an entry for label to photo."""
    import numpy as np

    from attnflow_keras.data.picture_files import Notes

    entry = info(name)
    if entry.get("task") != LABEL_TO_PHOTO:
        raise ValueError(
            f"entry {name!r} is for the task {entry.get('task', 'unknown')}; 'attnflow list --task "
            f"{LABEL_TO_PHOTO}' shows those for label maps"
        )
    results = Results(
        labels, out, "photos" if len(labels) > 1 else "photo", separate, format_, samples
    )
    size = tuple(entry["config"]["image_shape"][:2])
    own = entry["config"].get("palette")
    given = None if palette is None else _read_palette(palette, own)
    if palette is not None:
        check_not_inputs(results.targets, [palette])
    done_to = Notes(labels[0] if len(labels) == 1 else "label maps")
    files, partners = results.pictures, results.partners(photo, "--photo")

    def read(number: int) -> tuple[Any, Any]:
        fixed = size if resize else None
        condition = _read(files[number].path, own, given, nearest, fixed, done_to)
        path = partners[number]
        if path is None:
            return condition, None
        return condition, _photo(path, condition.shape[:2], resize, background, done_to)

    read_all = results.read(read)
    done_to.say()
    flow = load_flow(name)

    def translate(number: int, parts: Any) -> dict[str, Any]:
        condition, true = read_all[number]
        tiles = counted(parts, samples)
        drawn = flow.translate(condition, samples, temperature, seed, progress=tiles)
        shown = condition if own is None else np.asarray(own, "uint8")[condition]
        beside = [shown] if strip or true is not None else []
        results.write(number, drawn, beside, [] if true is None else [true])
        if true is None or true.shape[:2] != size:
            return {}
        bits = float(np.asarray(flow.bits_per_dim(true[None], condition[None]))[0])
        line = f"the real photo has {bits:.3f} bits/dim given the label map"
        return {"bits_per_dim": bits, "lines": [line]}

    results.make("drawing", translate, as_json)


def _read(path: Path, own: Any, given: Any, nearest: bool, size: Any, done_to: Any) -> Any:
    """What the entry's flow takes of one label map, resized where a size is given."""
    from attnflow_keras.data import load_label_map
    from attnflow_keras.data.picture_files import fitted

    # By the user's palette an indexed image is read as colours.
    read = load_label_map(path, own, colours=given is not None)
    if size is not None:
        read = fitted(read, size, True, path, notes=done_to)
    return _condition(read, path, own, given, nearest)


def _photo(path: Path, size: Any, resize: bool, background: str | None, done_to: Any) -> Any:
    from attnflow_keras.data import load_picture
    from attnflow_keras.data.picture_files import fitted

    return fitted(load_picture(path, background), size, resize, path, False, done_to)


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
            "or an image of colours"
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
