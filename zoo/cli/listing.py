"""``attnflow list`` and ``attnflow info``."""

from typing import Annotated, Any

import typer
from rich import box
from rich.table import Table
from rich.text import Text

from attnflow_keras.core.untrusted import printable
from zoo.card import metric_line, result_lines
from zoo.cli.common import Json, Name, check_choice
from zoo.cli.console import console, print_json
from zoo.registry import info, list_entries
from zoo.tasks import results, tasks

# Columns that the whole table takes.
WIDE = 120


def list_command(
    pattern: Annotated[str, typer.Argument(help="Shell pattern, such as '*mnist*'.")] = "*",
    task: Annotated[
        str | None, typer.Option(help=f"Only entries for {' or '.join(tasks())}.")
    ] = None,
    pretrained: Annotated[
        bool, typer.Option("--pretrained", help="Only entries with weights.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the entries: name, task, data, image size, parameters, bits per dimension.

    On a narrow terminal they are grouped by task, without the columns that do not fit.
    """
    check_choice("--task", task, tasks())
    names = list_entries(pattern, pretrained or None, task)
    if not names:
        kind = f" for {task}" if task else ""
        raise ValueError(f"no entry matches {pattern!r}{kind}{' with weights' * pretrained}")
    entries = [info(name) for name in names]
    if as_json:
        print_json(entries)
        return
    rows = [_row(entry) for entry in entries]
    if console.width >= WIDE:
        console.print_table(
            _table(rows, ("name", "task", "data", "size", "params", "bits/dim", "dims", "weights"))
        )
    else:
        for title in tasks():
            chosen = [row for row in rows if row["task"] == title]
            if chosen:
                console.print(Text(title, "bold"))
                console.print_table(_table(chosen, ("name", "data", "size", "score")))
    console.print("bits/dim: whole test split; attnflow info NAME has its convention.", style="dim")


def _table(rows: list[dict[str, str]], columns: tuple[str, ...]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for name in columns:
        text = name in ("name", "task", "data", "size")
        title = "bits/dim" if name == "score" else name
        table.add_column(title, no_wrap=True, justify="left" if text else "right")
    for row in rows:
        table.add_row(*(row[name] for name in columns))
    return table


def _row(entry: dict[str, Any]) -> dict[str, str]:
    metric = next(iter(entry.get("metrics", [])), None)
    score = f"{metric['value']:.3f}" if metric else ""
    return {
        "name": entry["name"],
        "task": entry.get("task", ""),
        "data": entry.get("dataset", ""),
        "size": "x".join(map(str, entry["config"].get("image_shape", ()))),
        "params": f"{entry['parameters'] / 1e6:.1f} M" if "parameters" in entry else "",
        "score": score,
        "bits/dim": f"{score} ± {metric['standard_error']:.3f}" if metric else "",
        "dims": str(metric["dims"]) if metric else "",
        "weights": f"{entry.get('bytes', 0) / 1e6:.1f} MB" if entry["pretrained"] else "none",
    }


def info_command(name: Name, as_json: Json = False) -> None:
    """Show an entry's metrics, data, licence, training and configuration.

    For label to photo, also its classes, by number, name and colour.
    """
    entry = info(name)
    if as_json:
        print_json(entry)
        return
    console.print(Text.assemble((entry["name"], "bold"), f"  {entry.get('description', '')}"))
    for metric in entry.get("metrics", []):
        console.print("  " + metric_line(metric))
    for key in results():
        for line in result_lines(entry[key]) if key in entry else ():
            console.print("  " + line)
    hidden = ("name", "description", "metrics", *results(), "format", "bytes")
    shown = {key: value for key, value in entry.items() if key not in hidden}
    has_weights = shown.pop("pretrained")
    size = f", {entry['bytes'] / 1e6:.1f} MB" if "bytes" in entry else ""
    shown = {"weights": f"yes{size}" if has_weights else "no", **shown}
    palette = entry["config"].get("palette")
    if palette:
        shown["config"] = {**entry["config"], "palette": f"{len(palette)} colours, see below"}
    table = Table.grid(padding=(0, 2, 0, 0))
    _add_rows(table, shown, "")
    console.print_table(table)
    if palette:
        _print_classes(palette)


def _add_rows(table: Table, content: dict[str, Any], indent: str) -> None:
    """A line for each value, and lines further in for the values of a dict."""
    for key, value in content.items():
        if isinstance(value, dict) and value:
            table.add_row(f"{indent}{key}", "")
            _add_rows(table, value, indent + "  ")
        else:
            table.add_row(f"{indent}{key}", _in_words(value))


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return "none"  # an empty one
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, list):
        return ", ".join(map(_in_words, value))
    return printable(str(value))


def _print_classes(palette: list[list[int]]) -> None:
    """The classes of a palette: number, name where it is known, colour."""
    from attnflow_keras.data.bluemarble import IGBP_CLASSES, IGBP_PALETTE

    known = palette == IGBP_PALETTE.tolist()
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False)
    for title in ("class", "name", "colour", ""):
        table.add_column(title, no_wrap=True, justify="right" if title == "class" else "left")
    for number, colour in enumerate(palette):
        name = IGBP_CLASSES[number] if known else ""
        red, green, blue = colour
        patch = Text("    ", f"on rgb({red},{green},{blue})") if console.is_terminal else ""
        table.add_row(str(number), name, f"{red}, {green}, {blue}", patch)
    console.print_table(table)
    if known:
        console.print("Numbers are those of MCD12C1: water is 0 here, 17 in other IGBP tables.")
