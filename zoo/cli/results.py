"""Images in, results out: what ``restore`` and ``translate`` share.

One image gives one file; folders, several images and ``--separate`` give a folder with a file for
each result, under the names that the images have.
"""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from zoo.cli.common import (
    check_choice,
    check_not_inputs,
    check_out,
    check_out_folder,
    report_unreadable,
)
from zoo.cli.console import console, notes, print_json, working
from zoo.cli.interrupts import on_interrupt

# Endings of what can be written; said here again because the library's list needs NumPy.
FORMATS = ("png", "jpg", "jpeg", "webp")
GAP = 4

Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        "-o",
        help="PNG, JPEG or WebP to write, as its name ends; of a folder or several images, and "
        "with --separate, a folder to write into.",
    ),
]
Separate = Annotated[
    bool,
    typer.Option("--separate", help="One file per result, in the folder OUT, with nothing beside."),
]
Format = Annotated[
    str | None,
    typer.Option("--format", help="png, jpg or webp: of the files in a folder. Default: png."),
]


class Picture(NamedTuple):
    """One input: its file, and its path in the user's folder, without ending."""

    path: Path
    name: str


class Results:
    """Where the results of some images go.

    Args:
        given: the files and folders that the user named.
        out: what the user gave as ``--out``, or None.
        default: name of the file or folder without it, without ending.
        separate: one file per result.
        ending: what the user gave as ``--format``, or None.
        samples: results of one image.

    Raises:
        OSError: an input that is not there, or a target that can't be written.
        ValueError: two inputs of one name, an unknown format, a target that is an input.
    """

    def __init__(
        self,
        given: Sequence[Path],
        out: Path | None,
        default: str,
        separate: bool,
        ending: str | None,
        samples: int = 1,
    ) -> None:
        check_choice("--format", ending, FORMATS)
        self.pictures = find(given)
        self.unreadable: dict[Path, Exception] = {}
        self.folder = separate or len(given) > 1 or given[0].is_dir()
        self.separate = separate
        self.ending = ending or "png"
        if self.folder:
            self.out = out or Path(default)
            check_out_folder(self.out)
        else:
            self.out = out or Path(f"{default}.{self.ending}")
            check_out(self.out, FORMATS)
            if ending is not None and self.out.suffix.lower() != f".{ending}":
                raise ValueError(f"--format {ending}: the name of --out ends in {self.out.suffix}")
        count = samples if separate else 1
        self.targets = [
            path for number in range(len(self.pictures)) for path in self.paths(number, count)
        ]
        check_not_inputs(self.targets, (picture.path for picture in self.pictures))

    def partners(self, given: Path | None, option: str) -> list[Path | None]:
        """What goes with each image: the one file given, or those of the same names in a folder.

        Raises:
            OSError: no such file or folder.
            ValueError: an image without a partner, a partner that a result would replace.
        """
        if given is None:
            return [None] * len(self.pictures)
        if not given.is_dir():
            if len(self.pictures) > 1:
                raise ValueError(
                    f"{option} must be a folder, for {len(self.pictures)} images; {given} is not"
                )
            check_not_inputs(self.targets, [given])
            return [given]
        found = {picture.name: picture.path for picture in find([given])}
        for picture in self.pictures:
            if picture.name not in found:
                raise ValueError(f"{option}: {given} has no partner of {picture.path}")
        partners: list[Path | None] = [found[picture.name] for picture in self.pictures]
        check_not_inputs(self.targets, found.values())
        return partners

    def read(self, one: Callable[[int], Any]) -> list[Any]:
        """What ``one`` reads of each image; those that can't be read are left out from now on.

        All are read before any work: a wrong one should not wait for the others.

        Raises:
            PictureError: none can be read.
        """
        from attnflow_keras.data.pictures import PictureError

        found, kept = [], []
        for number, picture in enumerate(self.pictures):
            try:
                found.append(one(number))
            except PictureError as error:
                self.unreadable[picture.path] = error
            else:
                kept.append(picture)
        if not kept:
            raise next(iter(self.unreadable.values()))
        self.pictures = kept
        return found

    def write(self, number: int, results: Sequence[Any], before: Any = (), after: Any = ()) -> None:
        """Write the results of one image; what is shown before and after them makes a strip."""
        from attnflow_keras.data import save_image

        if self.separate:
            for path, image in zip(self.paths(number, len(results)), results, strict=True):
                save_image(path, image)
        else:
            save_image(self.paths(number, 1)[0], side_by_side([*before, *results, *after]))

    def paths(self, number: int, count: int) -> list[Path]:
        """The files of one image."""
        if not self.folder:
            return [self.out]
        name = self.pictures[number].name
        if count == 1:
            return [self.out / f"{name}.{self.ending}"]
        return [self.out / f"{name}-{index:04d}.{self.ending}" for index in range(count)]

    def make(
        self,
        text: str,
        one: Callable[[int, Callable[[int, int], None]], dict[str, Any]],
        as_json: bool,
    ) -> None:
        """Make and write all results, with progress over files, and tiles of a single one.

        Args:
            text: what is being done.
            one: writes the results of an image, given its number and a function that takes the
                number of parts done and of all; returns figures: lines of text by name.
            as_json: print the figures as JSON.

        Raises:
            typer.Exit: with status 1, after all is done, where images could not be read.
        """
        done = 0
        count = len(self.pictures)
        rows = []
        kept = f"results in {self.out}" if self.folder else "results"
        with (
            on_interrupt(lambda: f"{done} of {count} {kept} are written"),
            working(text, count) as report,
        ):
            for number, picture in enumerate(self.pictures):
                if count > 1:
                    report.update(f"{text} {picture.name}")

                def parts(part: int, all_: int, number: int = number) -> None:
                    if count == 1:
                        report(part, all_)
                    else:
                        report(number + part / all_)

                figures = one(number, parts)
                rows.append({"file": str(picture.path), **figures})
                done = number + 1
                report(done, count)
        if as_json:
            for row in rows:
                row.pop("lines", None)
            print_json({"out": str(self.out), "results": rows})
        else:
            for row, picture in zip(rows, self.pictures, strict=True):
                start = f"{picture.name}: " if count > 1 else ""
                for line in row.get("lines", ()):
                    console.print(start + line)
        how_many = f", {count} images" if count > 1 else ""
        (notes if as_json else console).print(f"wrote {self.out}{how_many}")
        report_unreadable(self.unreadable, count)


def counted(parts: Any, samples: int) -> Any:
    """Progress over the tiles of all samples, which are drawn one after the other."""
    before = 0

    def tiles(done: int, count: int) -> None:
        nonlocal before
        # What is no larger than a tile is drawn in all samples at once.
        all_ = count * samples if count > 1 else 1
        parts(min(before + done, all_), all_)
        before += count if done == count else 0

    return tiles


def find(given: Sequence[Path]) -> list[Picture]:
    """The images of files and folders, by name.

    Raises:
        OSError: one that is not there.
        ValueError: two of one name, a folder without images.
    """
    from attnflow_keras.data.picture_files import find_pictures

    found: dict[str, Picture] = {}
    for path in given:
        if path.is_dir():
            files = [(file, file.relative_to(path)) for file in find_pictures(path)]
        else:
            files = [(path, Path(path.name))]
        for file, name in files:
            picture = Picture(file, os.fspath(name.with_suffix("").as_posix()))
            if picture.name in found:
                raise ValueError(
                    f"{found[picture.name].path} and {file} have the same name up to the ending; "
                    "their results would too"
                )
            found[picture.name] = picture
    return list(found.values())


def side_by_side(images: Sequence[Any]) -> Any:
    """Images ``(h, w, c)`` of one height as one, with white between them."""
    import numpy as np

    gap = np.full((len(images[0]), GAP, images[0].shape[-1]), 255, "uint8")
    parts = [part for image in images for part in (image, gap)][:-1]
    return np.concatenate(parts, axis=1)
