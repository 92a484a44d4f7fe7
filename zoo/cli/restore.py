"""``attnflow restore``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from zoo.cli.common import Background, Json, Name, entry_for, load_flow
from zoo.cli.results import Format, Out, Results, Separate, counted
from zoo.tasks import task_of
from zoo.tasks.base import Reading

# What a person would choose by eye: of photographs, samples have specks along hard edges and
# blotches in faces, while at 0 the image is clean and sharper than bicubic. Several restorations
# have to differ.
OF_ONE = 0.0
OF_SEVERAL = 0.8


def restore_command(
    name: Name,
    pictures: Annotated[
        list[Path],
        typer.Argument(
            metavar="PICTURE...",
            help="Low-resolution images of any size (PNG, JPEG or WebP), or folders of them. Grey "
            "images become RGB, EXIF orientation is applied, transparent pixels need "
            "--background.",
        ),
    ],
    out: Out = None,
    temperature: Annotated[
        float | None,
        typer.Option(
            "--temperature",
            "-t",
            min=0,
            help="0 for the zero-temperature sample: clean, and sharper than bicubic. Above 0, "
            "detail is sampled, which suits images like the training data; on photographs, specks "
            "appear along edges at 0.5 and above. "
            f"Default: {OF_ONE:g}, or {OF_SEVERAL:g} with --samples.",
        ),
    ] = None,
    samples: Annotated[
        int, typer.Option(min=1, help="Restorations: OUT shows them side by side.")
    ] = 1,
    seed: Annotated[int, typer.Option(help="The same seed gives the same image.")] = 0,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="Ground truth, or a folder of images with the same names. Results are then strips "
            "(input, bicubic, restored, ground truth), and metrics are printed."
        ),
    ] = None,
    strip: Annotated[
        bool, typer.Option("--strip", help="Also show the low-resolution image and bicubic.")
    ] = False,
    separate: Separate = False,
    format_: Format = None,
    tile: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Side of the tiles of larger images. Default: 32, or the entry's size if that "
            "is fixed.",
        ),
    ] = None,
    overlap: Annotated[
        int | None,
        typer.Option(min=0, help="Overlap of tiles. Default: 4, less for small tiles."),
    ] = None,
    background: Background = None,
    as_json: Json = False,
) -> None:
    """Restore low-resolution images with a super-resolution entry."""
    from attnflow_keras.data import upscale

    entry = entry_for("restore", name)
    task, config = task_of(entry), entry["config"]
    results = Results(pictures, out, "restored", separate, format_, samples)
    scale, how = config["scale"], Reading(background=background)
    files, partners = results.pictures, results.partners(reference, "--reference")

    def read(number: int) -> tuple[Any, Any]:
        image, path = task.condition(config, files[number].path, how), partners[number]
        return image, None if path is None else _reference(path, image, scale, background)

    read_all = results.read(read)
    if temperature is None:
        temperature = OF_ONE if samples == 1 else OF_SEVERAL
    flow = load_flow(name)

    def restore(number: int, parts: Any) -> dict[str, Any]:
        image, large = read_all[number]
        tiles = counted(parts, samples)
        restored = flow.restore(image, samples, temperature, seed, tile, overlap, progress=tiles)
        bicubic = upscale(image, scale)
        enlarged = image.repeat(scale, axis=0).repeat(scale, axis=1)
        beside = [enlarged, bicubic] if strip or large is not None else []
        results.write(number, restored, beside, [] if large is None else [large])
        return {} if large is None else _figures(image, bicubic, restored, large)

    results.make("restoring", restore, as_json)


def _reference(path: Path, small: Any, scale: int, background: str | None) -> Any:
    from attnflow_keras.data import load_picture

    true = load_picture(path, background)
    expected = (scale * small.shape[0], scale * small.shape[1])
    if true.shape[:2] != expected:
        raise ValueError(
            f"--reference must be {scale} times as large as the low-resolution image, "
            f"{expected[0]}x{expected[1]}; it is {true.shape[0]}x{true.shape[1]}: {path}"
        )
    return true


def _figures(small: Any, bicubic: Any, restored: Any, true: Any) -> dict[str, Any]:
    from attnflow_keras.metrics import lr_psnr, psnr

    first = "restored" if len(restored) == 1 else f"restored (first of {len(restored)})"
    figures: dict[str, Any] = {"lines": []}
    for key, label, image in (
        ("bicubic", "bicubic", bicubic),
        ("restored", first, restored[0]),
    ):
        quality = float(psnr(image[None], true[None])[0])
        kept = float(lr_psnr(image[None], small[None])[0])
        figures[key] = {"psnr": quality, "lr_psnr": kept}
        figures["lines"].append(f"{label}: PSNR {quality:.2f} dB, LR-PSNR {kept:.2f} dB")
    return figures
