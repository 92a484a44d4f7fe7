"""How many bits the rounding of mAR-SCF's mixture coupling adds or hides.

``python -m benchmarks.numerics FLOW...`` scores each flow, an entry or a folder, on a whole split
with exact mixture couplings and with the same weights in the reference's arithmetic
(``numerics="reference"``), and prints the mean difference in bits per dimension, its standard error
over images, and the largest one. The latter are no densities: a negative difference is rounding.
"""

import argparse
import math
from typing import Any

import numpy as np

from attnflow_keras.data import data_sets
from benchmarks.arguments import seed


def main() -> None:
    """Print a line for each flow."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("flows", nargs="+", help="entries or folders of unconditional mARFlows")
    parser.add_argument("--dataset", choices=data_sets(), default="mnist")
    parser.add_argument("--split", default="test", choices=("validation", "test"))
    parser.add_argument("--seed", type=seed, default=0, help="seed of the dequantization noise")
    given = parser.parse_args()

    import zoo
    from attnflow_keras.data import data_set

    images = data_set(given.dataset).images(given.split)
    print(f"{given.dataset} {given.split}, {len(images):,} images, noise seed {given.seed}")
    for name in given.flows:
        flow = zoo.load(name)
        options = {"seed": given.seed, "batch_size": 250}
        exact = np.asarray(flow.bits_per_dim(images, **options), "float64")
        rounded = np.asarray(in_reference_arithmetic(flow).bits_per_dim(images, **options))
        difference = rounded.astype("float64") - exact
        error = difference.std(ddof=1) / math.sqrt(len(difference))
        print(
            f"{name:40} {exact.mean():.5f} exact, {rounded.mean():.5f} with the reference's "
            f"rounding: {difference.mean():+.6f} ± {error:.6f}, "
            f"at most {abs(difference).max():.6f}",
            flush=True,
        )


def in_reference_arithmetic(flow: Any) -> Any:
    """A copy of a flow whose mixture couplings round as mAR-SCF's code does."""
    config = flow.get_config()
    options = {**config["coupling_options"], "numerics": "reference"}
    copy = type(flow).from_config({**config, "coupling_options": options})
    copy.set_weights(flow.get_weights())
    return copy


if __name__ == "__main__":
    main()
