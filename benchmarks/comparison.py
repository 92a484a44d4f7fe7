"""The effect of attention: all pretrained entries by task, from their metadata.

``python -m benchmarks.comparison`` writes the tables of ``docs/what-attention-gives.md``, below its
text, and plots of validation bits/dim against images seen. ``--measure`` times samples
too, 16 images at once in Keras, and writes them to ``seconds.csv`` there, from which later calls
read them; such times are of one machine and one run, and compare with one another alone.
"""

import argparse
import csv
import math
import time
from pathlib import Path
from typing import Any

import numpy as np

import zoo
from attnflow_keras.core.files import write_file
from attnflow_keras.data import load_paired, save_image
from benchmarks.plots import Line, plot
from zoo.registry import entries

# Title, file, data sets, and the attention of each entry by a part of its name.
TASKS = (
    ("Greyscale images: MNIST", "mnist", ("mnist",)),
    ("Greyscale images: Fashion-MNIST", "fashion", ("fashion_mnist",)),
    ("Super-resolution, 8x8 to 64x64: Blue Marble", "sr8", ("bluemarble_sr8",)),
    ("Label to photo, 64x64: Blue Marble", "landcover", ("bluemarble_landcover",)),
)
ATTENTIONS = {
    "causal": "causal",
    "coupling": "transformer couplings",
    "imap": "iMap",
    "itrans": "iTrans",
}
BATCH = 16
PAGE = "what-attention-gives.md"
MARK = "<!-- The rest of this page is written by python -m benchmarks.comparison -->"


def main() -> None:
    """Write the tables and the plots."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, default=Path("docs"), help="folder of the page")
    parser.add_argument("--measure", action="store_true", help="time samples of every entry")
    given = parser.parse_args()
    trained = [zoo.info(name) for name in zoo.list() if zoo.info(name).get("metrics")]
    seconds_file = given.out / "seconds.csv"
    if given.measure:
        rows = "".join(f"{entry['name']},{_seconds(entry):.3g}\n" for entry in trained)
        write_file(seconds_file, f"entry,seconds_per_image\n{rows}".encode())
    seconds = {}
    if seconds_file.is_file():
        with seconds_file.open() as file:
            seconds = {row["entry"]: row["seconds_per_image"] for row in csv.DictReader(file)}
    page = [MARK, ""]
    for title, name, data_sets in TASKS:
        chosen = [entry for entry in trained if entry["dataset"] in data_sets]
        page += [f"## {title}", "", *table(chosen, seconds), ""]
        lines = [Line(entry["name"], *curve(entry["name"])) for entry in chosen]
        image = plot(lines, "images seen", "validation bits/dim")
        save_image(given.out / "images" / f"curves-{name}.png", image)
        page += [f"![Validation bits/dim against images seen](images/curves-{name}.png)", ""]
    out = given.out / PAGE
    text = out.read_text().split(MARK)[0] if out.is_file() else ""
    write_file(out, (text + "\n".join(page)).encode())
    print(f"wrote {out}")


def attention_of(name: str) -> str:
    """The attention that an entry's name refers to."""
    return next((words for part, words in ATTENTIONS.items() if part in name), "none")


def table(entries: list[dict[str, Any]], seconds: dict[str, str]) -> list[str]:
    """Rows in Markdown, the lowest bits/dim first."""
    rows = sorted(((bits(entry), entry) for entry in entries), key=lambda row: row[0]["value"])
    lines = [
        "| entry | attention | bits/dim, test | parameters | images seen | training | s an image |",
        "|---|---|---|---|---|---|---|",
    ]
    for score, entry in rows:
        training = entry["training"]
        lines.append(
            f"| `{entry['name']}` | {attention_of(entry['name'])} | {score['value']:.3f} ± "
            f"{score['standard_error']:.3f} | {entry['parameters']:,} | {training['images']:,} | "
            f"{training['seconds']:,.0f} s, {training['machine']} | "
            f"{seconds.get(entry['name'], '')} |"
        )
    return lines


def bits(entry: dict[str, Any]) -> dict[str, Any]:
    """The score of the test split: the first of its kind in the metadata."""
    return next(metric for metric in entry["metrics"] if metric["name"] == "bits_per_dim")


def curve(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Images seen and validation bits/dim after each epoch."""
    with (entries()[name] / "curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    images = np.array([float(row["images"]) for row in rows])
    values = np.array([float(row["val_bits_per_dim"] or math.nan) for row in rows])
    return images, values


def _seconds(entry: dict[str, Any]) -> float:
    flow = zoo.load(entry["name"])
    condition = None
    if flow.conditional:
        condition = load_paired(entry["dataset"], "test")["condition"][:BATCH]
    flow.sample(BATCH, condition, seed=0)
    start = time.perf_counter()
    flow.sample(BATCH, condition, seed=1)
    return (time.perf_counter() - start) / BATCH


if __name__ == "__main__":
    main()
