"""``attnflow doctor``."""

import re
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from attnflow_keras.core.checks import check_integer
from zoo.cli.common import (
    DATA_HELP,
    Background,
    Json,
    Labels,
    Name,
    Resize,
    bundled_images,
    load_conditioned,
    load_flow,
)
from zoo.cli.console import console, print_json, working
from zoo.registry import info

COUNT = 32


def doctor_command(
    name: Name,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="IMAGES",
            help=f"{DATA_HELP} Default: images of the entry's data set, the bundled ones if "
            "they fit.",
        ),
    ] = None,
    count: Annotated[int, typer.Option("-n", help="Number of images to use.")] = COUNT,
    seed: Annotated[int, typer.Option(help="Seed of noise and latents.")] = 0,
    labels: Labels = None,
    odd: Annotated[
        bool,
        typer.Option(
            "--odd",
            help="Instead of images: flat, striped, noisy and saturated images, unlike any "
            "training data.",
        ),
    ] = False,
    resize: Resize = False,
    background: Background = None,
    as_json: Json = False,
) -> None:
    """Diagnose every layer: round trip, condition number, log-scales, NaN and Inf.

    Exit status 1 if problems are found: NaN or Inf, or a grey level that decode(encode(x)) does
    not restore; otherwise 0. Warnings (a condition number above 1e4, a round-trip error above
    1e-3, a log-scale at its bound) don't change the status.

    Images that are not restored lie outside the entry's domain: their latents and scores are
    unreliable. --odd tests how far the domain extends beyond the training data.
    """
    check_integer("-n", count)
    entry = info(name)
    if not entry["pretrained"]:
        load_flow(name)  # says what to do
    if odd:
        if data is not None or labels is not None:
            raise ValueError("--odd generates its own images; it excludes IMAGES and --labels")
        flow = load_flow(name)
        images, condition = _odd(flow)
    else:
        # The data first: a wrong path should not wait for TensorFlow.
        images, condition = _images(name, entry, data, resize, labels, background)
        flow = load_flow(name)
    images, condition = images[:count], None if condition is None else condition[:count]
    with working("diagnosing each layer (%)", 100) as report:
        diagnosis = flow.diagnose(
            images, condition, seed=seed, progress=lambda done, all_: report(100 * done // all_)
        )
    if as_json:
        print_json(diagnosis.to_dict())
    else:
        # A file or another program gets the whole table.
        print(_narrowed(str(diagnosis), console.width) if console.is_terminal else diagnosis)
    if not diagnosis.ok:
        if as_json:
            typer.echo(f"problem: {diagnosis.problem}", err=True)
        raise typer.Exit(1)


# Columns that a narrow terminal does without, the first ones first.
SPARE = ("components", "class", "output", "log-det", "log-scale", "condition")


def _narrowed(text: str, width: int) -> str:
    """The report with so many columns of its table left out that it fits."""
    lines = text.splitlines()
    rule = next(i for i, line in enumerate(lines) if line.startswith("---"))
    table = range(rule - 1, lines.index("", rule))
    spans = [match.span() for match in re.finditer("-+", lines[rule])]
    titles = [lines[rule - 1][a:b].strip() for a, b in spans]
    left_out = []
    for title in SPARE:
        if sum(b - a + 2 for a, b in spans) - 2 <= width:
            break
        if title in titles:
            spans.pop(titles.index(title))
            titles.remove(title)
            left_out.append(title)
    for i in table:
        lines[i] = "  ".join(lines[i][a:b].ljust(b - a) for a, b in spans).rstrip()
    if left_out:
        lines.insert(
            table.stop, f"({', '.join(left_out)}: in a wider terminal, a pipe, or with --json)"
        )
    return "\n".join(lines)


def _odd(flow: Any) -> tuple[Any, Any]:
    import numpy as np

    from attnflow_keras.data.odd import odd_condition, odd_images

    images = np.stack(list(odd_images(flow.image_shape).values()))
    return images, odd_condition(flow, images)


def _images(
    name: str,
    entry: dict[str, Any],
    data: str | None,
    resize: bool,
    labels: Path | None = None,
    background: str | None = None,
) -> tuple[Any, Any]:
    from attnflow_keras.data import is_data_set

    if data is not None:
        return load_conditioned(entry, data, resize, labels, background)
    bundled = bundled_images(entry)
    if bundled is not None:
        return bundled
    dataset = entry.get("dataset")
    if is_data_set(dataset):
        with working(f"reading {dataset}"):
            return load_conditioned(entry, f"{dataset}:test", resize)
    sides = "x".join(map(str, entry["config"]["image_shape"]))
    raise ValueError(
        f"{name} takes images of {sides}, and none come with the package; give some: "
        f"attnflow doctor {shlex.quote(name)} IMAGES"
    )
