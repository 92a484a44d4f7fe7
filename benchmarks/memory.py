"""Memory of one training step of the paper's configurations.

``python -m benchmarks.memory`` runs one step of each configuration at two batch sizes, each in
a process of its own, and draws the line through their peaks: what a GPU needs beside what its
driver takes, to a first approximation. The largest configuration takes minutes to build.
"""

import argparse
import subprocess
import sys

from benchmarks.arguments import PRECISIONS, count

SIZES = {"2/48": (2, 48), "2/96": (2, 96), "4/96": (4, 96), "4/256": (4, 256)}
BATCHES = (2, 6)


def main() -> None:
    """Print a line for each configuration."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--sizes", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--batch", type=count, default=64, help="batch to estimate")
    parser.add_argument("--precision", default="float32", choices=PRECISIONS)
    parser.add_argument("--step", nargs=2, metavar=("SIZE", "N"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        print(peak_of_step(*SIZES[given.step[0]], int(given.step[1]), given.precision))
        return
    for size in given.sizes:
        peaks = []
        for n in BATCHES:
            command = [sys.executable, "-m", "benchmarks.memory", "--step", size, str(n)]
            command += ["--precision", given.precision]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            peaks.append(float(output.split()[-1]))
        each = (peaks[1] - peaks[0]) / (BATCHES[1] - BATCHES[0])
        fixed = peaks[0] - BATCHES[0] * each
        print(
            f"{size:6} {given.precision}: {fixed:.2f} GB + {each:.3f} GB an image; batch "
            f"{given.batch}: {fixed + given.batch * each:.1f} GB",
            flush=True,
        )


def peak_of_step(steps: int, width: int, n: int, precision: str) -> float:
    """Peak resident memory in GB that building a flow and one training step add."""
    import resource

    import keras
    import numpy as np

    from attnflow_keras.models import MARFlow

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    flow = MARFlow((32, 32, 3), steps=steps, width=width, dtype=precision)
    images = np.random.default_rng(0).integers(0, 256, (n, 32, 32, 3)).astype("uint8")
    flow.adapt(images)
    flow.compile(optimizer=keras.optimizers.Adamax(8e-4), jit_compile=False)
    flow.optimizer.build(flow.trainable_variables)
    flow.train_on_batch(images)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6


if __name__ == "__main__":
    main()
