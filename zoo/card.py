"""Model cards, written from metadata."""

from typing import Any


def render(metadata: dict[str, Any], config: dict[str, Any]) -> str:
    """The card of an entry in Markdown."""
    name = metadata["name"]
    lines = [f"# {name}", ""]
    if metadata.get("description"):
        lines += [metadata["description"], ""]
    lines += ["```python", "import zoo", f'flow = zoo.load("{name}")', "```", ""]
    rows = [
        ("task", metadata.get("task")),
        ("data set", metadata.get("dataset")),
        ("licence of the data", metadata.get("dataset_license")),
        ("licence of the weights", metadata.get("license")),
        ("architecture", config["class"]),
        ("parameters", f"{metadata['parameters']:,}"),
        ("size", f"{metadata['bytes'] / 1e6:.2f} MB"),
    ]
    lines += ["| | |", "|---|---|"]
    lines += [f"| {key} | {value} |" for key, value in rows if value]
    lines.append("")
    for metric in metadata.get("metrics", []):
        lines += [f"- {metric_line(metric)}"]
    training = metadata.get("training")
    if training:
        lines += ["", "## Training", ""]
        for key in ("command", "seed", "steps", "images", "seconds", "machine", "date"):
            if key in training:
                value = training[key]
                lines.append(f"- {key}: {f'`{value}`' if key == 'command' else value}")
        lines += ["", "`curve.csv` has the curve. " + training.get("note", "")]
    return "\n".join(lines).rstrip() + "\n"


def metric_line(metric: dict[str, Any]) -> str:
    """One metric with its convention, as text."""
    error = f" ± {metric['standard_error']:.4f}" if metric["items"] > 1 else ""
    return (
        f"{metric['value']:.4f}{error} {metric['name']} "
        f"({metric['dims']} dims, {metric['levels']} levels, {metric['dequantization']} "
        f"dequantization, {metric['draws']} draw, {metric['split']}: {metric['items']} images)"
    )
