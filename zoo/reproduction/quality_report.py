"""The part of a table's page about sample quality."""

from collections.abc import Sequence
from typing import Any

from zoo.reproduction.row_figures import with_error

# Titles of columns, and digits.
COLUMNS: dict[str, tuple[str, int]] = {
    "frechet": ("Fréchet distance", 1),
    "kernel": ("kernel distance", 3),
    "psnr": ("PSNR, dB", 2),
    "ssim": ("SSIM", 3),
    "lr_psnr": ("LR-PSNR, dB", 2),
    "lpips": ("LPIPS", 3),
}
ABOUT = {
    "unconditional": "Distances of {items:,} samples, of temperature 1 where there is one, to as "
    "many images of {split}, in features of VGG16 (`metrics.VGG16Features`): lower is closer. They "
    "are this package's own, and neither FID nor KID. Those of `training images`, as many, are "
    "what a perfect model would have.",
    "super-resolution": "One restoration of each of {items:,} low-resolution images of {split}, of "
    "temperature 0.8 where there is one, by `metrics.quality`.",
    "label-to-photo": "One photo of each of {items:,} label maps of {split}, of temperature 0.7 "
    "where there is one, by `metrics.likeness`: the photo is one of many that would fit.",
}


def quality_lines(table: str, rows: Sequence[tuple[Any, Sequence[dict[str, Any]]]]) -> list[str]:
    """Markdown about the quality of finished runs.

    Args:
        table: name of the table.
        rows: each row with what was measured of its runs, nothing for those that were not.
    """
    known = [(row, found) for row, found in rows if found]
    if not known:
        return ["", f"Sample quality is not measured yet: `attnflow reproduce {table} --quality`."]
    first = known[0][1][0]
    names = [name for name in COLUMNS if name in first["scores"]]
    titles = ["row", "method", "seeds", *(COLUMNS[name][0] for name in names)]
    lines = [
        "",
        "## Sample quality",
        "",
        f"{ABOUT[first['task']].format(**first)} Mean over seeds ± standard error over seeds.",
        "",
        f"| {' | '.join(titles)} |",
        f"|{'---|' * len(titles)}",
    ]
    for row, found in known:
        cells = [f"`{row.name}`", row.method, str(len(found))]
        cells += [_cell(name, [one["scores"][name] for one in found]) for name in names]
        lines.append(f"| {' | '.join(cells)} |")
    if "floor" in first:
        cells = ["", "training images", "", *(_cell(n, [first["floor"][n]]) for n in names)]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def quality_values(row: str, seed: int, found: dict[str, Any]) -> list[list[Any]]:
    """Lines of the CSV about one run: row, seed, score, mean, standard error over images, items."""
    return [
        [row, seed, name, value["mean"], value.get("standard_error", ""), found["split"],
         found["items"]]
        for name, value in found["scores"].items()
    ]  # fmt: skip


def _cell(name: str, scores: Sequence[dict[str, Any]]) -> str:
    values = [score["mean"] for score in scores if score["mean"] is not None]
    return with_error(values, COLUMNS[name][1]) if values else ""
