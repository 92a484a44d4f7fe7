"""All that is to be measured on an accelerator, in stages with time limits.

    KERAS_BACKEND=jax python -m benchmarks.gpu --out OUT --check 60 --speed 120 --train 400 \
        attnflow-coupling-mnist "cattnflow-causal-sr8-bluemarble --steps 20000"

1. ``check.jsonl``: pretrained entries and the layer table against the CPU (benchmarks.gpu.check).
2. ``speed-*.json``: images/s, GFLOP/s beside those of a matrix product, and peak memory, of the
   paper's smallest configurations and of entries, in float32, TensorFloat-32, bfloat16 and float16
   (benchmarks.throughput).
3. The trainings that are named (benchmarks.gpu.run).

A stage of 0 seconds is left out. What a stage has found is written before it ends.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.gpu.check import PRECISIONS

MODELS = (
    "attnflow-causal-mnist",
    "attnflow-imap-mnist",
    "cattnflow-imap-sr8-bluemarble",
    "fullglow-landcover-bluemarble",
    "marflow 2/48",
    "attnflow-imap 2/48",
)


def main() -> None:
    """Run the stages one after the other; a stage that fails does not keep the next from it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--check", type=float, default=60.0, help="seconds")
    parser.add_argument("--speed", type=float, default=120.0, help="seconds")
    parser.add_argument("--train", type=float, default=0.0, help="seconds")
    parser.add_argument("--models", nargs="+", default=list(MODELS), help="of the second stage")
    parser.add_argument("jobs", nargs="*", help="of the third stage")
    given = parser.parse_args()
    if given.jobs and not given.train:
        parser.error(f"--train must be above 0 for {', '.join(given.jobs)}; got 0")
    given.out.mkdir(parents=True, exist_ok=True)
    if given.check:
        limit = ["--out", str(given.out), "--seconds", str(given.check)]
        run("check", ["benchmarks.gpu.check", *limit], given.check + 30, given.out)
    if given.speed:
        end = time.monotonic() + given.speed
        for policy, products in PRECISIONS:
            command = ["benchmarks.throughput", "--models", *given.models, "--seconds", "1"]
            command += ["--precision", policy, "--products", products, "--matrix", "8192"]
            name = f"speed-{policy}-{products}"
            command += ["--batch", "256", "--json", str(given.out / f"{name}.json")]
            share = (end - time.monotonic()) / (
                len(PRECISIONS) - PRECISIONS.index((policy, products))
            )
            run(name, command, max(share, 1.0), given.out)
    if given.train:
        command = ["benchmarks.gpu.run", "--out", str(given.out), "--seconds", str(given.train)]
        run("train", [*command, *given.jobs], given.train + 30, given.out)


def run(name: str, arguments: list[str], limit: float, out: Path) -> None:
    """One module as a process, with its output in a log, ended when its time is over."""
    environment = {**os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    start = time.monotonic()
    with (out / f"{name}.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
        )
        try:
            how = f"exit code {process.wait(limit)}"
        except subprocess.TimeoutExpired:
            process.terminate()
            process.wait()
            how = "ended by its limit"
    print(f"{name}: {how} after {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
