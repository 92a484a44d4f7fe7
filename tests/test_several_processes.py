"""Two processes that train together, on JAX: one run, also after a kill."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import zoo
from attnflow_keras.training.callbacks import CHECKPOINT, VALUES, read_curve
from tests.conftest import make_plain_flow
from tests.helpers import JAX

pytestmark = pytest.mark.skipif(not JAX, reason="about JAX")

SIZES = ["--steps", "40", "--steps-per-epoch", "4", "--batch-size", "16", "--augment", "shift"]
LONG = 600  # seconds


def start(folder, out, number=None, port=None):
    """One process of a run; of two if it has a number."""
    environment = {
        **os.environ,
        "XLA_FLAGS": "--xla_backend_optimization_level=0",
        "ATTNFLOW_TRACEBACK": "1",
    }
    options = []
    if number is not None:
        options = ["--distributed"]
        environment |= {
            "KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{port}",
            "KERAS_DISTRIBUTION_NUM_PROCESSES": "2",
            "KERAS_DISTRIBUTION_PROCESS_ID": str(number),
        }
    data = ["--data", str(folder / "images.npy"), "--out", str(folder / out)]
    log = (folder / f"{out}-{number}.log").open("a")
    return subprocess.Popen(
        [sys.executable, "-m", "zoo.cli", "train", str(folder / "entry"), *data, *SIZES, *options],
        cwd=Path(__file__).parents[1],
        env=environment,
        stdout=log,
        stderr=log,
    )


def pair(folder, out):
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    return [start(folder, out, number, port) for number in (0, 1)]


def finish(folder, out, processes):
    for number, process in enumerate(processes):
        log = folder / f"{out}-{number if len(processes) > 1 else None}.log"
        assert process.wait(LONG) == 0, log.read_text()


def results(folder, out):
    curve = [[row[name] for name in VALUES] for row in read_curve(folder / out / "curve.csv")]
    return curve, zoo.load(folder / out / "entry").get_weights()


def test_two_processes_are_one_run_also_after_a_kill(tmp_path, tiny_images):
    flow = make_plain_flow()
    flow.adapt(tiny_images)
    zoo.save(flow, tmp_path / "entry", {"task": "unconditional"})
    # Of 240 images 24 are held out, which both processes can share.
    np.save(tmp_path / "images.npy", tiny_images[:240])
    finish(tmp_path, "one", [start(tmp_path, "one")])

    processes = pair(tmp_path, "two")
    try:
        end = time.monotonic() + LONG
        while not (tmp_path / "two" / CHECKPOINT).exists():
            assert time.monotonic() < end
            assert all(process.poll() is None for process in processes)
            time.sleep(0.05)
        os.kill(processes[1].pid, signal.SIGKILL)
        # The other one does not wait for ever.
        assert processes[0].wait(LONG) != 0
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert len(read_curve(tmp_path / "two" / "curve.csv")) < 10
    assert not (tmp_path / "two" / "entry").exists()

    finish(tmp_path, "two", pair(tmp_path, "two"))
    (one, weights), (two, others) = results(tmp_path, "one"), results(tmp_path, "two")
    assert len(one) == 10
    np.testing.assert_allclose(two, one, atol=1e-4)
    for ours, theirs in zip(weights, others, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-4)
    # Nothing is left half written.
    names = {path.name for path in (tmp_path / "two").iterdir()}
    assert names == {path.name for path in (tmp_path / "one").iterdir()}
