"""Training of an encoder before its flow."""

import csv

import keras
import numpy as np
import pytest

from attnflow_keras.data.sources import PictureCrops, SmallAndLarge
from attnflow_keras.training import Recipe, train
from attnflow_keras.training.callbacks import Checkpoint
from attnflow_keras.training.pretrain import CHECKPOINT, CURVE, pretrain
from tests.conftest import make_tiny_flow
from tests.model_table import make_srflow

pytestmark = pytest.mark.eager


@pytest.fixture(scope="module")
def source():
    rng = np.random.default_rng(0)
    pictures = []
    for _ in range(3):
        y, x = np.mgrid[:40, :30] / 40
        waves = [np.sin(rng.uniform(2, 9) * x + rng.uniform(2, 9) * y) for _ in range(3)]
        pictures.append((127 + 100 * np.stack(waves, axis=-1)).astype("uint8"))
    return SmallAndLarge(PictureCrops(pictures, 16, 8), 4)


def recipe(**changes):
    settings = {
        "batch_size": 8,
        "steps": 6,
        "steps_per_epoch": 3,
        "warmup_steps": 1,
        "jit": False,
        "ema": 0.5,
        "pretrain_steps": 9,
        "pretrain_rate": 1e-3,
        "freeze_steps": 3,
    }
    return Recipe("waves", **{**settings, **changes})


def new_flow():
    keras.utils.set_random_seed(0)
    encoder = {"features": 4, "growth": 2, "blocks": 1, "stacked": (0,)}
    return make_srflow(levels=1, transition_steps=1, encoder_options=encoder)


def weights(flow):
    return np.concatenate([np.ravel(v) for v in flow.encoder.trainable_variables])


def test_crops_are_a_function_of_seed_and_step(source):
    a, b, c = source.draw(5, 1, 2), source.draw(5, 1, 2), source.draw(5, 1, 3)
    assert a["image"].shape == (5, 16, 8, 3)
    assert a["condition"].shape == (5, 4, 2, 3)
    np.testing.assert_array_equal(a["image"], b["image"])
    assert (a["image"] != c["image"]).any()


@pytest.mark.compiled
def test_the_error_falls(source, tmp_path):
    flow = new_flow()
    validation = source.draw(16, 9, 9)
    before = np.abs(flow.regress(validation["condition"]).astype(int) - validation["image"]).mean()
    long = recipe(pretrain_steps=60, steps_per_epoch=30, pretrain_rate=5e-3)
    pretrain(flow, long, source, validation, tmp_path, 0)
    after = np.abs(flow.regress(validation["condition"]).astype(int) - validation["image"]).mean()
    assert after < 0.7 * before
    with (tmp_path / CURVE).open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == [30, 60]
    # What the curve says of the whole validation set is what the images say.
    assert float(rows[-1]["val_l1"]) == pytest.approx(after, abs=0.6)


def test_a_killed_run_goes_on(source, tmp_path, monkeypatch):
    whole = new_flow()
    pretrain(whole, recipe(), source, None, _folder(tmp_path / "whole"), 0)

    class KilledError(Exception):
        pass

    save = Checkpoint.on_epoch_end

    def save_and_die(self, epoch, logs=None):
        save(self, epoch, logs)
        if epoch == 1:
            raise KilledError

    folder = _folder(tmp_path / "killed")
    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "on_epoch_end", save_and_die)
        with pytest.raises(KilledError):
            pretrain(new_flow(), recipe(), source, None, folder, 0)
    resumed = new_flow()
    pretrain(resumed, recipe(), source, None, folder, 0)
    np.testing.assert_allclose(weights(resumed), weights(whole), atol=1e-6)
    assert (folder / CURVE).read_text().count("\n") == 4


def test_train_does_both(source, tmp_path):
    flow = new_flow()
    start = weights(flow)
    flow = train(flow, recipe(), source, source.draw(8, 5, 5), tmp_path / "run", verbose=0)
    assert (tmp_path / "run" / CHECKPOINT).exists()
    assert (tmp_path / "run" / "curve.csv").read_text().count("\n") == 3
    assert (weights(flow) != start).any()
    # Finished already: nothing is trained again.
    again = train(new_flow(), recipe(), source, source.draw(8, 5, 5), tmp_path / "run", verbose=0)
    np.testing.assert_array_equal(weights(again), weights(flow))


def test_other_data_is_refused(source, tmp_path):
    train(new_flow(), recipe(steps=3), source, None, tmp_path / "run", verbose=0)
    other = SmallAndLarge(PictureCrops([p[::-1] for p in source.crops.pictures], 16, 8), 4)
    with pytest.raises(ValueError, match="holds a run on other training images"):
        train(new_flow(), recipe(steps=3), other, None, tmp_path / "run", verbose=0)


def test_a_flow_without_encoder_is_refused(tmp_path, tiny_images):
    with pytest.raises(ValueError, match="pretrain_steps is for flows with an encoder; got 9"):
        train(make_tiny_flow(), recipe(), tiny_images, None, tmp_path / "run", verbose=0)


def _folder(path):
    path.mkdir()
    return path
