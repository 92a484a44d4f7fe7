"""``.keras`` files, entries and Keras' own exports of a flow; what a flow says of itself."""

import dataclasses
import inspect
import json
import zipfile

import keras
import numpy as np
import pytest
import tensorflow as tf

import zoo
from attnflow_keras.core.training_settings import TrainingSettings
from tests.conftest import make_tiny_flow
from tests.model_table import make_srflow
from tests.test_flow_errors import ConditionalFlow

pytestmark = pytest.mark.eager


@pytest.fixture
def frozen(tiny_images):
    flow = make_tiny_flow()
    flow.adapt(tiny_images)
    flow.level_1.trainable = False
    flow.compile(keras.optimizers.Adam(1e-3), noise_seed=5, jit_compile=False)
    flow.fit(tiny_images[:32], batch_size=16, shuffle=False, verbose=0)
    return flow


def test_a_keras_file_goes_on_as_if_nothing_had_happened(frozen, tiny_images, tmp_path):
    frozen.save(tmp_path / "f.keras")
    loaded = keras.saving.load_model(tmp_path / "f.keras")
    assert len(loaded.trainable_variables) == len(frozen.trainable_variables)
    assert not loaded.level_1.trainable
    assert loaded.level_2.trainable
    assert int(loaded.optimizer.iterations) == 2
    assert loaded.noise_seed == 5
    for flow in (frozen, loaded):
        flow.fit(tiny_images[32:64], batch_size=16, shuffle=False, verbose=0)
    for a, b in zip(frozen.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    for a, b in zip(frozen.optimizer.variables, loaded.optimizer.variables, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def test_an_entry_keeps_what_is_frozen(frozen, tmp_path):
    frozen.level_2.step_1.actnorm.bias.trainable = False
    zoo.save(frozen, tmp_path / "entry")
    loaded = zoo.load(tmp_path / "entry")
    expected = [v.trainable for v in frozen.weights]
    assert [v.trainable for v in loaded.weights] == expected
    assert not loaded.level_1.trainable
    loaded.trainable = False  # Keras passes only changes on
    loaded.trainable = True
    metadata = json.loads((tmp_path / "entry" / "metadata.json").read_text())
    assert metadata["parameters"] == sum(np.prod(v.shape) for v in loaded.trainable_variables)
    config = json.loads((tmp_path / "entry" / "config.json").read_text())
    assert "frozen" not in config["config"]
    (tmp_path / "entry" / "config.json").write_text(json.dumps({**config, "frozen": [[0, 999]]}))
    with pytest.raises(zoo.ZooError, match=r"frozen must be pairs .* got \[0, 999\]"):
        zoo.load(tmp_path / "entry")


def test_whole_flow_frozen(tmp_path):
    flow = make_tiny_flow()
    flow.trainable = False
    zoo.save(flow, tmp_path / "entry")
    assert not zoo.load(tmp_path / "entry", weights=False).trainable_variables


@pytest.mark.compiled
def test_keras_own_export(tiny_flow, tiny_images, tmp_path):
    tiny_flow.export(tmp_path / "saved", verbose=False)
    x = tiny_flow.dequantize(tiny_images[:3])
    score = np.asarray(tiny_flow.log_prob(x))
    loaded = tf.saved_model.load(tmp_path / "saved")
    np.testing.assert_allclose(loaded.serve(x), score, rtol=1e-5)
    served = keras.layers.TFSMLayer(tmp_path / "saved", call_endpoint="serving_default")
    np.testing.assert_allclose(next(iter(keras.tree.flatten(served(x)))), score, rtol=1e-5)


@pytest.mark.compiled
def test_keras_own_export_to_onnx_with_a_condition(tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("tf2onnx")
    flow = ConditionalFlow()
    rng = np.random.default_rng(0)
    x = rng.uniform(-0.5, 0.5, (2, *flow.float_shape)).astype("float32")
    condition = rng.normal(size=(2, *flow.condition_shape)).astype("float32")
    flow.export(tmp_path / "f.onnx", format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "f.onnx")
    by_shape = {x.shape[1:]: x, condition.shape[1:]: condition}
    inputs = {given.name: by_shape[tuple(given.shape[1:])] for given in session.get_inputs()}
    score = np.asarray(flow.log_prob(x, condition=condition))
    np.testing.assert_allclose(session.run(None, inputs)[0], score, rtol=1e-4)


def test_a_flow_says_what_it_is(frozen, capsys):
    assert repr(frozen) == (
        f"<MARFlow {frozen.name!r}: image_shape=(8, 8, 1), levels=2, parameters=3,692, "
        "adapted=True>"
    )
    frozen.summary(show_trainable=True)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    rows = {
        cells[1].strip(): [cell.strip() for cell in cells[2:-1]]
        for cells in (line.split("│") for line in lines)
        if len(cells) > 3
    }
    assert {"level_1", "squeeze", "step_1", "prior_1", "level_2", "prior_2"} <= set(rows)
    assert rows["level_1"] == ["Chain", "(n, 4, 4, 4)", "2,164", "no"]
    assert rows["prior_1"][1] == "(n, 4, 4, 2)"
    printed = []
    frozen.summary(print_fn=printed.append)
    assert any("prior_2" in line for line in printed)
    assert lines[-1].split()[:2] == ["5,929", "weights,"]


# What version 0.1.0 wrote for compile(SGD(1e-2), jit_compile=False) and three attributes.
FORMER_COMPILE_CONFIG = {
    "optimizer": {
        "module": "keras.optimizers",
        "class_name": "SGD",
        "config": {"name": "sgd", "learning_rate": 0.009999999776482582, "momentum": 0.0},
        "registered_name": None,
    },
    "loss": None,
    "loss_weights": None,
    "metrics": None,
    "weighted_metrics": None,
    "run_eagerly": False,
    "steps_per_execution": 1,
    "jit_compile": False,
    "zero_latent_weight": 2.0,
    "freeze_steps": 3,
    "noise_seed": 5,
    "remat": True,
}


def test_settings_of_training_survive_in_new_and_former_files(tmp_path):
    flow = make_srflow()
    flow.compile("sgd", zero_latent_weight=2.0, freeze_steps=3, noise_seed=5, remat=True)
    expected = TrainingSettings(zero_latent_weight=2.0, freeze_steps=3, noise_seed=5, remat=True)
    flow.save(tmp_path / "new.keras")
    with (
        zipfile.ZipFile(tmp_path / "new.keras") as new,
        zipfile.ZipFile(tmp_path / "former.keras", "w") as former,
    ):
        for name in new.namelist():
            content = new.read(name)
            if name == "config.json":
                config = {**json.loads(content), "compile_config": FORMER_COMPILE_CONFIG}
                content = json.dumps(config).encode()
            former.writestr(name, content)
    for name in ("new", "former"):
        loaded = keras.saving.load_model(tmp_path / f"{name}.keras")
        assert loaded.training_settings == expected
        assert loaded.noise_seed == 5


def test_settings_of_training_are_arguments_of_compile_only():
    flow = make_tiny_flow()
    assert flow.noise_seed == flow.seed
    for name in ("noise_seed", "training_settings"):
        with pytest.raises(AttributeError):
            setattr(flow, name, 5)
    flow.compile("sgd", noise_seed=5)
    flow.compile("sgd")
    assert flow.training_settings == TrainingSettings()
    arguments = inspect.signature(flow.compile).parameters
    for setting in dataclasses.fields(TrainingSettings):
        assert arguments[setting.name].default == setting.default
        assert f"    {setting.name}: {setting.metadata['help'][:30]}" in flow.compile.__doc__


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"zero_latent_weight": -1.0}, "_weight must be a number of at least 0; got -1.0"),
        ({"freeze_steps": 1.5}, "freeze_steps must be an integer of at least 0; got 1.5"),
        ({"remat": 1}, "remat must be True or False; got 1"),
        ({"freeze_steps": 3}, "freeze_steps must be 0 for a flow without an encoder"),
        ({"noise_seed": -1}, "noise_seed must be an integer of at least 0, or None; got -1"),
    ],
)
def test_bad_settings_of_training(settings, message):
    with pytest.raises(ValueError, match=message):
        make_tiny_flow().compile("sgd", **settings)
