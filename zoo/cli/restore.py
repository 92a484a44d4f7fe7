"""``attnflow restore``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from zoo.cli.common import Background, Name, check_out, load_flow
from zoo.cli.console import console, working
from zoo.registry import info

GAP = 4


def restore_command(
    name: Name,
    picture: Annotated[
        Path,
        typer.Argument(
            help="The small picture, PNG or JPEG, of any size. Grey becomes RGB, a photo is turned "
            "as its EXIF data say, transparent pixels need --background."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG to write.")] = Path("restored.png"),
    temperature: Annotated[
        float,
        typer.Option("--temperature", "-t", help="0 for one smooth picture; up to 1 for detail."),
    ] = 0.8,
    samples: Annotated[
        int, typer.Option(min=1, help="Restorations: OUT shows them side by side.")
    ] = 1,
    seed: Annotated[int, typer.Option(help="The same seed gives the same picture.")] = 0,
    reference: Annotated[
        Path | None,
        typer.Option(
            help="The true large picture. OUT is then a strip: small, bicubic, restored, true."
        ),
    ] = None,
    strip: Annotated[
        bool, typer.Option("--strip", help="Show the small picture and bicubic beside it.")
    ] = False,
    tile: Annotated[
        int, typer.Option(min=1, help="Side of the tiles that larger pictures are cut into.")
    ] = 32,
    overlap: Annotated[int, typer.Option(min=0, help="How far tiles overlap.")] = 4,
    background: Background = None,
) -> None:
    """Restore a small picture at several times its size, with a super-resolution entry."""
    import numpy as np

    from attnflow_keras.data import load_picture, save_image, upscale

    entry = info(name)
    if entry.get("task") != "super-resolution":
        raise ValueError(
            f"entry {name!r} is for the task {entry.get('task', 'unknown')}; 'attnflow list --task "
            "super-resolution' shows those that restore"
        )
    check_out(out, ".png")
    small = load_picture(picture, background)
    scale = entry["config"]["scale"]
    true = None if reference is None else load_picture(reference, background)
    expected = (scale * small.shape[0], scale * small.shape[1], 3)
    if true is not None and true.shape != expected:
        raise ValueError(
            f"--reference must be {scale} times as large as {picture}, "
            f"{expected[0]}x{expected[1]}; it is {true.shape[0]}x{true.shape[1]}"
        )
    flow = load_flow(name)
    with working("restoring", 1) as report:
        restored = flow.restore(
            small,
            samples,
            temperature,
            seed,
            tile,
            overlap,
            progress=lambda done, count: report(done / count),
        )
    shown: list[Any] = list(restored)
    if strip or true is not None:
        enlarged = small.repeat(scale, axis=0).repeat(scale, axis=1)
        shown = [enlarged, upscale(small, scale), *shown]
    if true is not None:
        shown.append(true)
    gap = np.full((expected[0], GAP, 3), 255, "uint8")
    parts = [part for image in shown for part in (image, gap)][:-1]
    save_image(out, np.concatenate(parts, axis=1))
    if true is not None:
        from attnflow_keras.metrics import lr_psnr, psnr

        first = "restored" if samples == 1 else f"restored (first of {samples})"
        for label, image in (("bicubic", upscale(small, scale)), (first, restored[0])):
            quality = float(psnr(image[None], true[None])[0])
            kept = float(lr_psnr(image[None], small[None])[0])
            console.print(f"{label}: PSNR {quality:.2f} dB, LR-PSNR {kept:.2f} dB")
    console.print(f"wrote {out}")
