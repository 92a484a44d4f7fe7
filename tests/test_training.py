"""Training runs: data order, folders and checkpoints; see also test_resume, test_early_stopping."""

import inspect
import json
import os
import signal
import subprocess
import sys
from typing import ClassVar

import keras
import numpy as np
import pytest

from attnflow_keras.training.callbacks import CHECKPOINT, CURVE, load_checkpoint, read_curve
from attnflow_keras.training.lock import locked
from attnflow_keras.training.order import OrderedImages
from attnflow_keras.training.recipe import Recipe
from attnflow_keras.training.run import train
from attnflow_keras.training.settings import HASHED, SETTINGS, fingerprint, same_run
from tests.conftest import make_tiny_flow

RECIPE = Recipe("tiny", 16, steps=12, steps_per_epoch=3, warmup_steps=2, ema=0.9, jit=False)


SMALL = {"levels": 1, "attention": None, "coupling": "affine", "width": 4}


def run(folder, images, **options):
    keras.utils.set_random_seed(0)
    flow = make_tiny_flow(**SMALL)
    return train(flow, RECIPE, images[:128], images[128:160], folder, 0, **options)


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

    def batch(self, step, *part):
        if self.batch_size == RECIPE.batch_size:
            self.steps.append(step)
        return super().batch(step, *part)


def test_fit_sees_the_steps_in_order(tiny_images, tmp_path, monkeypatch):
    monkeypatch.setattr("attnflow_keras.training.order.OrderedImages", Spy)
    Spy.steps.clear()
    run(tmp_path, tiny_images)
    # Batches are read ahead, but never out of order.
    assert Spy.steps[:12] == list(range(12))


def test_old_folders_go_on_where_new_settings_have_their_defaults(tiny_flow, tiny_images, tmp_path):
    path = tmp_path / SETTINGS
    same_run(path, tiny_flow, RECIPE, tiny_images)
    settings = json.loads(path.read_text())
    for key in ("optimizer", "schedule", "augment", "patience", "precision", "validation_images"):
        del settings["recipe"][key]
    del settings["images"]
    del settings["model"]["attention_options"]
    del settings["model"]["conv_layout"]
    path.write_text(json.dumps(settings))
    same_run(path, tiny_flow, RECIPE, tiny_images)
    now = json.loads(path.read_text())
    assert now["recipe"] == RECIPE.to_dict(), "and are written then"
    assert now["images"] == fingerprint(tiny_images)

    path.write_text(json.dumps(settings))
    other = Recipe(**{**RECIPE.to_dict(), "patience": 3, "augment": "shift_flip"})
    with pytest.raises(ValueError, match=r"settings \(recipe.augment, recipe.patience\); give"):
        same_run(path, tiny_flow, other, tiny_images)
    assert json.loads(path.read_text()) == settings
    packed = make_tiny_flow(conv_layout="packed")
    with pytest.raises(ValueError, match=r"settings \(model.conv_layout\); give another folder"):
        same_run(path, packed, RECIPE, tiny_images)
    path.write_text(json.dumps({**settings, "recipe": {**settings["recipe"], "of_old": 1}}))
    with pytest.raises(ValueError, match=r"settings \(recipe.of_old\)"):
        same_run(path, tiny_flow, RECIPE, tiny_images)


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
        train(make_tiny_flow(**SMALL), other, tiny_images, None, tmp_path, 0)
    longer = Recipe(**{**RECIPE.to_dict(), "steps": 50})
    advice = r"can't change its length \(12 steps\).*attnflow train ENTRY --fine-tune .*--out NEW"
    with pytest.raises(ValueError, match=advice):
        train(make_tiny_flow(**SMALL), longer, tiny_images, None, tmp_path, 0)


def test_other_images_in_the_same_folder(tiny_flow, tiny_images, tmp_path):
    path = tmp_path / SETTINGS
    same_run(path, tiny_flow, RECIPE, tiny_images[:64])
    same_run(path, tiny_flow, RECIPE, tiny_images[:64].copy())
    with pytest.raises(ValueError, match=r"images: 64 of shape \(8, 8, 1\) before, 65 of shape"):
        same_run(path, tiny_flow, RECIPE, tiny_images[:65])
    with pytest.raises(ValueError, match="images: 64 of shape .*, of another content. Give the"):
        same_run(path, tiny_flow, RECIPE, tiny_images[64:128])
    many = np.zeros((2 * HASHED + 1, 1, 1, 1), "uint8")
    assert fingerprint(many)["count"] == len(many)
    assert fingerprint(many)["sha256"] != fingerprint(many + np.uint8(1))["sha256"]


@pytest.mark.parametrize("content", ["{", "[]", '{"recipe": 3}'])
def test_a_broken_settings_file_is_named(tiny_flow, tiny_images, tmp_path, content):
    (tmp_path / SETTINGS).write_text(content)
    with pytest.raises(ValueError, match=r"can't read .*recipe.json, the settings of a run: .*"):
        train(tiny_flow, RECIPE, tiny_images, None, tmp_path, 0)
    assert (tmp_path / SETTINGS).read_text() == content


def test_one_training_a_folder(tiny_flow, tiny_images, tmp_path):
    pytest.importorskip("fcntl")
    message = rf"is in use by another training \(process {os.getpid()}\); wait"
    with locked(tmp_path), pytest.raises(ValueError, match=message):
        train(tiny_flow, RECIPE, tiny_images, None, tmp_path, 0)
    with locked(tmp_path):
        pass  # what another one left behind is no lock


def test_a_killed_process_leaves_no_lock(tmp_path):
    pytest.importorskip("fcntl")
    code = (
        "import importlib.util, os, signal, sys; from pathlib import Path\n"
        # Alone, without what its package imports.
        "spec = importlib.util.spec_from_file_location('lock', sys.argv[1])\n"
        "lock = importlib.util.module_from_spec(spec); spec.loader.exec_module(lock)\n"
        "with lock.locked(Path(sys.argv[2])): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    file = inspect.getfile(locked.__wrapped__)
    done = subprocess.run([sys.executable, "-c", code, file, str(tmp_path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert (tmp_path / "training.lock").read_text() not in ("", str(os.getpid()))
    with locked(tmp_path):
        assert (tmp_path / "training.lock").read_text() == str(os.getpid())


def steps_of(folder):
    return [int(row["step"]) for row in read_curve(folder / CURVE)]


def test_the_last_epoch_is_a_short_one(tiny_images, tmp_path):
    recipe = Recipe(**{**RECIPE.to_dict(), "steps": 8})

    def go(folder, *callbacks):
        keras.utils.set_random_seed(0)
        flow = make_tiny_flow(**SMALL)
        images, validation = tiny_images[:128], tiny_images[128:160]
        return train(flow, recipe, images, validation, folder, 0, list(callbacks))

    whole = go(tmp_path / "whole")
    assert int(whole.optimizer.iterations) == 8
    assert steps_of(tmp_path / "whole") == [3, 6, 8]
    assert [row["images"] for row in read_curve(tmp_path / "whole" / CURVE)] == [48, 96, 128]
    assert read_curve(tmp_path / "whole" / CURVE)[-1]["learning_rate"] == pytest.approx(
        recipe.learning_rate * recipe.final_fraction, rel=1e-3
    )
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "cut", Interrupt(2))
    assert steps_of(tmp_path / "cut") == [3, 6]
    resumed = go(tmp_path / "cut")
    assert steps_of(tmp_path / "cut") == [3, 6, 8]
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    again = go(tmp_path / "cut")
    assert steps_of(tmp_path / "cut") == [3, 6, 8]
    for a, b in zip(again.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_fewer_steps_than_an_epoch_and_fewer_validation_images(tiny_images, tmp_path):
    short = {"steps": 2, "steps_per_epoch": 500, "validation_images": 4}
    flow = make_tiny_flow(**SMALL)
    recipe = Recipe(**{**RECIPE.to_dict(), **short})
    train(flow, recipe, tiny_images[:64], tiny_images[64:128], tmp_path, 0)
    assert int(flow.optimizer.iterations) == 2
    assert steps_of(tmp_path) == [2]
    expected = float(np.mean(flow.bits_per_dim(tiny_images[64:68])))
    assert read_curve(tmp_path / CURVE)[0]["val_bits_per_dim"] == pytest.approx(expected, abs=1e-3)


def test_arguments_of_the_wrong_kind(tiny_flow, tiny_images, tmp_path):
    good = {
        "flow": tiny_flow,
        "recipe": RECIPE,
        "images": tiny_images,
        "validation": None,
        "folder": tmp_path / "new",
    }
    for name, wrong, message in (
        ("flow", "mnist", "flow must be a Flow; got str"),
        ("recipe", {"steps": 5}, "recipe must be a Recipe; got dict"),
        ("images", list(tiny_images), r"images must be a uint8 array of shape \(n, 8, 8, 1\); got"),
        ("images", tiny_images / 255, r"images must be .*; got float64 of shape \(256, 8, 8, 1\)"),
        (
            "validation",
            tiny_images[:0],
            r"validation must be .*; got uint8 of shape \(0, 8, 8, 1\)",
        ),
        ("folder", None, "folder must be a path; got NoneType"),
    ):
        with pytest.raises(ValueError, match=message):
            train(**{**good, name: wrong})
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError, match="file is a file; give the name of a folder"):
        train(**{**good, "folder": tmp_path / "file"})


def test_a_diverged_run_says_so_and_keeps_the_last_good_checkpoint(tiny_images, tmp_path):
    class Explode(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 3:  # the last one
                variable = self.model.trainable_variables[0]
                variable.assign(variable * np.nan)

    with pytest.raises(FloatingPointError, match="not finite; the last good checkpoint is"):
        run(tmp_path, tiny_images, callbacks=[Explode()])
    flow = compiled(**SMALL)
    assert load_checkpoint(flow, tmp_path / CHECKPOINT, 3) == 3
    assert all(np.isfinite(w).all() for w in flow.get_weights())
    recipe = Recipe(**{**RECIPE.to_dict(), "learning_rate": 1e30, "warmup_steps": 0})
    with pytest.raises(FloatingPointError, match="not finite; there is no good checkpoint yet"):
        train(make_tiny_flow(**SMALL), recipe, tiny_images, None, tmp_path / "other", 0)


def compiled(**options):
    flow = make_tiny_flow(**options)
    flow.compile(optimizer=RECIPE.make_optimizer(), jit_compile=False)
    flow.optimizer.build(flow.trainable_variables)
    return flow


def test_a_callback_may_stop_a_run_and_it_goes_on_later(tiny_images, tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = True

    run(tmp_path, tiny_images, callbacks=[Stop()])
    assert len(read_curve(tmp_path / CURVE)) == 1
    run(tmp_path, tiny_images, callbacks=[Stop()])
    assert [row["epoch"] for row in read_curve(tmp_path / CURVE)] == [1, 2]


def test_checkpoints_without_an_epoch_and_of_another_optimizer(tiny_images, tmp_path):
    flow = compiled()
    flow.adapt(tiny_images)
    flow.optimizer.iterations.assign(6)
    flow.save_weights(tmp_path / "old.weights.h5")
    assert load_checkpoint(compiled(), tmp_path / "old.weights.h5", 3) == 2
    with pytest.raises(
        ValueError, match=r"(?s)is not a checkpoint of this run: .*Skipping variable"
    ):
        load_checkpoint(compiled(dtype="mixed_float16"), tmp_path / "old.weights.h5", 3)


def test_tensorboard_logs(tiny_images, tmp_path, monkeypatch):
    from tensorflow.compat.v1.train import summary_iterator

    run(tmp_path, tiny_images, tensorboard=True)
    found = {}
    for path in (tmp_path / "tensorboard").rglob("events*"):
        for event in summary_iterator(str(path)):
            for value in event.summary.value:
                found.setdefault((path.parent.name, value.tag), []).append(event.step)
    for key in (("train", "epoch_bits_per_dim"), ("validation", "epoch_bits_per_dim")):
        assert found[key] == [0, 1, 2, 3]
    assert ("train", "epoch_learning_rate") in found

    with pytest.raises(ValueError, match="tensorboard must be True or False; got 'logs'"):
        run(tmp_path, tiny_images, tensorboard="logs")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        ImportError, match=r"needs the package tensorboard, .*pip install 'tensorboard"
    ):
        run(tmp_path / "new", tiny_images, tensorboard=True)
    assert not (tmp_path / "new").exists()


def test_the_flow_has_the_recipes_precision(tiny_flow, tiny_images, tmp_path):
    recipe = Recipe("tiny", precision="mixed_bfloat16")
    with pytest.raises(ValueError, match="under the recipe's precision, 'mixed_bfloat16'; got a"):
        train(tiny_flow, recipe, tiny_images, None, tmp_path / "new")
    assert not (tmp_path / "new").exists()
