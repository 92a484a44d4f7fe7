"""``attnflow score``."""

import csv
import io
from pathlib import Path
from typing import Annotated

import typer

from zoo.cli.common import (
    DATA_HELP,
    Background,
    Devices,
    Json,
    Labels,
    Name,
    Resize,
    check_not_inputs,
    check_precision,
    check_text_out,
    is_stdout,
    load_conditioned,
    load_flow,
    report_unreadable,
    row_names,
    write_text,
)
from zoo.cli.console import console, notes, print_json, working
from zoo.registry import info


def score_command(
    name: Name,
    data: Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="CSV file to write, one row per image; - for standard output.",
        ),
    ] = None,
    draws: Annotated[int, typer.Option(help="Draws of dequantization noise to average.")] = 1,
    seed: Annotated[int, typer.Option(help="Seed of the noise.")] = 0,
    batch_size: Annotated[int, typer.Option(help="Batch size.")] = 250,
    labels: Labels = None,
    resize: Resize = False,
    background: Background = None,
    jit: Annotated[
        bool, typer.Option("--jit", help="Compile with XLA; worthwhile for many images.")
    ] = False,
    precision: Annotated[
        str | None,
        typer.Option(
            help="float32, float64, mixed_float16 or mixed_bfloat16. Default: the entry's, "
            "usually float32."
        ),
    ] = None,
    devices: Devices = None,
    as_json: Json = False,
) -> None:
    """Compute bits per dimension of images: lower is more probable under the model.

    Super-resolution entries are conditioned on the downsampled images, label-to-photo entries on
    the label maps of a data set's split or of --labels.

    Prints the mean with its standard error over images and its convention. Images of a folder
    that can't be read are listed and skipped, and the exit status is then 1.
    """
    from attnflow_keras.data.picture_files import Unreadable
    from attnflow_keras.metrics import evaluate_bits_per_dim
    from zoo.card import metric_line

    check_precision(precision)
    if out is not None:
        check_text_out(out, as_json)
        check_not_inputs([out], [Path(data)])
    # The data first: a wrong path should not wait for TensorFlow.
    unreadable = Unreadable()
    images, condition = load_conditioned(info(name), data, resize, labels, background, unreadable)
    flow = load_flow(name, devices, dtype=precision)
    flow.jit = jit
    first = "compiling with XLA, may take minutes" if jit else "scoring"
    with working(first, draws * len(images)) as report:

        def scored(done: int) -> None:
            report.update("scoring")
            report(done)

        metric = evaluate_bits_per_dim(
            flow, images, data.replace(":", " "), draws, seed, batch_size, scored, condition
        )
    lines = notes if as_json or is_stdout(out) else console
    if as_json:
        print_json({**metric, **({"precision": precision} if precision else {})})
    else:
        under = f" under {precision}" if precision else ""
        lines.print(metric_line(metric) + under)
    if out is not None:
        with working(f"scores for {out}", len(images)) as report:
            bits = flow.bits_per_dim(
                images, condition, seed=seed, batch_size=batch_size, progress=report
            )
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(("index", "bits_per_dim", "file"))
        files = row_names(data, labels, len(bits), unreadable.errors)
        for i, (b, file) in enumerate(zip(bits, files, strict=True)):
            writer.writerow((i, f"{float(b):.5f}", file))
        write_text(out, text.getvalue(), lines)
    report_unreadable(unreadable.errors, len(images))
