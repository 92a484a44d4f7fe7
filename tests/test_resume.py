"""A run that is killed and started again is the run that was never killed."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from attnflow_keras.data import mnist_sample
from attnflow_keras.training import Recipe, train
from attnflow_keras.training.callbacks import CHECKPOINT, COLUMNS, CURVE, saved_epoch
from tests.conftest import make_tiny_flow

RECIPE = Recipe(
    "tiny",
    16,
    steps=16,
    steps_per_epoch=4,
    warmup_steps=2,
    ema=0.9,
    jit=False,
    augment="shift_flip",
    patience=4,
)
# With dropout, whose noise must resume too.
SMALL = {
    "levels": 1,
    "attention": None,
    "coupling": "affine",
    "width": 4,
    "conditioner": "gated_attention",
    "conditioner_options": {"blocks": 1, "dropout": 0.2},
}


class Stay(keras.callbacks.Callback):
    """Tell that the third epoch is under way, and stay in it."""

    def __init__(self, marker):
        super().__init__()
        self.marker = marker
        self.epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        if self.epoch == 2 and batch == 1:
            self.marker.touch()
            time.sleep(3600)


def run(folder, jit, *callbacks):
    """One run on tiny images, as a command that somebody starts again after a kill."""
    images = mnist_sample()[:, 2:26:3, 2:26:3]
    keras.utils.set_random_seed(0)
    recipe = Recipe(**{**RECIPE.to_dict(), "jit": jit})
    flow = make_tiny_flow(**SMALL)
    return train(flow, recipe, images[:120], images[128:160], folder, 0, list(callbacks))


def in_process(part, folder, jit):
    """What a process of the test below does."""
    import tensorflow as tf

    if not jit:
        tf.config.experimental.enable_op_determinism()
    if part == "kill":
        run(folder / "cut", jit, Stay(folder / "marker"))
        return
    for name in ("cut", "whole"):
        np.savez(folder / name / "final.npz", *run(folder / name, jit).get_weights())


def start(part, folders):
    """A process that does so in each folder, of the runs with XLA and without, in this order."""
    runs = [(str(folder), jit) for jit, folder in sorted(folders.items(), reverse=True)]
    code = (
        "from pathlib import Path; from tests.test_resume import in_process\n"
        f"for folder, jit in {runs}:\n"
        f"    in_process({part!r}, Path(folder), jit)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.Popen([sys.executable, "-c", code], env=environment)


def curve(folder):
    with (folder / CURVE).open(newline="") as file:
        return list(csv.DictReader(file))


def test_kill_9_in_the_middle_of_an_epoch(tmp_path):
    folders = {False: tmp_path / "eager", True: tmp_path / "jit"}
    for folder in folders.values():
        folder.mkdir()
    processes = [start("kill", {jit: folder}) for jit, folder in folders.items()]
    deadline = time.monotonic() + 900
    for process, folder in zip(processes, folders.values(), strict=True):
        while not (folder / "marker").exists():
            assert process.poll() is None, "it ended"
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert saved_epoch(folder / "cut" / CHECKPOINT) == 2
        assert len(curve(folder / "cut")) == 2

    # Each start of TensorFlow takes seconds.
    assert start("finish", folders).wait(900) == 0
    for jit, folder in folders.items():
        # Without XLA and with deterministic operations the runs are equal to the last bit.
        tolerance = 1e-5 if jit else 0.0
        cut, whole = curve(folder / "cut"), curve(folder / "whole")
        assert len(cut) == len(whole) == 4
        for key in COLUMNS:
            if key != "seconds":
                a, b = ([float(row[key]) for row in rows] for rows in (cut, whole))
                # The curve is rounded to five digits.
                np.testing.assert_allclose(a, b, rtol=0, atol=1.01 * tolerance, err_msg=key)
        with np.load(folder / "cut/final.npz") as a, np.load(folder / "whole/final.npz") as b:
            assert a.files == b.files
            for key in a.files:
                np.testing.assert_allclose(a[key], b[key], rtol=0, atol=tolerance, err_msg=key)


class Interrupt(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 2:
            raise KeyboardInterrupt


class TooLarge(keras.callbacks.Callback):
    """Start with a loss scale that overflows, so that the first steps are left out."""

    def on_train_begin(self, logs=None):
        self.model.optimizer.dynamic_scale.assign(2.0**24)


@pytest.mark.parametrize("precision", ["mixed_float16", "mixed_bfloat16"])
def test_a_run_in_half_precision_resumes(tiny_images, tmp_path, precision):
    half = precision == "mixed_float16"
    recipe = Recipe(**{**RECIPE.to_dict(), "precision": precision, "optimizer": "adamax"})
    first = [TooLarge()] if half else []

    def go(folder, *callbacks):
        keras.utils.set_random_seed(0)
        flow = make_tiny_flow(**SMALL, dtype=precision)
        images, validation = tiny_images[:120], tiny_images[128:160]
        return train(flow, recipe, images, validation, folder, 0, list(callbacks))

    whole = go(tmp_path / "whole", *first)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "cut", Interrupt(), *first)
    resumed = go(tmp_path / "cut")
    if half:
        inner = whole.optimizer.inner_optimizer
        assert isinstance(inner, keras.optimizers.Adamax)
        assert 0 < int(whole.optimizer.iterations) < 16, "some steps were left out"
        for name in ("dynamic_scale", "step_counter", "iterations"):
            a, b = (float(getattr(flow.optimizer, name)) for flow in (whole, resumed))
            assert a == b, name
        assert float(whole.optimizer.dynamic_scale) < 2.0**24
    for key in COLUMNS:
        if key != "seconds":
            a, b = ([float(row[key]) for row in curve(tmp_path / n)] for n in ("whole", "cut"))
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-3, err_msg=key)
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)
