"""AUROC of an entry's out-of-distribution scores, inside against outside.

``python -m benchmarks.detection`` scores the test splits of MNIST and Fashion-MNIST under flows of
either, and those of Blue Marble and of scikit-image's photographs under ``glow-bluemarble``, with
the detectors that the entries keep, and prints a Markdown table. Entries can be named; ``--images``
takes the first so many of each split, ``--plot scores.png`` draws histograms. ``ATTNFLOW_DATA``
must hold the data sets.
"""

import argparse
import time
from pathlib import Path
from typing import Any

from benchmarks.arguments import count, trained_entry

OUTSIDE = {
    "mnist": "fashion_mnist",
    "fashion_mnist": "mnist",
    "bluemarble_landcover": "photos_sr4",
}
ENTRIES = (
    "attnflow-causal-mnist",
    "attnflow-imap-mnist",
    "attnflow-causal-fashion-mnist",
    "attnflow-imap-fashion-mnist",
    "glow-bluemarble",
)


def main() -> None:
    """Score and print."""
    from attnflow_keras.detection import SCORES

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("entries", nargs="*", type=trained_entry, help="default: five")
    parser.add_argument("--images", type=count, default=2000, help="of each split, at most")
    parser.add_argument("--plot", type=Path, help="PNG to write")
    given = parser.parse_args()
    panels = {}
    print(f"| entry | inliers | outliers | {' | '.join(SCORES)} | flagged: inliers, outliers |")
    print("|---" * (len(SCORES) + 4) + "|", flush=True)
    for name in given.entries or ENTRIES:
        row, panels[name], seconds = measure(name, given.images)
        print(f"| {' | '.join(row)} |", flush=True)
        print(f"<!-- {name}: {seconds:.0f} s of CPU time -->", flush=True)
    if given.plot:
        from attnflow_keras.data import save_image
        from benchmarks.histograms import histograms

        save_image(given.plot, histograms(panels, ("inside", "outside")))


def measure(name: str, most: int) -> tuple[list[str], dict[str, Any], float]:
    """Cells of a row, the scores inside and outside, and the time that they took."""
    import zoo
    from attnflow_keras.data import data_set
    from attnflow_keras.detection import SCORES, auroc

    inside = zoo.info(name)["dataset"]
    detector, flow = zoo.detector(name), zoo.load(name)
    start = time.process_time()
    splits: dict[str, Any] = {}
    for data in (inside, OUTSIDE[inside]):
        splits[data] = detector.scores(flow, data_set(data).images("test")[:most])
    low, high = splits.values()
    cells = [f"`{name}`"]
    cells += [f"{data}, {len(scores['dose']):,}" for data, scores in splits.items()]
    for score in SCORES:
        area, error = auroc(low[score], high[score])
        cells.append(f"{area:.3f} ± {error:.3f}")
    flagged = (f"{detector.flags(scores).mean():.1%}" for scores in splits.values())
    cells.append(", ".join(flagged))
    return cells, {s: (low[s], high[s]) for s in SCORES}, time.process_time() - start


if __name__ == "__main__":
    main()
