"""Train entries side by side on one accelerator, within a time limit.

    KERAS_BACKEND=jax python -m benchmarks.gpu.run --out OUT --seconds 480 \
        attnflow-causal-mnist "attnflow-causal-fashion-mnist --steps 20000"

A job is an entry and the options that ``attnflow train`` takes. Each runs in a process of its
own; small flows leave most of an accelerator idle, so several share it. OUT gets one archive a
job (the finished entry, or the best weights and the curve where the time was not enough) and
``gpu.log`` with the end of every job's output.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import time
import zipfile
from pathlib import Path

# Kept of a run whose entry is not written.
REST = ("best.weights.h5", "curve.csv", "recipe.json")
STORED = ("config.json", "metadata.json", "model.weights.h5", "curve.csv", "card.md")


def main() -> None:
    """Parse the options and run all jobs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs/gpu"))
    parser.add_argument("--seconds", type=float, default=480.0)
    parser.add_argument("--keep-weights", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("jobs", nargs="+")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + options.seconds
    folders = [options.runs / _name(job, i) for i, job in enumerate(options.jobs)]
    threads = max(1, (os.cpu_count() or 1) // len(options.jobs))
    running = [_start(*of, threads) for of in zip(options.jobs, folders, strict=True)]
    while time.monotonic() < deadline and any(p.poll() is None for p in running):
        time.sleep(1.0)
    for process in running:
        if process.poll() is None:
            process.terminate()
    time.sleep(1.0)
    with (options.out / "gpu.log").open("w") as log:
        for job, folder, process in zip(options.jobs, folders, running, strict=True):
            text = (folder / "log.txt").read_text()[-1500:]
            log.write(f"=== {job} (exit code {process.poll()})\n{text}\n")
            _collect(folder, options.out, options.keep_weights)
            print(json.dumps({"job": job, "exit": process.poll(), **_last_row(folder)}))


def _name(job: str, number: int) -> str:
    return f"{number}-{Path(shlex.split(job)[0]).name}"


def _start(job: str, folder: Path, threads: int) -> subprocess.Popen:
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-c", "from zoo.cli import main; main()", "train"]
    command += [*shlex.split(job), "--out", str(folder)]
    # Each would start as many threads as there are cores, and all would wait for one another.
    own = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"), str(threads))
    environment = {**own, **os.environ, "XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    with (folder / "log.txt").open("w") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)


def _collect(folder: Path, out: Path, weights: bool) -> None:
    entry = folder / "entry"
    found = [entry / name for name in STORED] if entry.is_dir() else [folder / n for n in REST]
    with zipfile.ZipFile(out / f"{folder.name}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in found:
            if path.exists() and (weights or path.suffix != ".h5"):
                archive.write(path, path.name)


def _last_row(folder: Path) -> dict[str, str]:
    path = folder / "curve.csv"
    if not path.exists():
        return {}
    lines = path.read_text().splitlines()
    return dict(zip(lines[0].split(","), lines[-1].split(","), strict=True))


if __name__ == "__main__":
    main()
