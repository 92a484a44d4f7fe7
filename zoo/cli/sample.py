"""``attnflow sample``."""

from pathlib import Path
from typing import Annotated

import typer

from attnflow_keras.core.wording import counted
from zoo.cli.common import (
    Devices,
    Name,
    check_choice,
    check_out,
    check_out_folder,
    entry_for,
    load_flow,
)
from zoo.cli.console import console, working
from zoo.cli.results import FORMATS, Format
from zoo.tasks import task_of


def sample_command(
    name: Name,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="File to write: .png, .jpg or .webp; with --separate, a folder. "
            "Default: samples.png, or samples.",
        ),
    ] = None,
    n: Annotated[int, typer.Option("-n", help="Number of images.")] = 64,
    temperature: Annotated[
        float, typer.Option("--temperature", "-t", help="Below 1: more typical, less diverse.")
    ] = 0.8,
    seed: Annotated[int, typer.Option(help="The same seed gives the same images.")] = 0,
    separate: Annotated[
        bool, typer.Option("--separate", help="One file per image, in the folder OUT.")
    ] = False,
    format_: Format = None,
    class_: Annotated[
        str | None,
        typer.Option(
            "--class",
            help="Class of the images, for class-conditional entries. Default: all in turn.",
        ),
    ] = None,
    devices: Devices = None,
) -> None:
    """Sample images, and write them as a grid or as separate files."""
    from attnflow_keras.data import image_grid, save_image

    entry = entry_for("sample", name)
    condition = task_of(entry).to_draw(entry["config"], n, class_)
    ending = format_ or "png"
    check_choice("--format", ending, FORMATS)
    out = out or Path("samples" if separate else f"samples.{ending}")
    if separate:
        check_out_folder(out)
    else:
        check_out(out, FORMATS)
    flow = load_flow(name, devices)
    with working(f"sampling {counted(n, 'image')}"):
        images = flow.sample(n, condition, temperature=temperature, seed=seed)
    if separate:
        for index, image in enumerate(images):
            save_image(out / f"{index:04d}.{ending}", image)
    else:
        save_image(out, image_grid(images))
    console.print(f"wrote {out}")
