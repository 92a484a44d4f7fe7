"""``attnflow prepare-celeba`` and ``attnflow prepare-cityscapes``."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.console import console, working


def prepare_celeba_command(
    source: Annotated[Path, typer.Argument(help="The folder img_align_celeba, of 178x218 JPEGs.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="Folder to write; 'celeba' in the one ATTNFLOW_DATA names."
        ),
    ],
    size: Annotated[int, typer.Option(min=8, help="Side of the images to write.")] = 160,
    whole: Annotated[
        bool, typer.Option("--whole", help="Don't crop: the images already have that size.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder.")] = False,
) -> None:
    """Crop CelebA's aligned faces to squares, downsample them, and write them by split."""
    from attnflow_keras.data.celeba import CROP, prepare_celeba

    crop = None if whole else CROP
    _run(out, functools.partial(prepare_celeba, source, out, size, crop, overwrite))


def prepare_cityscapes_command(
    source: Annotated[Path, typer.Argument(help="The folder with leftImg8bit and gtFine.")],
    out: Annotated[
        Path,
        typer.Option(
            "--out", "-o", help="Folder to write; 'cityscapes' in the one ATTNFLOW_DATA names."
        ),
    ],
    size: Annotated[int, typer.Option(min=8, help="Side of the images to write.")] = 256,
    boundaries: Annotated[
        bool,
        typer.Option("--boundaries", help="Add instance boundaries to the label maps."),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder.")] = False,
) -> None:
    """Resize Cityscapes' images and colour label maps to squares, by split."""
    from attnflow_keras.data import prepare_cityscapes

    _run(out, functools.partial(prepare_cityscapes, source, out, size, boundaries, overwrite))


def _run(out: Path, prepare: Callable[..., dict[str, int]]) -> None:
    with working("preparing, in per cent", 100) as report:
        counts = prepare(progress=lambda done, count: report(100 * done // count))
    found = ", ".join(f"{count:,} for {split}" for split, count in counts.items())
    console.print(f"wrote {out}: {found}")
