"""Model cards, written from metadata."""

import dataclasses
import re
from collections.abc import Collection
from typing import Any

from attnflow_keras.core.exactness import EXACT
from attnflow_keras.core.renamed import with_current_names
from attnflow_keras.core.wording import counted
from attnflow_keras.training.recipe import Recipe
from zoo.tasks import results, tasks

_ESCAPES = str.maketrans({"<": "&lt;", "[": "\\[", "|": "\\|"})


def shown(value: Any) -> str:
    """A value as Markdown of one line that can't start HTML, a link, an image or a cell."""
    return " ".join(str(value).split()).translate(_ESCAPES)


def _code(text: str) -> str:
    return "`" + " ".join(text.replace("`", "'").split()) + "`"


UNSTATED = "not stated"

# Names of the hub for licences that weights often have.
HUB_LICENSES = ("apache-2.0", "mit", "cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0")


def render(
    metadata: dict[str, Any],
    config: dict[str, Any],
    files: Collection[str] = (),
    registered: bool = False,
) -> str:
    """The card of an entry in Markdown, in which its texts are shown as they are.

    Args:
        metadata: what metadata.json holds.
        config: what config.json holds.
        files: names of further files of the folder, of which the card speaks.
        registered: the folder is one of those that come with the package, so that
            ``zoo.load`` knows it by its name.
    """
    name = metadata["name"]
    lines = [*_header(metadata), "", f"# {shown(name)}", ""]
    if metadata.get("description"):
        lines += [shown(metadata["description"]), ""]
    trained = "bytes" in metadata
    address = name if registered else "path/to/this/folder"
    load = f'zoo.load("{address}")' if trained else f'zoo.load("{address}", weights=False)'
    lines += ["```python", "import zoo", "", f"flow = {load}", "```", ""]
    unstated = UNSTATED if trained else None
    rows = [
        ("task", metadata.get("task")),
        ("data set", metadata.get("dataset") or unstated),
        ("licence of the data", metadata.get("dataset_license") or unstated),
        ("licence of the weights", metadata.get("license") or unstated),
        ("derived from", metadata.get("derived_from")),
        ("architecture", config["class"]),
        ("parameters", f"{metadata['parameters']:,}" if "parameters" in metadata else None),
        ("size", f"{metadata['bytes'] / 1e6:.2f} MB" if trained else "no weights"),
    ]
    lines += ["| | |", "|---|---|"]
    lines += [f"| {key} | {shown(value)} |" for key, value in rows if value]
    lines.append("")
    for metric in metadata.get("metrics", []):
        lines += [f"- {shown(metric_line(metric))}"]
    if metadata.get("exactness"):
        lines += ["", *_exactness(metadata["exactness"]["grey_levels"])]
    for key, title in results().items():
        if metadata.get(key):
            lines += ["", f"## {title}", "", *result_table(metadata[key])]
    if metadata.get("paper"):
        lines += ["", "## In the paper", "", shown(metadata["paper"])]
    training = metadata.get("training")
    if training:
        lines += ["", "## Training", ""]
        for key in ("command", "seed", "steps", "images", "seconds", "machine", "date"):
            if key in training:
                show = _code if key == "command" else shown
                lines.append(f"- {key}: {show(training[key])}")
        curve = "`curve.csv` has the curve. " if "curve.csv" in files else ""
        lines += ["", curve + shown(training.get("note", "")), "", *_recipe(training)]
    return "\n".join(lines).rstrip() + "\n"


def _header(metadata: dict[str, Any]) -> list[str]:
    """The YAML that the Hugging Face hub reads: licence, library, task, data and scores."""
    from huggingface_hub import EvalResult, ModelCardData

    licence = metadata.get("license")
    known = licence is None or licence.lower() in HUB_LICENSES
    # A path of the user's disk is no name of a data set.
    named = re.fullmatch(r"[\w.-]+", metadata.get("dataset") or "")
    scores = [metric for metric in metadata.get("metrics", []) if metric["name"] == "bits_per_dim"]
    dataset = named[0] if named else "own images"
    task = tasks().get(metadata.get("task", ""))
    pipeline = None if task is None else task.pipeline
    data = ModelCardData(
        model_name=metadata["name"],
        license=licence and licence.lower() if known else "other",
        license_name=None if known else _plain(licence),
        library_name="keras",
        pipeline_tag=pipeline,
        tags=["normalizing-flow", "attnflow-keras"],
        datasets=[named[0]] if named else None,
        metrics=["bits_per_dim"] if scores else None,
        eval_results=[
            EvalResult(
                task_type=pipeline or "other",
                dataset_type=dataset,
                dataset_name=dataset,
                dataset_split=score["split"].split()[-1],
                metric_type=score["name"],
                metric_value=score["value"],
            )
            for score in scores
        ]
        or None,
    )
    return ["---", data.to_yaml(), "---"]


def _plain(licence: str | None) -> str:
    """A licence's name as the hub has them: no spaces, no marks."""
    return re.sub(r"[^\w.-]+", "-", licence or "").strip("-")[:60]


def _recipe(training: dict[str, Any]) -> list[str]:
    """The settings of the recipe that are not the defaults, and what they mean."""
    given = with_current_names(training.get("recipe") or {})
    rows = [
        f"| {field.name} | {shown(given[field.name])} | {shown(field.metadata['help'])} |"
        for field in dataclasses.fields(Recipe)
        if field.name in given and given[field.name] != field.default and field.name != "dataset"
    ]
    return ["| setting | value | |", "|---|---|---|", *rows] if rows else []


def _exactness(grey_levels: dict[str, float]) -> list[str]:
    """Measured exactness of decode(encode(x)) on extreme images."""
    wrong = {name: error for name, error in grey_levels.items() if not error < EXACT}
    worst = max((error for name, error in grey_levels.items() if name not in wrong), default=0.0)
    kinds = ", ".join(name for name in grey_levels if name not in wrong)
    lines = [
        f"`decode(encode(x))` is exact, within half a grey level, on real images and on extreme "
        f"ones: at most {worst:.2g} on {shown(kinds)}. `encode(x, check=True)` checks any image."
    ]
    if wrong:
        named = ", ".join(f"{shown(name)} ({error:.2g})" for name, error in wrong.items())
        lines.append(f"It is not exact on {named}, in grey levels.")
    return lines


SCORES = {
    "psnr": "PSNR",
    "ssim": "SSIM",
    "lr_psnr": "LR-PSNR",
    "lpips": "LPIPS",
    "segmentation": "accuracy, mean IoU",
    "accuracy": "accuracy, %",
}


def result_rows(result: dict[str, Any]) -> list[list[str]]:
    """Scores of ``attnflow evaluate`` as rows of cells, the first one with the titles."""
    rows = list(result.get("baselines", {}).items())
    sampled = result.get("temperatures", [])
    rows += [(f"temperature {row['temperature']:.1f}", row) for row in sampled]
    if "average" in result:
        rows.append(("mean of 0.1 to 0.9", result["average"]))
    known = [key for key in SCORES if sampled and key in sampled[0]]
    if "accuracy" in result:
        known.append("accuracy")
        rows.append(("class of highest likelihood", {"accuracy": result["accuracy"]}))
    if result.get("real"):
        rows.append(("real photos", {"segmentation": result["real"]}))
    return [
        ["", *(SCORES[key] for key in known)],
        *([label, *(_cell(scores.get(key)) for key in known)] for label, scores in rows),
    ]


def result_notes(result: dict[str, Any]) -> list[str]:
    """Notes to the scores."""
    bits = result["bits_per_dim"]
    draws = f", mean of {bits['draws']} draws of noise" if bits["draws"] > 1 else ""
    notes = [f"{bits['value']:.4f} ± {bits['standard_error']:.4f} bits_per_dim{draws}"]
    if result.get("diversity"):
        spread = result["diversity"]
        notes.append(
            f"{spread['mean']:.2f} grey levels between {spread['samples']} samples at temperature "
            f"{spread['temperature']:.1f}"
        )
    if result.get("real"):
        notes.append(
            "accuracy and mean IoU are of a pixel classifier that was trained on real training "
            "photos, and say how well the label map can be read off a photo, not how real that "
            "looks: real photos are often ambiguous, and flat class means are the easiest to read. "
            "LPIPS and PSNR tell those from photos"
        )
    notes.append(
        f"{counted(result['items'], 'image')} of {result['split']}; ± is the standard error"
    )
    return notes


def result_lines(result: dict[str, Any]) -> list[str]:
    """The scores and notes as lines of text."""
    rows = result_rows(result)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for label, *cells in rows:
        aligned = (f"{cell:>{width}}" for cell, width in zip(cells, widths[1:], strict=True))
        lines.append("  ".join([f"{label:{widths[0]}}", *aligned]))
    return lines + result_notes(result)


def result_table(result: dict[str, Any]) -> list[str]:
    """The same in Markdown."""
    titles, *rows = result_rows(result)
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    lines += ["| " + " | ".join(map(shown, row)) + " |" for row in rows]
    return [*lines, "", *(f"- {shown(note)}" for note in result_notes(result))]


def _cell(score: dict[str, Any] | None) -> str:
    if score is None:
        return ""
    if "accuracy" in score:
        return f"{100 * score['accuracy']:.1f} %, {100 * score['mean_iou']:.1f} %"
    if score["mean"] is None:
        return "exact"
    return f"{score['mean']:.3f} ± {score['standard_error']:.3f}"


def metric_line(metric: dict[str, Any]) -> str:
    """One metric with its convention, as text."""
    draws = f"{metric['draws']} draw{'s' if metric['draws'] > 1 else ''}"
    error = f" ± {metric['standard_error']:.4f}" if metric["items"] > 1 else ""
    return (
        f"{metric['value']:.4f}{error} {metric['name']} "
        f"({metric['dims']} dims, {metric['levels']} levels, {metric['dequantization']} "
        f"dequantization, {draws}, {metric['split']}: {counted(metric['items'], 'image')}"
        + (f"; {metric['note']})" if "note" in metric else ")")
    )
