"""What attention gains: entries of equal size and budget, compared image by image.

``python -m benchmarks.attention`` scores ``attnflow-imap-mnist``, ``attnflow-itrans-mnist`` and
the no-attention baseline ``marflow-mnist`` on the whole MNIST test set, with the same noise, and
prints the bits per dimension and the difference to the baseline. ``--task sr`` takes the entries
for super-resolution, ``--task translation`` those for label to photo with further baselines; both
are scored given their conditions. The standard error of a difference is paired, over images; it
doesn't include the variation between training seeds.
"""

import argparse
import math

import numpy as np

from attnflow_keras.data import data_set, data_sets
from benchmarks.arguments import seed, trained_entry

# The no-attention baseline first, and the data set.
TASKS = {
    "unconditional": ("mnist", ("marflow-mnist", "attnflow-imap-mnist", "attnflow-itrans-mnist")),
    "sr": (
        "bluemarble_sr8",
        (
            "srflow-sr8-bluemarble",
            "cattnflow-imap-sr8-bluemarble",
            "cattnflow-itrans-sr8-bluemarble",
        ),
    ),
    "translation": (
        "bluemarble_landcover",
        (
            "fullglow-landcover-bluemarble",
            "cattnflow-imap-landcover-bluemarble",
            "cattnflow-itrans-landcover-bluemarble",
            "cglow-landcover-bluemarble",
            "dualglow-landcover-bluemarble",
            "glow-bluemarble",
        ),
    ),
}


def main() -> None:
    """Print a line for each entry."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--entries",
        nargs="+",
        type=trained_entry,
        help="the baseline first; default: those of the task",
    )
    parser.add_argument("--task", choices=TASKS, default="unconditional")
    parser.add_argument("--dataset", choices=data_sets(), help="default: the task's")
    parser.add_argument("--split", default="test", choices=("validation", "test"))
    parser.add_argument("--seed", type=seed, default=0, help="seed of the dequantization noise")
    given = parser.parse_args()
    try:
        dataset, names = TASKS[given.task]
        entries = given.entries or [trained_entry(names[0]), *_trained(names[1:])]
    except argparse.ArgumentTypeError as error:
        parser.error(f"argument --entries: {error}")

    import zoo

    dataset = given.dataset or dataset
    known = data_set(dataset)
    images = known.images(given.split)
    conditional = known.conditional and known.task in {zoo.info(name)["task"] for name in entries}
    condition = known.pairs(given.split)["condition"] if conditional else None
    print(f"{dataset} {given.split}, {len(images):,} images, noise seed {given.seed}")
    baseline = None
    for name in entries:
        flow = zoo.load(name)
        own = condition if flow.conditional else None
        options = {"seed": given.seed, "batch_size": 250 if condition is None else 60}
        bits = np.asarray(flow.bits_per_dim(images, own, **options), "float64")
        training = zoo.info(name)["training"]
        line = (
            f"{name:28} {bits.mean():.4f} ± {_standard_error(bits):.4f} bits/dim  "
            f"{training['images']:,} images seen, {training['seconds']:,.0f} s"
        )
        if baseline is None:
            baseline = bits
        else:
            difference = bits - baseline
            line += (
                f"  {difference.mean():+.4f} ± {_standard_error(difference):.4f} to the baseline"
            )
        print(line, flush=True)


def _trained(names: tuple[str, ...]) -> list[str]:
    """Those of the entries that have weights; says which have none."""
    from zoo import info

    without = [name for name in names if not info(name)["pretrained"]]
    for name in without:
        print(f"{name} has no weights yet")
    return [name for name in names if name not in without]


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values)))


if __name__ == "__main__":
    main()
