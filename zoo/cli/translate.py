"""``attnflow translate``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from zoo.cli.common import Background, Json, Name, check_not_inputs, entry_for, load_flow
from zoo.cli.results import Format, Out, Results, Separate, counted
from zoo.tasks import task_of
from zoo.tasks.base import Reading
from zoo.tasks.label_to_photo import read_palette


def translate_command(
    name: Name,
    labels: Annotated[
        list[Path],
        typer.Argument(
            metavar="LABEL...",
            help="Label maps of any size (PNG, JPEG or WebP), or folders of them: grey or indexed "
            "for classes, or in colours. 'attnflow info NAME' shows both.",
        ),
    ],
    out: Out = None,
    temperature: Annotated[
        float,
        typer.Option("--temperature", "-t", min=0, help="0: zero-temperature sample; up to 1."),
    ] = 0.7,
    samples: Annotated[int, typer.Option(min=1, help="Photos: OUT shows them side by side.")] = 1,
    seed: Annotated[int, typer.Option(help="The same seed gives the same photos.")] = 0,
    photo: Annotated[
        Path | None,
        typer.Option(
            help="Real photo, or a folder of photos with the same names. Results are then strips "
            "(label map, photos, real photo), and metrics are printed."
        ),
    ] = None,
    strip: Annotated[bool, typer.Option("--strip", help="Also show the label map.")] = False,
    separate: Separate = False,
    format_: Format = None,
    palette: Annotated[
        Path | None,
        typer.Option(
            help="JSON file with a list of [red, green, blue], the colours of the classes in "
            "LABEL, in order. Default: the entry's palette."
        ),
    ] = None,
    nearest: Annotated[
        bool,
        typer.Option(
            "--nearest",
            help="Replace colours outside the palette by the nearest, for label maps saved as "
            "JPEG.",
        ),
    ] = False,
    resize: Annotated[
        bool,
        typer.Option(
            "--resize",
            help="Resize label maps (and their photos) to the entry's size, each side "
            "independently: they are stretched, not cropped. Label maps by the nearest pixel, "
            "photos by bicubic interpolation. Without it, photos have the size of the label map, "
            "in tiles.",
        ),
    ] = False,
    background: Background = None,
    as_json: Json = False,
) -> None:
    """Sample photos for label maps with a label-to-photo entry."""
    import numpy as np

    from attnflow_keras.data.picture_files import Notes

    entry = entry_for("translate", name)
    task, config = task_of(entry), entry["config"]
    results = Results(
        labels, out, "photos" if len(labels) > 1 else "photo", separate, format_, samples
    )
    size = tuple(config["image_shape"][:2])
    own = config.get("palette")
    given = None if palette is None else read_palette(palette, own)
    if palette is not None:
        check_not_inputs(results.targets, [palette])
    done_to = Notes(labels[0] if len(labels) == 1 else "label maps")
    how = Reading(None, resize, background, palette=given, nearest=nearest, notes=done_to)
    files, partners = results.pictures, results.partners(photo, "--photo")

    def read(number: int) -> tuple[Any, Any]:
        condition = task.condition(config, files[number].path, how)
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


def _photo(path: Path, size: Any, resize: bool, background: str | None, done_to: Any) -> Any:
    from attnflow_keras.data import load_picture
    from attnflow_keras.data.picture_files import fitted

    return fitted(load_picture(path, background), size, resize, path, False, done_to)
