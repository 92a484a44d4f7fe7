"""``attnflow evaluate``."""

import json
from pathlib import Path
from typing import Annotated

import typer

from zoo.card import restoration_lines
from zoo.cli.common import Name, check_out, console, import_tensorflow, load_flow, progress_bar
from zoo.folder import update_metadata
from zoo.registry import info, locate


def evaluate_command(
    name: Name,
    split: Annotated[str, typer.Argument(metavar="[SPLIT]", help="test or validation.")] = "test",
    samples: Annotated[
        int,
        typer.Option(min=1, help="Restorations of a picture to measure their diversity; 1: none."),
    ] = 4,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    lpips: Annotated[
        bool, typer.Option(help="LPIPS, which needs its weights in ATTNFLOW_DATA/lpips.")
    ] = True,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="JSON to write, with standard errors.")
    ] = None,
    record: Annotated[
        bool, typer.Option("--record", help="Keep the scores in the entry's metadata and card.")
    ] = False,
) -> None:
    """Score an entry for super-resolution on its data set, beside bicubic and its encoder."""
    from attnflow_keras.data import load_paired, upscale

    entry = info(name)
    if entry.get("task") != "super-resolution":
        raise ValueError(
            f"entry {name!r} is for {entry.get('task', 'another task')}; 'attnflow score' scores it"
        )
    if split not in ("test", "validation"):
        raise ValueError(f"SPLIT must be test or validation; got {split!r}")
    if out is not None:
        check_out(out)
    data = load_paired(entry["dataset"], split)
    images, small = data["image"], data["condition"]
    import_tensorflow()
    from attnflow_keras.metrics import LPIPS, evaluate_restoration, quality
    from attnflow_keras.metrics.restoration import TEMPERATURES

    judge = LPIPS() if lpips else None
    flow = load_flow(name)
    temperatures = (0.0, *TEMPERATURES)
    total = len(images) * (len(temperatures) + 1)
    total += samples * min(64, len(images)) if samples > 1 else 0
    with progress_bar("restoring", total) as report:
        result = evaluate_restoration(
            flow,
            images,
            small,
            f"{entry['dataset']} {split}",
            temperatures=temperatures,
            seed=seed,
            samples=samples,
            lpips=judge,
            progress=report,
        )
    baselines = {
        "bicubic": quality(upscale(small, flow.scale), images, small, judge),
        "encoder (L1)": quality(flow.regress(small), images, small, judge),
    }
    result["baselines"] = baselines
    for line in restoration_lines(result):
        console.print(line, highlight=False, soft_wrap=True)
    if record:
        update_metadata(locate(name), {"restoration": result})
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = out.with_name(f".{out.name}.part")
        temporary.write_text(json.dumps(result, indent=2) + "\n")
        temporary.replace(out)
        console.print(f"wrote {out}")
