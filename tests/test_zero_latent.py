"""Training of the zero-temperature sample."""

import keras
import numpy as np
import pytest

import zoo
from attnflow_keras.training import Recipe, train
from attnflow_keras.training.callbacks import Checkpoint, read_curve
from attnflow_keras.training.zero_latent import CHECKPOINT, CURVE
from tests.conftest import make_tiny_flow
from tests.test_pretrain import new_flow, source  # noqa: F401
from zoo.cli.train import make_recipe

pytestmark = pytest.mark.eager


def recipe(**changes):
    settings = {
        "batch_size": 8,
        "steps": 4,
        "steps_per_epoch": 2,
        "warmup_steps": 1,
        "jit": False,
        "ema": 0.5,
        "zero_latent_steps": 6,
        "zero_latent_rate": 1e-3,
    }
    return Recipe("waves", **{**settings, **changes})


@pytest.fixture
def pairs(source):  # noqa: F811
    return source.draw(16, 9, 9)


def error_at_0(flow, pairs):
    likely = flow.sample(condition=pairs["condition"], temperature=0.0, as_float=True)
    return 256 * np.abs(likely - flow.dequantize(pairs["image"], center=True)).mean()


def test_the_loss_is_that_of_the_likelihood_and_the_error(pairs):
    flow = new_flow()
    flow.adapt(pairs)
    flow.compile(jit_compile=False)
    plain = flow.evaluate(pairs, verbose=0, return_dict=True)
    assert set(plain) == {"loss", "bits_per_dim"}
    flow.compile(zero_latent_weight=5.0, jit_compile=False)
    scores = flow.evaluate(pairs, verbose=0, return_dict=True)
    assert scores["bits_per_dim"] == pytest.approx(plain["bits_per_dim"], rel=1e-5)
    assert scores["zero_latent_error"] == pytest.approx(error_at_0(flow, pairs), rel=1e-4)
    expected = plain["loss"] + 5.0 * scores["zero_latent_error"] / 256
    assert scores["loss"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.compiled
def test_the_error_falls_and_the_likelihood_stays(source, pairs, tmp_path):  # noqa: F811
    settings = {"steps": 40, "steps_per_epoch": 20, "learning_rate": 1e-3}
    short = recipe(zero_latent_steps=0, **settings)
    without = train(new_flow(), short, source, None, tmp_path / "a", 0)
    long = recipe(zero_latent_steps=40, **settings)
    flow = train(new_flow(), long, source, pairs, tmp_path / "b", 0)
    assert error_at_0(flow, pairs) < 0.8 * error_at_0(without, pairs)
    bits = [
        float(np.mean(f.bits_per_dim(pairs["image"], pairs["condition"]))) for f in (without, flow)
    ]
    assert bits[1] < bits[0] + 0.1
    rows = read_curve(tmp_path / "b" / CURVE)
    assert [row["step"] for row in rows] == [20, 40]
    assert rows[-1]["val_zero_latent_error"] == pytest.approx(error_at_0(flow, pairs), rel=1e-3)
    assert flow.training_settings.zero_latent_weight == 0


def test_a_killed_run_goes_on(source, tmp_path, monkeypatch):  # noqa: F811
    whole = train(new_flow(), recipe(), source, None, tmp_path / "whole", 0)

    class KilledError(Exception):
        pass

    save = Checkpoint.on_epoch_end

    def save_and_die(self, epoch, logs=None):
        save(self, epoch, logs)
        if self.path.name == CHECKPOINT and epoch == 1:
            raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(Checkpoint, "on_epoch_end", save_and_die)
        with pytest.raises(KilledError):
            train(new_flow(), recipe(), source, None, tmp_path / "killed", 0)
    resumed = train(new_flow(), recipe(), source, None, tmp_path / "killed", 0)
    for a, b in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert (tmp_path / "killed" / CURVE).read_text().count("\n") == 4
    # Finished already: nothing is trained again.
    again = train(new_flow(), recipe(), source, None, tmp_path / "killed", 0)
    for a, b in zip(again.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_unconditional_flow_is_refused(tiny_images, tmp_path):
    with pytest.raises(ValueError, match="zero_latent_steps is for conditional flows; got 6 and a"):
        train(make_tiny_flow(), recipe(), tiny_images, None, tmp_path / "run", verbose=0)
    flow = make_tiny_flow()
    with pytest.raises(ValueError, match="zero_latent_weight must be 0 for an unconditional flow"):
        flow.compile(keras.optimizers.Adam(1e-3), zero_latent_weight=1.0)


def test_bad_settings():
    for changes, message in (
        ({"zero_latent_steps": -1}, "zero_latent_steps must be an integer of at least 0; got -1"),
        ({"zero_latent_rate": 0}, "zero_latent_rate must be a positive number; got 0"),
        ({"zero_latent_weight": 0}, "zero_latent_weight must be a positive number; got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            recipe(**changes)


OLD_NAMES = {"mode_steps": 6, "mode_weight": 2.0, "mode_rate": 1e-3}


def test_recipes_of_earlier_versions_have_other_names():
    old = {**Recipe("pairs").to_dict(), **OLD_NAMES}
    for name in OLD_NAMES:
        del old[name.replace("mode", "zero_latent")]
    read = Recipe.from_dict(old)
    assert (read.zero_latent_steps, read.zero_latent_weight, read.zero_latent_rate) == (
        6,
        2.0,
        1e-3,
    )
    recorded = zoo.info("cattnflow-imap-sr8-bluemarble")["training"]["recipe"]
    assert recorded["mode_steps"] == 250
    assert Recipe.from_dict(recorded).zero_latent_steps == 250


def test_a_run_of_an_earlier_version_resumes(source, tmp_path):  # noqa: F811
    train(new_flow(), recipe(), source, None, tmp_path, 0)
    path = tmp_path / "recipe.json"
    text = path.read_text()
    assert text.count("zero_latent_") == 3
    path.write_text(text.replace("zero_latent_", "mode_"))
    train(new_flow(), recipe(), source, None, tmp_path, 0)
    path.write_text(path.read_text().replace('"zero_latent_steps": 6', '"mode_steps": 7'))
    with pytest.raises(ValueError, match=r"other settings \(recipe.zero_latent_steps\)"):
        train(new_flow(), recipe(), source, None, tmp_path, 0)


def test_a_compiled_flow_of_an_earlier_version_loads(pairs):
    flow = new_flow()
    flow.compile("sgd", zero_latent_weight=5.0)
    config = flow.get_compile_config()
    config["mode_weight"] = config.pop("zero_latent_weight")
    again = new_flow()
    again.compile_from_config(config)
    assert again.training_settings.zero_latent_weight == 5.0


def test_options_win_over_a_recorded_recipe_with_earlier_names():
    recorded = zoo.info("cattnflow-imap-sr8-bluemarble")["training"]["recipe"]
    assert make_recipe(recorded, {}, fine_tune=False).zero_latent_steps == 250
    assert make_recipe(recorded, {}, fine_tune=True).zero_latent_steps == 0
    given = {"zero_latent_steps": 3}
    assert make_recipe(recorded, given, fine_tune=False).zero_latent_steps == 3
    assert make_recipe(recorded, given, fine_tune=True).zero_latent_steps == 3
