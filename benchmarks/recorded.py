"""Whether entries still give the bits per dimension that they record.

``python -m benchmarks.recorded`` scores every entry with weights, or those that are named, on the
whole splits that its metadata.json records, with the same draws and seed, and exits with status 1
if one differs by more than 0.00001. Nothing is written. ``ATTNFLOW_DATA`` must hold the data sets.
"""

import argparse
import sys
from collections.abc import Iterator
from typing import Any

from benchmarks.arguments import trained_entry

# Both figures are rounded to five decimals: they may differ by one unit of the last, and no more.
TOLERANCE = 1.5e-5


def main() -> int:
    """Score, print, and compare."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("entries", nargs="*", type=trained_entry, help="default: all with weights")
    given = parser.parse_args()

    import zoo

    wrong = 0
    for name in given.entries or zoo.list(pretrained=True):
        for split, recorded, found in scores(name):
            differs = abs(found - recorded) > TOLERANCE
            wrong += differs
            word = "DIFFERS" if differs else "as recorded"
            print(
                f"{name:40} {split:32} {recorded:.5f} recorded, {found:.5f} now: {word}", flush=True
            )
    return 1 if wrong else 0


def scores(name: str, flow: Any = None) -> Iterator[tuple[str, float, float]]:
    """Split, recorded and new bits per dimension of each metric of an entry.

    Args:
        name: name of the entry.
        flow: its flow, such as in another precision; loaded if not given.
    """
    import zoo
    from attnflow_keras.data import data_set
    from attnflow_keras.metrics import evaluate_bits_per_dim
    from zoo.tasks import task_of

    entry: dict[str, Any] = zoo.info(name)
    flow = zoo.load(name) if flow is None else flow
    for metric in entry["metrics"]:
        if metric["name"] != "bits_per_dim":
            continue
        data, split = metric["split"].split()
        images, condition = task_of(entry).of_data_set(entry["config"], data_set(data), split)
        found = evaluate_bits_per_dim(
            flow, images, metric["split"], draws=metric["draws"], condition=condition
        )
        yield metric["split"], metric["value"], found["value"]


if __name__ == "__main__":
    sys.exit(main())
