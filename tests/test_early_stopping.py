"""Early stopping: a function of the curve, and the best weights."""

import math

import keras
import numpy as np
import pytest

from attnflow_keras.training import Recipe, train
from attnflow_keras.training.callbacks import CURVE, read_curve, saved_epoch
from attnflow_keras.training.early_stopping import BEST, EarlyStopping, standing
from tests.conftest import make_plain_flow

RECIPE = Recipe(
    "tiny", 8, steps=24, steps_per_epoch=2, warmup_steps=1, ema=0.5, jit=False, patience=3
)

# Best at epoch 3; over after epoch 6.
SCORES = [5.0, 4.0, 3.5, 3.6, 3.5, 4.0, 3.0, 2.0]


@pytest.mark.parametrize(
    ("scores", "best", "since"),
    [
        ([], None, 0),
        ([3.0], 1, 0),
        ([3.0, 2.0, 2.5], 2, 1),
        ([3.0, 2.0, 2.0], 2, 1),
        ([3.0, math.nan, math.inf], 1, 2),
        ([math.nan, math.nan], None, 2),
        ([math.nan, 2.0], 2, 0),
    ],
)
def test_standing(scores, best, since):
    rows = [{"epoch": i + 1.0, "val_bits_per_dim": score} for i, score in enumerate(scores)]
    assert standing(rows) == (best, since)


class Averages(keras.callbacks.Callback):
    """What the averaged weights are after each epoch."""

    def __init__(self):
        super().__init__()
        self.after = {}

    def on_epoch_end(self, epoch, logs=None):
        average = self.model.optimizer._model_variables_moving_average
        self.after[epoch + 1] = [np.array(v) for v in average]


@pytest.fixture
def scored(monkeypatch):
    """Validation scores by epoch, in place of real ones; a list to change."""
    scores = list(SCORES)

    def evaluate(flow, *args, **kwargs):
        value = scores[int(flow.optimizer.iterations) // RECIPE.steps_per_epoch - 1]
        return {"loss": value, "bits_per_dim": value}

    monkeypatch.setattr("attnflow_keras.models.Flow.evaluate", evaluate)
    return scores


def run(folder, images, *callbacks, recipe=RECIPE):
    keras.utils.set_random_seed(0)
    flow = make_plain_flow(width=4)
    return train(flow, recipe, images[:64], images[64:80], folder, 0, list(callbacks))


def same(weights, others):
    for a, b in zip(weights, others, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def trained(flow):
    return [np.array(v) for v in flow.trainable_variables]


class NoTraining(keras.callbacks.Callback):
    def on_train_begin(self, logs=None):
        raise AssertionError("it trains")


def test_it_stops_keeps_the_best_and_stays_stopped(scored, tiny_images, tmp_path):
    averages = Averages()
    flow = run(tmp_path, tiny_images, averages)
    rows = read_curve(tmp_path / CURVE)
    assert [row["val_bits_per_dim"] for row in rows] == SCORES[:6]
    same(trained(flow), averages.after[3])
    assert saved_epoch(tmp_path / BEST) == 3
    again = run(tmp_path, tiny_images, NoTraining())
    same(flow.get_weights(), again.get_weights())
    assert read_curve(tmp_path / CURVE) == rows
    # The file is that of a flow that was never compiled.
    other = make_plain_flow(width=4)
    other.load_weights(tmp_path / BEST)
    same(flow.get_weights(), other.get_weights())


class KillError(Exception):
    pass


@pytest.mark.parametrize("moment", ["in the best epoch", "before best", "after best", "later"])
def test_a_killed_run_stops_at_the_same_epoch(scored, tiny_images, tmp_path, monkeypatch, moment):
    averages = Averages()

    class Killer(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == {"in the best epoch": 2, "after best": 3, "later": 5}.get(moment):
                raise KillError

    def keep(self, flow, epoch):
        if epoch == 3 and moment == "before best":
            raise KillError
        _keep(self, flow, epoch)

    _keep = EarlyStopping._keep
    monkeypatch.setattr(EarlyStopping, "_keep", keep)
    with pytest.raises(KillError):
        run(tmp_path, tiny_images, averages, Killer())
    monkeypatch.setattr(EarlyStopping, "_keep", _keep)
    if moment == "before best":
        assert saved_epoch(tmp_path / BEST) == 2
    flow = run(tmp_path, tiny_images, averages)
    assert [row["val_bits_per_dim"] for row in read_curve(tmp_path / CURVE)] == SCORES[:6]
    assert saved_epoch(tmp_path / BEST) == 3
    if moment == "before best":
        run(tmp_path / "whole", tiny_images, averages)
    same(trained(flow), averages.after[3])


def test_without_a_stop_the_best_epoch_counts_too(scored, tiny_images, tmp_path):
    scored[:] = [3.0, 2.0, 2.5, 2.6]
    averages = Averages()
    recipe = Recipe(**{**RECIPE.to_dict(), "stop_step": 8})
    flow = run(tmp_path, tiny_images, averages, recipe=recipe)
    assert len(read_curve(tmp_path / CURVE)) == 4
    same(trained(flow), averages.after[2])
    again = run(tmp_path, tiny_images, NoTraining(), recipe=recipe)
    same(flow.get_weights(), again.get_weights())


def test_a_loss_that_is_not_finite_is_no_early_stop(scored, tiny_images, tmp_path):
    class Explode(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 5:  # the epoch after which it would stop early
                variable = self.model.trainable_variables[0]
                variable.assign(variable * np.nan)

    with pytest.raises(FloatingPointError, match="not finite; the last good checkpoint"):
        run(tmp_path, tiny_images, Explode())
    assert saved_epoch(tmp_path / BEST) == 3
    flow = run(tmp_path, tiny_images)
    assert [row["val_bits_per_dim"] for row in read_curve(tmp_path / CURVE)] == SCORES[:6]
    assert all(np.isfinite(w).all() for w in flow.get_weights())


def test_scores_that_are_not_finite(scored, tiny_images, tmp_path):
    scored[:] = [math.nan] * 8
    with pytest.raises(FloatingPointError, match="has no finite val_bits_per_dim"):
        run(tmp_path, tiny_images)
    assert len(read_curve(tmp_path / CURVE)) == 3


def test_errors(scored, tiny_images, tmp_path):
    with pytest.raises(ValueError, match="got patience=3 and validation=None"):
        train(make_plain_flow(), RECIPE, tiny_images, None, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    run(tmp_path, tiny_images)
    (tmp_path / BEST).unlink()
    with pytest.raises(
        ValueError, match=r"best.weights.h5 must hold the weights of epoch 3, .*; it"
    ):
        run(tmp_path, tiny_images)
