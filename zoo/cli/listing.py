"""``attnflow list`` and ``attnflow info``."""

import json
from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from attnflow_keras.untrusted import printable
from zoo.card import RESULTS, metric_line, result_lines
from zoo.cli.common import Name, check_choice, console
from zoo.registry import TASKS, info, list_entries


def list_command(
    pattern: Annotated[str, typer.Argument(help="Shell pattern, such as '*mnist*'.")] = "*",
    task: Annotated[
        str | None, typer.Option(help=f"Only entries for {' or '.join(TASKS)}.")
    ] = None,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Only entries with weights.")
    ] = False,
) -> None:
    """List the entries: name, task, parameters, bits per dimension and its convention."""
    check_choice("--task", task, TASKS)
    names = list_entries(pattern, pretrained or None, task)
    if not names:
        kind = f" for {task}" if task else ""
        raise ValueError(f"no entry matches {pattern!r}{kind}{' with weights' * pretrained}")
    columns = ["name", "task", "data", "params", "bits/dim", "dims", "weights"]
    if console.width < 100:
        columns = ["name", "params", "bits/dim", "weights"]
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for title in columns:
        text = title in ("name", "task", "data")
        table.add_column(title, no_wrap=True, justify="left" if text else "right")
    for name in names:
        row = _row(info(name))
        table.add_row(*(row[title] for title in columns))
    console.print(table)
    console.print("bits/dim: whole test split; attnflow info NAME has its convention.", style="dim")


def _row(entry: dict[str, Any]) -> dict[str, str]:
    metric = next(iter(entry.get("metrics", [])), None)
    score = f"{metric['value']:.3f} ± {metric['standard_error']:.3f}" if metric else ""
    return {
        "name": entry["name"],
        "task": entry.get("task", ""),
        "data": entry.get("dataset", ""),
        "params": f"{entry['parameters'] / 1e6:.1f} M" if "parameters" in entry else "",
        "bits/dim": score,
        "dims": str(metric["dims"]) if metric else "",
        "weights": f"{entry.get('bytes', 0) / 1e6:.1f} MB" if entry["pretrained"] else "none",
    }


def info_command(
    name: Name,
    as_json: Annotated[bool, typer.Option("--json", help="Print the metadata as JSON.")] = False,
) -> None:
    """Show all that is known of an entry: figures, data, licence, training, configuration."""
    entry = info(name)
    if as_json:
        print(json.dumps(entry, indent=2))
        return
    console.print(Text.assemble((entry["name"], "bold"), f"  {entry.get('description', '')}"))
    for metric in entry.get("metrics", []):
        console.print("  " + metric_line(metric), highlight=False)
    for key in RESULTS:
        for line in result_lines(entry[key]) if key in entry else ():
            console.print("  " + line, highlight=False)
    table = Table(show_header=False)
    for key, value in entry.items():
        if key in ("name", "description", "metrics", *RESULTS, "format", "bytes"):
            continue
        if key == "pretrained":
            size = f", {entry['bytes'] / 1e6:.1f} MB" if "bytes" in entry else ""
            key, value = "weights", f"yes{size}" if value else "no"
        if isinstance(value, dict):
            value = "\n".join(f"{k}: {v}" for k, v in value.items())
        table.add_row(key, printable(str(value)))
    console.print(table)
