"""Training runs: recipe, data order, checkpoints and resuming after a kill."""

import csv
import os
import signal
import subprocess
import sys
import time
from typing import ClassVar

import keras
import numpy as np
import pytest

from attnflow_keras.training.callbacks import CHECKPOINT, CURVE, read_curve
from attnflow_keras.training.order import OrderedImages
from attnflow_keras.training.recipe import Recipe
from attnflow_keras.training.run import train
from tests.conftest import make_tiny_flow

RECIPE = Recipe("tiny", 16, steps=12, steps_per_epoch=3, warmup_steps=2, ema=0.9, jit=False)


def run(folder, images, **options):
    keras.utils.set_random_seed(0)
    return train(make_tiny_flow(), RECIPE, images[:128], images[128:160], folder, 0, **options)


def test_order_sees_every_image_once_a_pass_and_resumes():
    images = np.arange(50, dtype="uint8").reshape(50, 1, 1, 1)
    seen = [
        batch.ravel() for (batch,), _ in zip(OrderedImages(images, 8, 1), range(50), strict=False)
    ]
    seen = np.concatenate(seen)
    for start in range(0, 400, 50):
        assert sorted(seen[start : start + 50]) == list(range(50))
    assert (seen[:50] != seen[50:100]).any()
    (resumed,) = next(iter(OrderedImages(images, 8, 1, start_step=37)))
    np.testing.assert_array_equal(resumed.ravel(), seen[8 * 37 : 8 * 38])


class Spy(OrderedImages):
    steps: ClassVar[list[int]] = []

    def batch(self, step):
        if self.batch_size == RECIPE.batch_size:
            self.steps.append(step)
        return super().batch(step)


def test_fit_sees_the_steps_in_order(tiny_images, tmp_path, monkeypatch):
    monkeypatch.setattr("attnflow_keras.training.run.OrderedImages", Spy)
    Spy.steps.clear()
    run(tmp_path, tiny_images)
    # Batches are read ahead, but never out of order.
    assert Spy.steps[:12] == list(range(12))


def test_learning_rate_warms_up_and_decays():
    recipe = Recipe("x", steps=100, warmup_steps=10, learning_rate=1e-2, final_fraction=0.1)
    schedule = recipe.optimizer()._learning_rate
    rates = [float(schedule(step)) for step in range(101)]
    assert rates[0] == 0
    assert max(rates) == pytest.approx(1e-2, rel=1e-3)
    assert np.argmax(rates) == 10
    assert rates[100] == pytest.approx(1e-3, rel=1e-3)


class Interrupt(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise KeyboardInterrupt


def test_an_interrupted_run_ends_like_one_that_was_not(tiny_images, tmp_path):
    whole = run(tmp_path / "whole", tiny_images)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "cut", tiny_images, callbacks=[Interrupt(2)])
    resumed = run(tmp_path / "cut", tiny_images)
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    curves = [read_curve(tmp_path / name / CURVE) for name in ("whole", "cut")]
    for key in ("epoch", "step", "images", "learning_rate"):
        assert [r[key] for r in curves[0]] == [r[key] for r in curves[1]]
    for key in ("bits_per_dim", "val_bits_per_dim"):
        np.testing.assert_allclose(
            [r[key] for r in curves[0]], [r[key] for r in curves[1]], atol=1e-3
        )


def test_a_finished_run_is_not_trained_again(tiny_images, tmp_path):
    first = run(tmp_path, tiny_images)
    again = run(tmp_path, tiny_images)
    for a, b in zip(first.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_kept_weights_are_the_averaged_ones(tiny_images, tmp_path):
    flow = run(tmp_path, tiny_images)
    images = tiny_images[128:160]
    last = read_curve(tmp_path / CURVE)[-1]["val_bits_per_dim"]
    assert float(np.mean(flow.bits_per_dim(images))) == pytest.approx(last, abs=1e-3)


def test_other_settings_in_the_same_folder(tiny_images, tmp_path):
    run(tmp_path, tiny_images)
    other = Recipe(**{**RECIPE.to_dict(), "learning_rate": 1.0})
    with pytest.raises(ValueError, match="holds a run with other settings"):
        train(make_tiny_flow(), other, tiny_images, None, tmp_path, 0)


def test_a_diverged_run_says_so_and_keeps_the_last_good_checkpoint(tiny_images, tmp_path):
    recipe = Recipe(**{**RECIPE.to_dict(), "learning_rate": 1e30, "warmup_steps": 0})
    with pytest.raises(FloatingPointError, match="not finite"):
        train(make_tiny_flow(), recipe, tiny_images, None, tmp_path, 0)


KILLED = """
import sys
import keras
from attnflow_keras.data import mnist_sample
from tests.test_training import RECIPE, Recipe, make_tiny_flow, train
keras.utils.set_random_seed(0)
images = mnist_sample()[:, 2:26:3, 2:26:3]
recipe = Recipe(**{**RECIPE.to_dict(), "steps": 3000})
train(make_tiny_flow(), recipe, images[:128], None, sys.argv[1], 0)
"""


def test_kill_9_leaves_a_checkpoint_that_loads(tiny_images, tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.getcwd()}
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], env=environment)
    deadline = time.monotonic() + 120
    while len(read_curve(tmp_path / CURVE)) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    rows = read_curve(tmp_path / CURVE)
    assert len(rows) >= 2
    flow = make_tiny_flow()
    flow.compile(optimizer=RECIPE.optimizer(), jit_compile=False)
    flow.optimizer.build(flow.trainable_variables)
    flow.load_weights(tmp_path / CHECKPOINT)
    step = int(flow.optimizer.iterations)
    assert step % RECIPE.steps_per_epoch == 0
    assert abs(step - rows[-1]["step"]) <= RECIPE.steps_per_epoch
    with (tmp_path / CURVE).open() as file:
        assert next(csv.reader(file))[0] == "epoch"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch_size": 0}, "batch_size must be"),
        ({"steps": 0}, "steps must be"),
        ({"learning_rate": -1.0}, "learning_rate must be positive"),
        ({"ema": 1.0}, "ema must lie in"),
    ],
)
def test_bad_recipe(change, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**{**RECIPE.to_dict(), **change})
