"""Memory of one training step of the paper's configurations.

``python -m benchmarks.memory`` runs one step of each configuration at two batch sizes, each in
a process of its own, and draws the line through their peaks: what a GPU needs beside what its
driver takes, to a first approximation. ``--remat`` recomputes the layers in the backward pass. The
largest configuration takes minutes to build.
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
    parser.add_argument("--remat", action="store_true", help="recompute layers' inner values")
    parser.add_argument("--step", nargs=2, metavar=("SIZE", "N"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.step:
        print(*step_of(given.step[0], int(given.step[1]), given.precision, given.remat))
        return
    for size in given.sizes:
        peaks = []
        batches = FULLGLOW_BATCHES if size in FULLGLOW else BATCHES
        wanted = 1 if size in FULLGLOW else given.batch
        for n in batches:
            command = [sys.executable, "-m", "benchmarks.memory", "--step", size, str(n)]
            command += ["--precision", given.precision]
            command += ["--remat"] if given.remat else []
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            peak, seconds = map(float, output.split()[-2:])
            peaks.append(peak)
        each = (peaks[1] - peaks[0]) / (batches[1] - batches[0])
        fixed = peaks[0] - batches[0] * each
        how = f"{given.precision}{', remat' if given.remat else ''}"
        print(
            f"{size:13} {how}: {fixed:.2f} GB + {each:.3f} GB an image; batch "
            f"{wanted}: {fixed + wanted * each:.1f} GB; "
            f"{seconds:.2f} s a step of {n}",
            flush=True,
        )


def step_of(size: str, n: int, precision: str, remat: bool) -> tuple[float, float]:
    """Peak resident memory in GB that building a flow and one step add; seconds of another."""
    import resource
    import time

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
    flow.compile(optimizer=optimizer, jit_compile=False, remat=remat)
    flow.optimizer.build(flow.trainable_variables)
    flow.train_on_batch(data)
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e6
    start = time.perf_counter()
    flow.train_on_batch(data)
    return peak, time.perf_counter() - start


if __name__ == "__main__":
    main()
