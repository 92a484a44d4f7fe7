"""``attnflow evaluate``."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from zoo.cli.common import Name, check_out, console, import_tensorflow, load_flow, progress_bar
from zoo.registry import info

SCORES = {"psnr": "PSNR", "ssim": "SSIM", "lr_psnr": "LR-PSNR", "lpips": "LPIPS"}


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
    for line in table(result):
        console.print(line, highlight=False, soft_wrap=True)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        temporary = out.with_name(f".{out.name}.part")
        temporary.write_text(json.dumps(result, indent=2) + "\n")
        temporary.replace(out)
        console.print(f"wrote {out}")


def table(result: dict[str, Any]) -> list[str]:
    """The result of an evaluation as lines of text."""
    rows = [(label, scores) for label, scores in result["baselines"].items()]
    rows += [(f"temperature {row['temperature']:.1f}", row) for row in result["temperatures"]]
    known = [key for key in SCORES if key in rows[0][1]]
    lines = [" ".join([f"{'':18}", *(f"{SCORES[key]:>16}" for key in known)])]
    for label, scores in rows:
        cells = [f"{_cell(scores[key]):>16}" for key in known]
        lines.append(" ".join([f"{label:18}", *cells]))
    bits = result["bits_per_dim"]
    lines.append(f"{bits['value']:.4f} ± {bits['standard_error']:.4f} bits_per_dim")
    if result["diversity"]:
        spread = result["diversity"]
        lines.append(
            f"{spread['mean']:.2f} grey levels between {spread['samples']} samples at temperature "
            f"{spread['temperature']:.1f}"
        )
    lines.append(f"{result['items']} pictures of {result['split']}; ± is the standard error")
    return lines


def _cell(score: dict[str, Any]) -> str:
    if score["mean"] is None:
        return "exact"
    return f"{score['mean']:.3f} ± {score['standard_error']:.3f}"
