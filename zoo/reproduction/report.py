"""A page and a CSV of a table: the paper's figures, and ours with their errors."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from attnflow_keras.core.files import write_file
from zoo.reproduction.quality_report import quality_lines, quality_values
from zoo.reproduction.row_figures import with_error
from zoo.reproduction.runs import Plan
from zoo.reproduction.table import Paper, Row, Table

COLUMNS = (
    "row", "seed", "bits_per_dim", "standard_error_images", "split", "images", "dims",
    "parameters", "images_seen", "seconds", "machine",
)  # fmt: skip
QUALITY_COLUMNS = (
    "row", "seed", "score", "mean", "standard_error_images", "split", "images",
)  # fmt: skip


class Run(NamedTuple):
    """What is known of one training."""

    row: str
    seed: int
    metadata: dict[str, Any]
    quality: dict[str, Any] | None = None

    @property
    def metric(self) -> dict[str, Any] | None:
        """Bits per dimension on the test split; None of what has no likelihood."""
        found = self.metadata["metrics"]
        return next((dict(m) for m in found if str(m["split"]).endswith("test")), None)


def write_report(table: Table, plans: Sequence[Plan], budget: str, out: Path) -> Path:
    """Write ``<table>-<budget>.md`` and ``.csv`` of the trainings that are finished.

    What was measured of their images stands in ``<table>-<budget>-quality.csv``.

    Args:
        table: the table.
        plans: all trainings of it.
        budget: ``"small"`` or ``"paper"``.
        out: folder to write into.

    Returns:
        The page.
    """
    runs = [
        Run(made.row.name, made.seed, metadata, made.quality)
        for made in plans
        if (metadata := made.result) is not None
    ]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    writer.writerows(_values(run) for run in runs)
    stem = out / f"{table.name}-{budget}"
    write_file(stem.with_suffix(".csv"), text.getvalue())
    measured = [run for run in runs if run.quality is not None]
    if measured:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(QUALITY_COLUMNS)
        for run in measured:
            writer.writerows(quality_values(run.row, run.seed, run.quality or {}))
        write_file(out / f"{stem.name}-quality.csv", text.getvalue())
    page = stem.with_suffix(".md")
    write_file(page, "\n".join(_page(table, runs, budget, len(plans))) + "\n")
    return page


def _values(run: Run) -> list[Any]:
    metric, training = run.metric or {}, run.metadata["training"]
    return [
        run.row, run.seed,
        *(metric.get(key, "") for key in ("value", "standard_error", "split", "items", "dims")),
        run.metadata["parameters"], training["images"], training["seconds"], training["machine"],
    ]  # fmt: skip


def _page(table: Table, runs: list[Run], budget: str, planned: int) -> list[str]:
    by_row = {row.name: [run for run in runs if run.row == row.name] for row in table.rows}
    lines = [
        f"# {table.title}, {budget} budget",
        "",
        f"Written by `attnflow reproduce {table.name} --budget {budget}`; {len(runs)} of {planned} "
        "trainings are finished.",
        "",
        table.about,
        "",
        "## Ours",
        "",
        "Bits per dimension of the whole test split, which was scored once for each training; mean "
        "over seeds ± standard error over seeds. Images: standard error over test images, of one "
        f"training. Difference: to `{table.baseline}` with the same seed, mean ± standard error "
        "over seeds; negative is better.",
        "",
        "| row | method | seeds | bits/dim | images | difference | parameters | images seen "
        "| seconds a training |",
        "|---|---|---|---|---|---|---|---|---|",
        *(_ours(row, by_row[row.name], by_row[table.baseline]) for row in table.rows
          if by_row[row.name]),
    ]  # fmt: skip
    if not runs:
        lines.append("| nothing is trained yet | | | | | | | | |")
    if any(run.metric is None for run in runs):
        lines += [
            "",
            "Rows without bits/dim have no likelihood. Their parameters are those that draw.",
        ]
    notes = [f"- `{row.name}`: {row.note}" for row in table.rows if row.note]
    machines = sorted({run.metadata["training"]["machine"] for run in runs} - {""})
    if machines:
        lines += ["", f"Machine: {'; '.join(machines)}."]
    lines += ["", *notes] if notes else []
    if runs:
        scores = [
            (row, [run.quality for run in by_row[row.name] if run.quality is not None])
            for row in table.rows
        ]
        lines += quality_lines(table.name, scores)
    return lines + _papers(table)


def _papers(table: Table) -> list[str]:
    printed = [(row, name, paper) for row in table.rows for name, paper in row.printed.items()]
    if not printed:
        return []
    scored = any(paper.scores for _, _, paper in printed)
    titles = ["row", "paper's row", "bits/dim", "dimensions", "bits an image", "parameters"]
    titles += [*(["scores"] if scored else []), "note"]
    return [
        "",
        "## The paper's",
        "",
        "One training each, in the paper's own convention; bits of a whole image make them "
        "comparable where the convention is known.",
        "",
        f"| {' | '.join(titles)} |",
        f"|{'---|' * len(titles)}",
        *(_printed(*line, scored) for line in printed),
    ]


def _ours(row: Row, runs: list[Run], baseline: list[Run]) -> str:
    values = {run.seed: run.metric["value"] for run in runs if run.metric}
    first = runs[0]
    before = {run.seed: run.metric["value"] for run in baseline if run.metric}
    paired = [] if runs is baseline else sorted(set(values) & set(before))
    pairs = [values[seed] - before[seed] for seed in paired]
    seconds = np.mean([run.metadata["training"]["seconds"] for run in runs])
    cells = [
        f"`{row.name}`",
        row.method,
        str(len(runs)),
        with_error(list(values.values())) if values else "",
        f"± {first.metric['standard_error']:.4f}" if first.metric else "",
        with_error(pairs, sign="+") if pairs else "",
        f"{first.metadata['parameters']:,}",
        f"{first.metadata['training']['images']:,}",
        f"{seconds:,.0f}",
    ]
    return f"| {' | '.join(cells)} |"


def _printed(row: Row, name: str, paper: Paper, scored: bool) -> str:
    cells = [
        f"`{row.name}`",
        name,
        "" if paper.value is None else f"{paper.value:g}",
        "not known" if paper.dims is None and paper.value is not None else f"{paper.dims or ''}",
        "" if paper.bits_per_image is None else f"{paper.bits_per_image:,.0f}",
        "" if paper.parameters is None else f"{paper.parameters:g} M",
        *([", ".join(f"{score} {value:g}" for score, value in paper.scores.items())] * scored),
        paper.note,
    ]
    return f"| {' | '.join(cells)} |"
