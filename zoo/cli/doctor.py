"""``attnflow doctor``."""

import json
from typing import Annotated, Any

import typer

from zoo.cli.common import (
    DATA_HELP,
    Name,
    bundled_images,
    console,
    load_data,
    load_flow,
    progress_bar,
)
from zoo.registry import info

COUNT = 32


def doctor_command(
    name: Name,
    data: Annotated[
        str | None,
        typer.Argument(
            metavar="IMAGES",
            help=f"{DATA_HELP} Default: MNIST digits that come with the package if they fit, "
            "else the entry's data set.",
        ),
    ] = None,
    count: Annotated[int, typer.Option("-n", help="Use the first so many images.")] = COUNT,
    seed: Annotated[int, typer.Option(help="Seed of noise and latents.")] = 0,
    resize: Annotated[bool, typer.Option("--resize", help="Resize pictures that differ.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Look at every layer: round trip, condition number, log-scales, NaN and Inf.

    Exit status 0 when all is finite and decode(encode(x)) gives back every grey level, else 1
    with a line that says what is wrong. Warnings (a condition number above 1e4, a round-trip
    error above 1e-3, a log-scale at its bound) don't change the status.
    """
    if count < 1:
        raise ValueError(f"-n must be at least 1; got {count}")
    entry = info(name)
    if not entry["pretrained"]:
        load_flow(name)  # says what to do
    # The data first: a wrong path should not wait for TensorFlow.
    images = _images(entry, data, resize)[:count]
    flow = load_flow(name)
    if flow.conditional:
        raise ValueError(f"{name} takes a condition: call flow.diagnose(images, condition)")
    with progress_bar("looking at each layer (%)", 100) as report:
        diagnosis = flow.diagnose(
            images, seed=seed, progress=lambda done, total: report(100 * done // total)
        )
    if as_json:
        print(json.dumps(diagnosis.to_dict(), indent=2))
    else:
        print(diagnosis)
    if not diagnosis.ok:
        if as_json:
            typer.echo(f"problem: {diagnosis.problem}", err=True)
        raise typer.Exit(1)


def _images(entry: dict[str, Any], data: str | None, resize: bool) -> Any:
    from attnflow_keras.data.datasets import DATASETS

    shape = tuple(entry["config"]["image_shape"])
    if data is not None:
        return load_data(data, shape, resize)
    digits = bundled_images(shape)
    if digits is not None:
        return digits
    dataset = entry.get("dataset")
    if dataset in DATASETS:
        with console.status(f"reading {dataset}"):
            return load_data(f"{dataset}:test", shape, resize)
    sides = "x".join(map(str, shape))
    raise ValueError(
        f"{entry['name']} takes images of {sides}, and none come with the package; give some: "
        f"attnflow doctor {entry['name']} IMAGES"
    )
