"""``attnflow list`` and ``attnflow info``."""

import json
from typing import Annotated

import typer
from rich.table import Column, Table

from zoo.card import metric_line
from zoo.cli.common import Name, console
from zoo.registry import info, list_entries


def list_command(
    pattern: Annotated[str, typer.Argument(help="Shell pattern, such as '*mnist*'.")] = "*",
) -> None:
    """List the entries: name, task, parameters, bits per dimension and its convention."""
    names = list_entries(pattern)
    if not names:
        raise ValueError(f"no entry matches {pattern!r}")
    table = Table(Column("name", no_wrap=True, overflow="fold"))
    for title in ("task", "parameters", "bits/dim", "measured on", "weights"):
        table.add_column(title)
    for name in names:
        entry = info(name)
        metric = next(iter(entry.get("metrics", [])), None)
        table.add_row(
            name,
            entry.get("task", ""),
            f"{entry['parameters']:,}" if "parameters" in entry else "",
            f"{metric['value']:.3f} ± {metric['standard_error']:.3f}" if metric else "",
            f"{metric['split']}, {metric['items']:,} images, {metric['dims']} dims"
            if metric
            else "",
            "yes" if entry["pretrained"] else "no",
        )
    console.print(table)


def info_command(
    name: Name,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metadata as JSON.")] = False,
) -> None:
    """Show all that is known of an entry: figures, data, licence, training, configuration."""
    entry = info(name)
    if as_json:
        print(json.dumps(entry, indent=2))
        return
    console.print(f"[bold]{entry['name']}[/bold]  {entry.get('description', '')}")
    for metric in entry.get("metrics", []):
        console.print("  " + metric_line(metric), highlight=False)
    table = Table(show_header=False)
    for key, value in entry.items():
        if key in ("name", "description", "metrics", "format"):
            continue
        if isinstance(value, dict):
            value = "\n".join(f"{k}: {v}" for k, v in value.items())
        table.add_row(key, str(value))
    console.print(table)
