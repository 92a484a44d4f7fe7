"""Model cards, written from metadata."""

from typing import Any


def render(metadata: dict[str, Any], config: dict[str, Any]) -> str:
    """The card of an entry in Markdown."""
    name = metadata["name"]
    lines = [f"# {name}", ""]
    if metadata.get("description"):
        lines += [metadata["description"], ""]
    load = f'zoo.load("{name}")' if "bytes" in metadata else f'zoo.load("{name}", weights=False)'
    lines += ["```python", "import zoo", f"flow = {load}", "```", ""]
    rows = [
        ("task", metadata.get("task")),
        ("data set", metadata.get("dataset")),
        ("licence of the data", metadata.get("dataset_license")),
        ("licence of the weights", metadata.get("license")),
        ("architecture", config["class"]),
        ("parameters", f"{metadata['parameters']:,}"),
        ("size", f"{metadata['bytes'] / 1e6:.2f} MB" if "bytes" in metadata else "no weights"),
    ]
    lines += ["| | |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in rows if value]
    lines.append("")
    for metric in metadata.get("metrics", []):
        lines += [f"- {metric_line(metric)}"]
    if metadata.get("restoration"):
        lines += ["", "## Restoration", "", *restoration_table(metadata["restoration"])]
    if metadata.get("paper"):
        lines += ["", "## In the paper", "", metadata["paper"]]
    training = metadata.get("training")
    if training:
        lines += ["", "## Training", ""]
        for key in ("command", "seed", "steps", "images", "seconds", "machine", "date"):
            if key in training:
                value = training[key]
                lines.append(f"- {key}: {f'`{value}`' if key == 'command' else value}")
        curve = "`curve.csv` has the curve. " if "bytes" in metadata else ""
        lines += ["", curve + training.get("note", "")]
    return "\n".join(lines).rstrip() + "\n"


SCORES = {"psnr": "PSNR", "ssim": "SSIM", "lr_psnr": "LR-PSNR", "lpips": "LPIPS"}


def restoration_rows(result: dict[str, Any]) -> list[list[str]]:
    """Scores of ``attnflow evaluate`` as rows of cells, the first one with the titles."""
    rows = [(label, scores) for label, scores in result["baselines"].items()]
    rows += [(f"temperature {row['temperature']:.1f}", row) for row in result["temperatures"]]
    rows.append(("mean of 0.1 to 0.9", result["average"]))
    known = [key for key in SCORES if key in rows[0][1]]
    return [
        ["", *(SCORES[key] for key in known)],
        *([label, *(_cell(scores[key]) for key in known)] for label, scores in rows),
    ]


def restoration_notes(result: dict[str, Any]) -> list[str]:
    """What is said beside the scores."""
    bits = result["bits_per_dim"]
    notes = [f"{bits['value']:.4f} ± {bits['standard_error']:.4f} bits_per_dim"]
    if result["diversity"]:
        spread = result["diversity"]
        notes.append(
            f"{spread['mean']:.2f} grey levels between {spread['samples']} samples at temperature "
            f"{spread['temperature']:.1f}"
        )
    notes.append(f"{result['items']} pictures of {result['split']}; ± is the standard error")
    return notes


def restoration_lines(result: dict[str, Any]) -> list[str]:
    """The scores and notes as lines of text."""
    lines = [
        " ".join([f"{label:18}", *(f"{cell:>16}" for cell in cells)])
        for label, *cells in restoration_rows(result)
    ]
    return lines + restoration_notes(result)


def restoration_table(result: dict[str, Any]) -> list[str]:
    """The same in Markdown."""
    titles, *rows = restoration_rows(result)
    lines = ["| " + " | ".join(titles) + " |", "|" + "---|" * len(titles)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return [*lines, "", *(f"- {note}" for note in restoration_notes(result))]


def _cell(score: dict[str, Any]) -> str:
    if score["mean"] is None:
        return "exact"
    return f"{score['mean']:.3f} ± {score['standard_error']:.3f}"


def metric_line(metric: dict[str, Any]) -> str:
    """One metric with its convention, as text."""
    error = f" ± {metric['standard_error']:.4f}" if metric["items"] > 1 else ""
    return (
        f"{metric['value']:.4f}{error} {metric['name']} "
        f"({metric['dims']} dims, {metric['levels']} levels, {metric['dequantization']} "
        f"dequantization, {metric['draws']} draw, {metric['split']}: {metric['items']} images"
        + (f"; {metric['note']})" if "note" in metric else ")")
    )
