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
# Full-Glow at 256x256, by levels and steps; its batch is 1.
FULLGLOW = {"fullglow 2/8": (2, 8), "fullglow 4/16": (4, 16)}
BATCHES = (2, 6)
FULLGLOW_BATCHES = (1, 2)


def main() -> None:
    """Print a line for each configuration."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    known = [*SIZES, *FULLGLOW]
    parser.add_argument("--sizes", nargs="+", choices=known, default=known)
    parser.add_argument("--batch", type=count, default=64, help="batch to estimate")
    parser.add_argument("--precision", default="float32", choices=PRECISIONS)
    parser.add_argument("--step", nargs=2, metavar=("SIZE", "N"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        print(peak_of_step(given.step[0], int(given.step[1]), given.precision))
        return
    for size in given.sizes:
        peaks = []
        batches = FULLGLOW_BATCHES if size in FULLGLOW else BATCHES
        wanted = 1 if size in FULLGLOW else given.batch
        for n in batches:
            command = [sys.executable, "-m", "benchmarks.memory", "--step", size, str(n)]
            command += ["--precision", given.precision]
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            peaks.append(float(output.split()[-1]))
        each = (peaks[1] - peaks[0]) / (batches[1] - batches[0])
        fixed = peaks[0] - batches[0] * each
        print(
            f"{size:13} {given.precision}: {fixed:.2f} GB + {each:.3f} GB an image; batch "
            f"{wanted}: {fixed + wanted * each:.1f} GB",
            flush=True,
        )


def peak_of_step(size: str, n: int, precision: str) -> float:
    """Peak resident memory in GB that building a flow and one training step add."""
    import resource

    import keras
    import numpy as np

    from attnflow_keras.models import Flow, FullGlow, MARFlow

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    flow: Flow
    if size in FULLGLOW:
        levels, steps = FULLGLOW[size]
        flow = FullGlow(levels=levels, steps=steps, dtype=precision)
        optimizer = keras.optimizers.Adam(1e-4)
    else:
        steps, width = SIZES[size]
        flow = MARFlow((32, 32, 3), steps=steps, width=width, dtype=precision)
        optimizer = keras.optimizers.Adamax(8e-4)
    rng = np.random.default_rng(0)
    data = {"image": rng.integers(0, 256, (n, *flow.image_shape)).astype("uint8")}
    if flow.conditional:
        data["condition"] = rng.integers(0, 256, (n, *flow.condition_shape)).astype("uint8")
    flow.adapt(data)
    flow.compile(optimizer=optimizer, jit_compile=False)
    flow.optimizer.build(flow.trainable_variables)
    flow.train_on_batch(data)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6


if __name__ == "__main__":
    main()
