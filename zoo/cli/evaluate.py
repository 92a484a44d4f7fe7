"""``attnflow evaluate``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from zoo.card import result_lines
from zoo.cli.common import (
    Background,
    Json,
    Name,
    Resize,
    check_text_out,
    import_backend,
    is_stdout,
    load_conditioned,
    load_flow,
    write_text,
)
from zoo.cli.console import console, notes, print_json, working
from zoo.folder import update_metadata
from zoo.registry import info, locate
from zoo.tasks import task_of
from zoo.tasks.base import Evaluation


def evaluate_command(
    name: Name,
    split: Annotated[str, typer.Argument(metavar="[SPLIT]", help="test or validation.")] = "test",
    data: Annotated[
        str | None,
        typer.Option(
            help="Evaluate on your own images: a folder of PNG, JPEG or WebP of the entry's size."
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="Folder of their label maps, for label to photo; file of their classes."),
    ] = None,
    resize: Resize = False,
    background: Background = None,
    samples: Annotated[
        int,
        typer.Option(
            min=1,
            help="Samples per condition to measure diversity; 1 for none. Only compare results for "
            "the same number: with few samples the deviation is biased towards 0.",
        ),
    ] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random numbers.")] = 0,
    draws: Annotated[
        int, typer.Option(min=1, help="Draws of dequantization noise, except for super-resolution.")
    ] = 5,
    segmenter: Annotated[
        Path | None,
        typer.Option(
            help="File of the classifier, .weights.h5: read if it exists, otherwise written. "
            "Required to exist with --data."
        ),
    ] = None,
    lpips: Annotated[
        bool, typer.Option(help="LPIPS; needs its weights in ATTNFLOW_DATA/lpips.")
    ] = True,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="JSON file to write, with standard errors; - for standard output."
        ),
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Record the scores in the entry's metadata and card.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Evaluate a conditional entry on its data set or your images.

    Super-resolution is compared with bicubic interpolation and the entry's encoder. Label to photo
    is compared with the mean colour of each class, using a pixel classifier that is first trained
    on real photos (minutes; --segmenter saves it). With --data there are no class means, and the
    only classifier is that of --segmenter, since your images are not split for training.
    Class-conditional entries are evaluated by classification accuracy.
    """
    from attnflow_keras.data import is_data_set

    entry = info(name)
    task = task_of(entry)
    if task.result is None:
        raise ValueError(f"entry {name!r} is for {task.name}; 'attnflow score' scores it")
    if split not in ("test", "validation"):
        raise ValueError(f"SPLIT must be test or validation; got {split!r}")
    if out is not None:
        check_text_out(out, as_json)
    dataset = entry.get("dataset") if data is None else None
    if data is not None and record:
        raise ValueError("--record keeps scores on the entry's own data set; leave out --data")
    if data is None and not is_data_set(dataset):
        raise ValueError(f"{dataset!r} is no data set with splits; name images with --data")
    import_backend()
    chosen = str(data) if dataset is None else f"{dataset}:{split}"
    images, conditions = load_conditioned(entry, chosen, resize, labels, background)
    from attnflow_keras.metrics import LPIPS

    try:
        judge = LPIPS() if lpips and task.lpips else None
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}. Or leave it out with --no-lpips") from error
    flow = load_flow(name)
    name_of_split = str(data) if dataset is None else f"{dataset} {split}"
    how = Evaluation(name_of_split, dataset, seed, samples, draws, judge, segmenter, working)
    result = task.evaluate(flow, images, conditions, how)
    lines = notes if as_json or is_stdout(out) else console
    if as_json:
        print_json(result)
    else:
        if dataset is None and task.needs_data_set:
            lines.print(f"your images: {task.needs_data_set}")
        for line in result_lines(result):
            lines.print(line, soft_wrap=True)
    if record:
        update_metadata(locate(name), {result["name"]: result})
    if out is not None:
        write_text(out, json.dumps(result, indent=2) + "\n", lines)
