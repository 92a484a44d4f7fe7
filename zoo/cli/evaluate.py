"""``attnflow evaluate``."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from zoo.card import result_lines
from zoo.cli.common import (
    LABEL_TO_PHOTO,
    SUPER_RESOLUTION,
    Background,
    Json,
    Name,
    Resize,
    check_text_out,
    import_tensorflow,
    is_stdout,
    load_conditioned,
    load_flow,
    write_text,
)
from zoo.cli.console import console, notes, print_json, working
from zoo.folder import update_metadata
from zoo.registry import info, locate


def evaluate_command(
    name: Name,
    split: Annotated[str, typer.Argument(metavar="[SPLIT]", help="test or validation.")] = "test",
    data: Annotated[
        str | None,
        typer.Option(
            help="Score on your images instead, a folder of PNG, JPEG or WebP of the entry's size."
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="Folder of their label maps, for label to photo.")
    ] = None,
    resize: Resize = False,
    background: Background = None,
    samples: Annotated[
        int,
        typer.Option(
            min=1,
            help="Samples per condition from which diversity is measured; 1: none. Compare only "
            "equal numbers: the deviation of few samples is biased towards 0.",
        ),
    ] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Seed of all random numbers.")] = 0,
    draws: Annotated[
        int, typer.Option(min=1, help="Draws of dequantization noise, for label to photo.")
    ] = 5,
    segmenter: Annotated[
        Path | None,
        typer.Option(
            help="File of the classifier, .weights.h5: read if it exists, otherwise written. "
            "Required to exist with --data."
        ),
    ] = None,
    lpips: Annotated[
        bool, typer.Option(help="LPIPS, which needs its weights in ATTNFLOW_DATA/lpips.")
    ] = True,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="JSON to write, with standard errors; - for standard output."
        ),
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Record the scores in the entry's metadata and card.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Score an entry for super-resolution or label to photo, on its data set or your images.

    Super-resolution stands beside bicubic interpolation and the entry's encoder. Label to photo
    stands beside the mean colour of each class, with a pixel classifier that is trained on real
    photos first (minutes; --segmenter keeps it). With --data there are no class means, and no
    classifier but that of --segmenter: your images are not split into some to learn from.
    """
    from attnflow_keras.data.paired import PAIRED

    entry = info(name)
    task = entry.get("task")
    if task not in JUDGES:
        raise ValueError(
            f"entry {name!r} is for the task {task or 'unknown'}; 'attnflow score' scores it"
        )
    if split not in ("test", "validation"):
        raise ValueError(f"SPLIT must be test or validation; got {split!r}")
    if out is not None:
        check_text_out(out, as_json)
    dataset = entry.get("dataset") if data is None else None
    if data is not None and record:
        raise ValueError("--record keeps scores on the entry's own data set; leave out --data")
    if data is None and dataset not in PAIRED:
        raise ValueError(f"{dataset!r} is no data set with splits; name images with --data")
    import_tensorflow()
    chosen = str(data) if dataset is None else f"{dataset}:{split}"
    images, conditions = load_conditioned(entry, chosen, resize, labels, background)
    pairs = {"image": images, "condition": conditions}
    from attnflow_keras.metrics import LPIPS

    try:
        judge = LPIPS() if lpips else None
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}. Or leave it out with --no-lpips") from error
    flow = load_flow(name)
    name_of_split = str(data) if dataset is None else f"{dataset} {split}"
    options = {"split": name_of_split, "seed": seed, "samples": samples}
    if task == LABEL_TO_PHOTO:
        options |= {"draws": draws, "segmenter": _segmenter(flow, dataset, segmenter)}
    result = JUDGES[task](flow, pairs, judge, dataset, options)
    lines = notes if as_json or is_stdout(out) else console
    if as_json:
        print_json(result)
    else:
        if task == LABEL_TO_PHOTO and dataset is None:
            lines.print("your images: no class means, and no classifier but one by --segmenter")
        for line in result_lines(result):
            lines.print(line, soft_wrap=True)
    if record:
        update_metadata(locate(name), {result["name"]: result})
    if out is not None:
        write_text(out, json.dumps(result, indent=2) + "\n", lines)


def _restoration(
    flow: Any, data: dict[str, Any], lpips: Any, dataset: str | None, options: dict[str, Any]
) -> dict[str, Any]:
    from attnflow_keras.data import upscale
    from attnflow_keras.metrics import evaluate_restoration, quality
    from attnflow_keras.metrics.restoration import TEMPERATURES

    images, small = data["image"], data["condition"]
    temperatures = (0.0, *TEMPERATURES)
    total = len(images) * (len(temperatures) + 1)
    total += options["samples"] * min(64, len(images)) if options["samples"] > 1 else 0
    with working("restoring", total) as report:
        result = evaluate_restoration(
            flow,
            images,
            small,
            temperatures=temperatures,
            lpips=lpips,
            progress=report,
            **options,
        )
    result["baselines"] = {
        "bicubic": quality(upscale(small, flow.scale), images, small, lpips),
        "encoder (L1)": quality(flow.regress(small), images, small, lpips),
    }
    return result


def _translation(
    flow: Any, data: dict[str, Any], lpips: Any, dataset: str | None, options: dict[str, Any]
) -> dict[str, Any]:
    from attnflow_keras.data import load_paired
    from attnflow_keras.metrics import class_means, evaluate_translation, likeness
    from attnflow_keras.metrics.translation import TEMPERATURES

    images, labels = data["image"], data["condition"]
    shown = options["samples"] if options["samples"] > 1 else 0
    total = len(images) * (len(TEMPERATURES) + shown + options["draws"])
    with working("drawing", total) as report:
        result = evaluate_translation(flow, images, labels, lpips=lpips, progress=report, **options)
    result["baselines"] = {}
    if dataset is not None and flow.palette is not None and labels.ndim == 3:
        known = load_paired(dataset, "train")
        means = class_means(known["image"], known["condition"], len(flow.palette))
        result["baselines"]["class means"] = likeness(
            means[labels], images, labels, lpips, options["segmenter"]
        )
    return result


JUDGES: dict[str, Callable[..., dict[str, Any]]] = {
    SUPER_RESOLUTION: _restoration,
    LABEL_TO_PHOTO: _translation,
}


def _segmenter(flow: Any, dataset: str | None, path: Path | None) -> Any:
    """A pixel classifier for the classes of the flow's palette; None without a palette.

    None, too, for the user's own images and no file of a classifier: there is nothing to train it
    on but what it would judge.
    """
    from attnflow_keras.data.paired import training_source
    from attnflow_keras.metrics import Segmenter
    from attnflow_keras.metrics.segmentation import STEPS

    if flow.palette is None:
        return None
    judge = Segmenter(len(flow.palette))
    if path is not None and path.exists():
        judge.load(path)
        return judge
    if dataset is None:
        if path is not None:
            raise FileNotFoundError(
                f"--segmenter: no file {path}; with --data there are no other photos to train it "
                "on. 'attnflow evaluate' of the entry's own data set writes one"
            )
        return None
    with working("training the pixel classifier", STEPS) as report:
        judge.train(training_source(dataset), progress=report)
    if path is not None:
        judge.save(path)
    return judge
