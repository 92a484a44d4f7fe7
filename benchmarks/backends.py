"""Speed on JAX beside TensorFlow, plain and with XLA.

``python -m benchmarks.backends --jax PYTHON`` loads each entry in three processes, one a backend,
and has them score, sample and train in turns: seconds of loading and of each first call, which
compiles, and images per second afterwards, medians over rounds. The ratio is JAX over the faster
TensorFlow, median over rounds. ``PYTHON`` is the interpreter of an environment with JAX, such as
``.venv-jax/bin/python`` after ``make test-jax``. Run it on a machine that does nothing else.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.core.files import write_file
from benchmarks.arguments import count, trained_entry
from benchmarks.tables import with_other_rows

# Whether TensorFlow compiles by XLA; JAX always does.
BACKENDS = {"TensorFlow": False, "TensorFlow, XLA": True, "JAX": True}
ENTRIES = (
    "attnflow-imap-mnist",
    "attnflow-causal-mnist",
    "attnflow-coupling-mnist",
    "cattnflow-imap-sr8-bluemarble",
    "fullglow-landcover-bluemarble",
)
MEASURES = ("score", "sample", "train")


def main() -> None:
    """Measure, print, and write the page if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("entries", nargs="*", type=trained_entry, help="default: some of each kind")
    parser.add_argument("--jax", required=True, metavar="PYTHON", help="interpreter with JAX")
    parser.add_argument("--batch", type=count, default=32)
    parser.add_argument("--rounds", type=count, default=5)
    parser.add_argument("--write", type=Path, help="file for the tables; other entries' rows stay")
    parser.add_argument("--worker", choices=BACKENDS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        serve(given.entries[0], given.worker, given.batch)
        return
    measured = {
        name: measure(name, given.jax, given.batch, given.rounds)
        for name in given.entries or ENTRIES
    }
    text = page(measured, given.batch, given.rounds)
    print(text)
    if given.write:
        if given.entries and given.write.exists():
            text = with_other_rows(text, given.write.read_text())
        write_file(given.write, text + "\n")


def serve(name: str, backend: str, batch: int) -> None:
    """Load an entry, then answer each line, a measure, with the seconds of one call of it."""
    start = time.perf_counter()
    import zoo

    flow = zoo.load(name)
    _answer(time.perf_counter() - start)
    from benchmarks.throughput import CALLS

    calls: dict[str, Any] = {}
    for line in sys.stdin:
        measure = line.strip()
        start = time.perf_counter()
        if measure not in calls:
            calls[measure] = CALLS[measure](flow, batch, BACKENDS[backend])
        calls[measure]()
        _answer(time.perf_counter() - start)


def _answer(seconds: float) -> None:
    print(json.dumps({"seconds": seconds}), flush=True)


def measure(name: str, jax: str, batch: int, rounds: int) -> dict[str, dict[str, Any]]:
    """Of each backend: seconds of loading, of the first calls, and of those of each round."""
    workers = {
        backend: Worker(jax if backend == "JAX" else sys.executable, backend, name, batch)
        for backend in BACKENDS
    }
    found: dict[str, dict[str, Any]] = {
        backend: {"load": worker.seconds()} for backend, worker in workers.items()
    }
    for task in MEASURES:
        print(f"{name}: timing {task}", file=sys.stderr, flush=True)
        for backend, worker in workers.items():
            found[backend][task] = {"first": worker.call(task), "rounds": []}
            worker.call(task)
        for _ in range(rounds):
            for backend, worker in workers.items():
                found[backend][task]["rounds"].append(worker.call(task))
    for worker in workers.values():
        worker.close()
    return found


class Worker:
    """One entry on one backend in a process of its own, which is idle between calls."""

    def __init__(self, python: str, backend: str, name: str, batch: int) -> None:
        self.backend = backend
        command = [python, "-m", "benchmarks.backends", name, "--jax", "", "--worker", backend]
        keras = "jax" if backend == "JAX" else "tensorflow"
        self.process = subprocess.Popen(
            [*command, "--batch", str(batch)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            # The environment with JAX may lack this package.
            env={**os.environ, "KERAS_BACKEND": keras, "PYTHONPATH": os.getcwd()},
        )

    def call(self, task: str) -> float:
        """Seconds of one call of a measure."""
        assert self.process.stdin is not None
        print(task, file=self.process.stdin, flush=True)
        return self.seconds()

    def seconds(self) -> float:
        """The next answer."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith('{"seconds"'):
                return float(json.loads(line)["seconds"])
        raise RuntimeError(f"{self.backend} ended with status {self.process.wait()}")

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def page(measured: dict[str, dict[str, dict[str, Any]]], batch: int, rounds: int) -> str:
    """The tables in Markdown."""
    lines = [
        "# Speed by backend",
        "",
        "Written by `python -m benchmarks.backends --jax .venv-jax/bin/python --write "
        f"docs/backends.md` on {os.cpu_count()} CPU cores; batches of {batch}, medians of {rounds} "
        "rounds in which the backends take turns. Ratio: images per second on JAX over those of "
        "the faster TensorFlow, median over rounds.",
        "",
        "## Images per second",
        "",
        "| entry | measure | TensorFlow | TensorFlow, XLA | JAX | ratio |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in measured.items():
        for task in MEASURES:
            took = {backend: np.array(found[backend][task]["rounds"]) for backend in BACKENDS}
            medians = {backend: float(np.median(seconds)) for backend, seconds in took.items()}
            best = min(("TensorFlow", "TensorFlow, XLA"), key=lambda one: medians[one])
            cells = [f"{batch / medians[backend]:,.0f}" for backend in BACKENDS]
            ratio = float(np.median(took[best] / took["JAX"]))
            lines.append(f"| {name} | {task} | {' | '.join(cells)} | {ratio:.2f} |")
    lines += [
        "",
        "## Seconds before the first result",
        "",
        "Loading: imports included. The other columns: the first call, which traces and compiles.",
        "",
        "| entry | loading | score | sample | train |",
        "|---|---|---|---|---|",
    ]
    for name, found in measured.items():
        for backend, row in found.items():
            cells = [f"{row['load']:.1f}", *(f"{row[task]['first']:.1f}" for task in MEASURES)]
            lines.append(f"| {name} on {backend} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
