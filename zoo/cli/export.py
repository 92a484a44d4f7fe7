"""``attnflow export``, ``verify`` and ``bench``."""

import importlib.util
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from attnflow_keras.core.checks import check_choice
from attnflow_keras.core.extras import install_command
from attnflow_keras.runtime.manifest_schema import PRECISIONS
from zoo.cli.common import (
    DATA_HELP,
    Background,
    Json,
    Labels,
    Name,
    bundled_images,
    check_out_folder,
    load_conditioned,
    load_flow,
)
from zoo.cli.console import console, notes, print_json, working
from zoo.registry import info
from zoo.tasks import task_of

FORMATS = ("onnx", "saved-model", "triton", "openvino", "litert")

Folder = Annotated[Path, typer.Argument(help="A folder written by 'attnflow export'.")]
Provider = Annotated[
    str | None,
    typer.Option(
        help="cpu, cuda, tensorrt, or an onnxruntime name. Default: CUDA if available, or the CPU."
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
            help=f"Images to record and compare on. {DATA_HELP} Default: bundled images of the "
            "entry's data set if they fit, otherwise samples."
        ),
    ] = None,
    labels: Labels = None,
    background: Background = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder.")] = False,
    as_json: Json = False,
) -> None:
    """Export an entry for deployment, and verify it against Keras.

    Takes 10 to 25 seconds of CPU time for ONNX, more for OpenVINO and LiteRT. Always uses
    TensorFlow, whatever KERAS_BACKEND is, also for flows trained with JAX.
    """
    _use_tensorflow()
    check_choice("--to", to, FORMATS)
    if to == "saved-model" and images is not None:
        raise ValueError("--images is an option of the other formats, not of saved-model")
    if to not in ("onnx", "triton") and precision != "float32":
        raise ValueError(f"--precision is an option of onnx and triton, not of {to}")
    check_choice("--precision", precision, PRECISIONS)
    from attnflow_keras.core.files import check_free

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
                "progress": lambda stage: status.update(f"exporting {name}: {stage}"),
            }
        if to in ("onnx", "triton"):
            options["precision"] = precision
        report = getattr(export, to.replace("-", "_"))(flow, out, **options)
    if as_json:
        print_json({"out": str(out), "figures": report})
    else:
        for key, value in report.items():
            console.print(f"{key}: {value:.2g}")
    (notes if as_json else console).print(f"wrote {out}")


def _use_tensorflow() -> None:
    """Let this process compute with TensorFlow, unless Keras has been imported.

    Raises:
        ImportError: it is not installed.
    """
    chosen = os.environ.get("KERAS_BACKEND", "tensorflow")
    if chosen == "tensorflow":
        return
    if importlib.util.find_spec("tensorflow") is None:
        raise ImportError(
            f"exporting needs TensorFlow, also of flows trained with {chosen}; install the extras "
            f"tf and export: {install_command('tf', 'export')}"
        )
    os.environ["KERAS_BACKEND"] = "tensorflow"


def verify_command(
    folder: Folder,
    provider: Provider = "cpu",
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with status 1 if a check was skipped.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Verify an export: hashes, onnx.checker, recorded fixtures, round trip.

    Exit status 0 if all checks pass, otherwise 1. Checks that can't run, such as onnx.checker
    without the package onnx, are skipped and counted; they only change the status with --strict.
    Does not need TensorFlow.
    """
    import export

    with working(f"verifying {folder}"):
        checks = export.verify(folder, provider)
    states = [check.state for check in checks]
    counts = {state: states.count(state) for state in ("ok", "skipped", "FAILS")}
    if as_json:
        rows = [{"check": c.name, "state": c.state, "detail": c.detail} for c in checks]
        print_json({"checks": rows, "counts": counts})
    else:
        width = max(len(check.name) for check in checks)
        for check in checks:
            state = Text(f"{check.state:7}", "" if check.state == "ok" else "red")
            rest = f"  {check.name:{width}}  {check.detail}".rstrip()
            console.print(Text.assemble(state, rest), soft_wrap=True)
        console.print(", ".join(f"{count} {state}" for state, count in counts.items()))
    failed = [check.name for check in checks if not check.ok]
    if failed:
        raise export.ExportError(f"{folder} is not valid: {', '.join(failed)}")
    if strict and counts["skipped"]:
        skipped = [f"{check.name} ({check.detail})" for check in checks if check.skipped]
        raise export.ExportError(f"--strict: skipped {', '.join(skipped)}")


def bench_command(
    folder: Folder,
    provider: Provider = None,
    batches: Annotated[str, typer.Option(help="Batch sizes, separated by commas.")] = "1,16,64",
    threads: Annotated[
        int | None, typer.Option(help="Threads per operation on the CPU. Default: all cores.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Duration of each measurement, in seconds.")] = 2.0,
    as_json: Json = False,
) -> None:
    """Measure latency and throughput of an export by batch size. Does not need TensorFlow."""
    try:
        sizes = [int(size) for size in batches.split(",")]
    except ValueError:
        raise ValueError(f"--batches must be integers with commas; got {batches!r}") from None
    if not 0 < seconds < float("inf"):
        raise ValueError(f"--seconds must be a number above 0; got {seconds}")
    from attnflow_keras.runtime import Session
    from export.timing import measure

    session = Session(folder, provider, threads)
    rows = []
    with working("measuring") as status:
        for row in measure(session, sizes, seconds=seconds):
            status.update(f"measured {row.task}, batch {row.batch}")
            rows.append(row)
    providers = session.graph("encode").get_providers()
    if as_json:
        print_json({"providers": providers, "timings": [row._asdict() for row in rows]})
        return
    table = Table()
    for title in ("task", "batch", "median ms", "90 % ms", "images/s"):
        table.add_column(title, no_wrap=True, justify="left" if title == "task" else "right")
    for row in rows:
        figures = (f"{1e3 * row.median:.1f}", f"{1e3 * row.p90:.1f}")
        table.add_row(row.task, str(row.batch), *figures, f"{row.images_per_second:.1f}")
    console.print(f"{folder}, {', '.join(providers)}")
    console.print_table(table)


def _images(
    name: str, given: str | None, labels: Path | None, background: str | None
) -> tuple[Any, Any]:
    """Images to compare on and their conditions."""
    entry = info(name)
    if given is not None:
        return load_conditioned(entry, given, False, labels, background)
    bundled = bundled_images(entry)
    if bundled is None and task_of(entry).conditional:
        raise ValueError(
            f"none of the images that come with the package fit {name}: give some of "
            f"{'x'.join(map(str, entry['config']['image_shape']))} with --images"
        )
    return bundled or (None, None)
