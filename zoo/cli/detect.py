"""``attnflow detect``."""

import csv
import io
from pathlib import Path
from typing import Annotated, Any

import typer

from attnflow_keras.core.files import write_json
from attnflow_keras.core.untrusted import printable
from attnflow_keras.core.wording import counted
from zoo.cli.common import (
    DATA_HELP,
    Background,
    Json,
    Labels,
    Name,
    Resize,
    check_choice,
    check_not_inputs,
    check_text_out,
    is_stdout,
    load_conditioned,
    load_flow,
    report_unreadable,
    row_names,
    write_text,
)
from zoo.cli.console import console, notes, print_json, working
from zoo.detection import FILE, detector
from zoo.registry import info, locate

# Repeated here because importing the library's list needs NumPy.
SCORES = ("likelihood", "typicality", "complexity", "dose")
SHOWN = 10  # flagged files, where no table is written


def detect_command(
    name: Name,
    data: Annotated[str | None, typer.Argument(metavar="[DATA]", help=DATA_HELP)] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="CSV file to write, one row per image; - for standard output."
        ),
    ] = None,
    score: Annotated[
        str, typer.Option(help="Score for flagging: likelihood, typicality, complexity or dose.")
    ] = "dose",
    rate: Annotated[
        float,
        typer.Option(help="Fraction of the entry's own images that is flagged: 0.1 to 0.01."),
    ] = 0.05,
    against: Annotated[
        str | None,
        typer.Option(help="Images of the entry's distribution: print the AUROC against them."),
    ] = None,
    calibrate: Annotated[
        str | None,
        typer.Option(
            help="Calibrate on these images, which must not be training images, such as "
            "mnist:validation, and save the thresholds in the entry's folder."
        ),
    ] = None,
    labels: Labels = None,
    resize: Resize = False,
    background: Background = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Batch size.")] = 250,
    as_json: Json = False,
) -> None:
    """Detect images that are out of an entry's distribution.

    Computes four scores, which are higher for outliers: bits per dimension (likelihood), their
    distance from the mean (typicality), bits per dimension minus those of a PNG file (complexity),
    and the density of four statistics (dose). Likelihood alone does not detect simple images.
    """
    check_choice("--score", score, SCORES)
    if (data is None) == (calibrate is None):
        raise ValueError("give either DATA or --calibrate")
    if out is not None:
        check_text_out(out, as_json)
        check_not_inputs([out], [Path(str(data))])
    entry = info(name)
    if calibrate is not None:
        _calibrate(name, entry, calibrate, (resize, labels, background), batch_size)
        return
    known = detector(name)
    known.threshold(score, rate)
    from attnflow_keras.data.picture_files import Unreadable

    unreadable = Unreadable()
    how = (resize, labels, background)
    images, condition = load_conditioned(entry, str(data), *how, unreadable)
    theirs = None if against is None else load_conditioned(entry, against, *how)
    flow = load_flow(name)
    with working("scoring", len(images)) as report:
        scores = known.scores(flow, images, condition, batch_size, report)
    flagged = known.flags(scores, score, rate)
    figures: dict[str, Any] = {
        "images": len(images),
        "score": score,
        "rate": rate,
        "threshold": known.threshold(score, rate),
        "flagged": int(flagged.sum()),
        "means": {key: round(float(values.mean()), 5) for key, values in scores.items()},
    }
    if theirs is not None:
        figures["auroc"] = _areas(known, flow, theirs, scores, batch_size)
    files = row_names(str(data), labels, len(images), unreadable.errors)
    if len(set(files)) == len(files):
        figures["flagged_files"] = [files[i] for i in flagged.nonzero()[0]]
    lines = notes if as_json or is_stdout(out) else console
    if as_json:
        print_json(figures)
    else:
        lines.print(
            f"{figures['flagged']} of {counted(len(images), 'image')} flagged by {score}, above "
            f"{figures['threshold']:.4g}, which {rate:.0%} of the entry's own images exceed"
        )
        names = figures.get("flagged_files", []) if out is None else []
        for file in names[:SHOWN]:
            lines.print(f"  {printable(file)}", markup=False, highlight=False)
        if len(names) > SHOWN:
            lines.print(f"  and {len(names) - SHOWN} more; --out writes all")
        for key, area in figures.get("auroc", {}).items():
            lines.print(f"AUROC of {key:10} {area['value']:.3f} ± {area['standard_error']:.3f}")
    if out is not None:
        write_text(out, _table(scores, flagged, files), lines)
    report_unreadable(unreadable.errors, len(images))


def _calibrate(name: str, entry: Any, data: str, how: Any, batch_size: int) -> None:
    from attnflow_keras.detection import Detector

    images, condition = load_conditioned(entry, data, *how)
    flow = load_flow(name)
    with working("calibrating", len(images)) as report:
        found = Detector.calibrate(flow, images, condition, batch_size, report)
    path = locate(name) / FILE
    write_json(path, {**found.to_json(), "data": data, "sha256": entry.get("sha256")})
    console.print(f"calibrated on {counted(len(images), 'image')}; wrote {path}")


def _areas(known: Any, flow: Any, theirs: Any, scores: Any, batch_size: int) -> dict[str, Any]:
    from attnflow_keras.detection import auroc

    images, condition = theirs
    with working("scoring those to compare with", len(images)) as report:
        inside = known.scores(flow, images, condition, batch_size, report)
    areas = {key: auroc(inside[key], scores[key]) for key in SCORES}
    return {
        key: {"value": round(value, 5), "standard_error": round(error, 5)}
        for key, (value, error) in areas.items()
    }


def _table(scores: Any, flagged: Any, files: list[str]) -> str:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("index", *SCORES, "flagged", "file"))
    for i, file in enumerate(files):
        values = (f"{float(scores[key][i]):.5f}" for key in SCORES)
        writer.writerow((i, *values, int(flagged[i]), file))
    return text.getvalue()
