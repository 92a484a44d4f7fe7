"""``attnflow export``, ``verify`` and ``bench``."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from zoo.cli.common import (
    DATA_HELP,
    LABEL_TO_PHOTO,
    SUPER_RESOLUTION,
    Background,
    Labels,
    Name,
    bundled_images,
    check_out_folder,
    load_conditioned,
    load_flow,
)
from zoo.cli.console import console, working
from zoo.registry import info

FORMATS = ("onnx", "saved-model", "triton")
PRECISIONS = ("float32", "float16")

Folder = Annotated[Path, typer.Argument(help="A folder that 'attnflow export' wrote.")]
Provider = Annotated[
    str | None,
    typer.Option(
        help="cpu, cuda, tensorrt, or onnxruntime's own name; none: CUDA or else the CPU."
    ),
]


def export_command(
    name: Name,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder to write.")],
    to: Annotated[str, typer.Option(help=f"One of {', '.join(FORMATS)}.")] = "onnx",
    precision: Annotated[
        str, typer.Option(help="float32, or float16: half precision in the networks only (ONNX).")
    ] = "float32",
    images: Annotated[
        str | None,
        typer.Option(
            help=f"Images to record and compare on (ONNX). {DATA_HELP} Default: those of the "
            "entry's data set that come with the package if they fit, else samples."
        ),
    ] = None,
    labels: Labels = None,
    background: Background = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder.")] = False,
) -> None:
    """Export an entry for deployment; it is checked against Keras before it is kept.

    Takes minutes for ONNX: the graphs of both directions are converted and optimized.
    """
    if to not in FORMATS:
        raise ValueError(f"--to must be one of {', '.join(FORMATS)}; got {to!r}")
    if to == "saved-model" and (images is not None or precision != "float32"):
        raise ValueError("--images and --precision are options of ONNX, not of saved-model")
    if precision not in PRECISIONS:
        raise ValueError(f"--precision must be one of {', '.join(PRECISIONS)}; got {precision!r}")
    from attnflow_keras.files import check_free

    check_out_folder(out)
    check_free(out, overwrite)
    chosen, condition = None, None
    if to != "saved-model":
        chosen, condition = _images(name, images, labels, background)
    flow = load_flow(name)
    import export

    with working(f"exporting {name}") as status:
        options: dict[str, Any] = {"overwrite": overwrite}
        if to != "saved-model":
            options |= {
                "images": chosen,
                "condition": condition,
                "precision": precision,
                "progress": lambda stage: status.update(f"exporting {name}: {stage}"),
            }
        function = {"onnx": export.onnx, "saved-model": export.saved_model, "triton": export.triton}
        report = function[to](flow, out, **options)
    for key, value in report.items():
        console.print(f"{key}: {value:.2g}")
    console.print(f"wrote {out}")


def verify_command(folder: Folder, provider: Provider = "cpu") -> None:
    """Check an export: hashes, onnx.checker, recorded fixtures, round trip. No TensorFlow.

    Exit status 1 when something is not as it was recorded.
    """
    import export

    with working(f"verifying {folder}"):
        checks = export.verify(folder, provider)
    table = Table("check", "", "figure or reason")
    for check in checks:
        state = Text("ok") if check.ok else Text("FAILS", "red")
        table.add_row(check.name, state, check.detail)
    console.print(table)
    failed = [check.name for check in checks if not check.ok]
    if failed:
        raise export.ExportError(f"{folder} is not sound: {', '.join(failed)}")


def bench_command(
    folder: Folder,
    provider: Provider = None,
    batches: Annotated[str, typer.Option(help="Batch sizes, with commas.")] = "1,16,64",
    threads: Annotated[
        int | None, typer.Option(help="Threads of an operation on the CPU. Default: all cores.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Seconds of each measurement.")] = 2.0,
) -> None:
    """Latency and throughput of an export by batch size. No TensorFlow."""
    try:
        sizes = [int(size) for size in batches.split(",")]
    except ValueError:
        raise ValueError(f"--batches must be integers with commas; got {batches!r}") from None
    if not 0 < seconds < float("inf"):
        raise ValueError(f"--seconds must be a number above 0; got {seconds}")
    from export.runtime import Session
    from export.timing import measure

    session = Session(folder, provider, threads)
    table = Table("task", "batch", "median ms", "90 % ms", "images/s")
    with working("measuring") as status:
        for row in measure(session, sizes, seconds=seconds):
            status.update(f"measured {row.task}, batch {row.batch}")
            figures = (f"{1e3 * row.median:.1f}", f"{1e3 * row.p90:.1f}")
            table.add_row(row.task, str(row.batch), *figures, f"{row.images_per_second:.1f}")
    console.print(f"{folder}, {', '.join(session.graph('encode').get_providers())}")
    console.print(table)


def _images(
    name: str, given: str | None, labels: Path | None, background: str | None
) -> tuple[Any, Any]:
    """Images to compare on and their conditions."""
    entry = info(name)
    if given is not None:
        return load_conditioned(entry, given, False, labels, background)
    bundled = bundled_images(entry)
    if bundled is None and entry.get("task") in (SUPER_RESOLUTION, LABEL_TO_PHOTO):
        raise ValueError(
            f"none of the pictures that come with the package fit {name}: give some of "
            f"{'x'.join(map(str, entry['config']['image_shape']))} with --images"
        )
    return bundled or (None, None)
