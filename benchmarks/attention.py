"""What attention gives: entries of equal size and budget, compared image by image.

``python -m benchmarks.attention`` scores ``attnflow-imap-mnist``, ``attnflow-itrans-mnist`` and
the control ``marflow-mnist`` on the whole MNIST test file, with the same noise, and prints the
bits per dimension and the difference to the control. The standard error of a difference is
paired, over images; it says nothing of what another training seed would change.
"""

import argparse
import math

import numpy as np

from attnflow_keras.data.datasets import DATASETS
from benchmarks.arguments import seed, trained_entry

CONTROL = "marflow-mnist"
ENTRIES = (CONTROL, "attnflow-imap-mnist", "attnflow-itrans-mnist")


def main() -> None:
    """Print a line for each entry."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--entries",
        nargs="+",
        type=trained_entry,
        help=f"the control first; default: {' '.join(ENTRIES)}",
    )
    parser.add_argument("--dataset", default="mnist", choices=DATASETS)
    parser.add_argument("--split", default="test", choices=("validation", "test"))
    parser.add_argument("--seed", type=seed, default=0, help="seed of the dequantization noise")
    given = parser.parse_args()
    try:
        entries = given.entries or [trained_entry(name) for name in ENTRIES]
    except argparse.ArgumentTypeError as error:
        parser.error(f"argument --entries: {error}")

    import zoo
    from attnflow_keras.data import load_dataset

    images = load_dataset(given.dataset, given.split)
    print(f"{given.dataset} {given.split}, {len(images):,} images, noise seed {given.seed}")
    control = None
    for name in entries:
        flow = zoo.load(name)
        bits = np.asarray(flow.bits_per_dim(images, seed=given.seed, batch_size=250), "float64")
        training = zoo.info(name)["training"]
        line = (
            f"{name:28} {bits.mean():.4f} ± {_standard_error(bits):.4f} bits/dim  "
            f"{training['images']:,} images seen, {training['seconds']:,.0f} s"
        )
        if control is None:
            control = bits
        else:
            difference = bits - control
            line += f"  {difference.mean():+.4f} ± {_standard_error(difference):.4f} to the control"
        print(line, flush=True)


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / math.sqrt(len(values)))


if __name__ == "__main__":
    main()
