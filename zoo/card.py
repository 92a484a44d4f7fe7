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


def metric_line(metric: dict[str, Any]) -> str:
    """One metric with its convention, as text."""
    error = f" ± {metric['standard_error']:.4f}" if metric["items"] > 1 else ""
    return (
        f"{metric['value']:.4f}{error} {metric['name']} "
        f"({metric['dims']} dims, {metric['levels']} levels, {metric['dequantization']} "
        f"dequantization, {metric['draws']} draw, {metric['split']}: {metric['items']} images"
        + (f"; {metric['note']})" if "note" in metric else ")")
    )
