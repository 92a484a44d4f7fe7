"""SavedModel export: endpoints that need neither Keras nor this package."""

import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import export
from export import to_saved_model
from tests.conftest import make_tiny_flow
from tests.helpers import perturb
from tests.test_flow_errors import CONDITION, IMAGES, ConditionalFlow


@pytest.fixture(scope="module")
def saved(tmp_path_factory, tiny_images):
    flow = make_tiny_flow()
    flow.adapt(tiny_images)
    perturb(flow, 0.05)
    folder = tmp_path_factory.mktemp("saved") / "model"
    return flow, folder, export.saved_model(flow, folder)


@pytest.fixture(scope="module")
def endpoints(saved):
    return tf.saved_model.load(str(saved[1] / "1")).signatures


def test_it_lies_in_the_layout_of_tensorflow_serving(saved):
    _, folder, report = saved
    assert [p.name for p in folder.iterdir()] == ["1"]
    assert (folder / "1" / "saved_model.pb").exists()
    assert report["log_prob"] < 2e-5
    assert report["round_trip"] < 1e-4


@pytest.mark.parametrize("n", [1, 5])
def test_endpoints_agree_with_keras(saved, endpoints, tiny_images, n):
    flow = saved[0]
    assert set(endpoints) == {"encode", "decode", "log_prob", "sample", "serving_default"}
    x = flow.dequantize(tiny_images[:n])
    codes = endpoints["encode"](image=tf.constant(x))
    latents, log_det = flow.encode(x)
    np.testing.assert_allclose(codes.pop("log_det"), log_det, rtol=1e-5)
    for i, z in enumerate(latents):
        np.testing.assert_allclose(codes[f"latent_{i}"], z, atol=1e-4)
    np.testing.assert_allclose(endpoints["decode"](**codes)["image"], x, atol=1e-4)
    score = endpoints["log_prob"](image=tf.constant(x))["log_prob"]
    np.testing.assert_allclose(score, flow.log_prob(x), rtol=1e-5)


def test_the_default_endpoint_scores(saved, tiny_images, tmp_path):
    flow, folder, _ = saved
    x = flow.dequantize(tiny_images[:3])
    served = keras.layers.TFSMLayer(str(folder / "1"), call_endpoint="serving_default")
    np.testing.assert_allclose(served(x)["log_prob"], flow.log_prob(x), rtol=1e-5)
    flow = ConditionalFlow()
    export.saved_model(flow, tmp_path / "model")
    default = tf.saved_model.load(str(tmp_path / "model" / "1")).signatures["serving_default"]
    x, condition = flow.dequantize(IMAGES), tf.constant(CONDITION)
    score = default(image=tf.constant(x), condition=condition)["log_prob"]
    np.testing.assert_allclose(score, flow.log_prob(x, condition=CONDITION), rtol=1e-5)


def test_sample_endpoint(endpoints):
    sample = endpoints["sample"]

    def draw(seed, temperature=1.0, n=6):
        return sample(
            n=tf.constant(n), temperature=tf.constant(temperature), seed=tf.constant(seed)
        )["image"].numpy()

    images = draw([0, 1])
    assert images.shape == (6, 8, 8, 1)
    np.testing.assert_array_equal(images, draw([0, 1]))
    assert np.abs(images - draw([0, 2])).max() > 0
    cold = draw([0, 1], temperature=0.0)
    np.testing.assert_allclose(cold, np.repeat(cold[:1], 6, axis=0), atol=1e-6)


SCRIPT = """
import sys
import numpy as np
import tensorflow as tf

model = tf.saved_model.load(sys.argv[1])
image = model.signatures["sample"](
    n=tf.constant(3), temperature=tf.constant(0.8), seed=tf.constant([0, 0])
)["image"]
score = model.signatures["log_prob"](image=image)["log_prob"]
assert np.isfinite(score).all() and score.shape == (3,)
assert not {"attnflow_keras", "export", "tensorflow_probability"} & set(sys.modules)
print("served")
"""


def test_it_loads_in_a_process_that_never_saw_this_package(saved, tmp_path):
    _, folder, _ = saved
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder / "1")],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert "served" in result.stdout, result.stderr


def test_what_is_wrong_is_not_kept(saved, plain_flow, tmp_path, monkeypatch):
    _, folder, _ = saved
    with pytest.raises(FileExistsError, match="overwrite=True"):
        export.saved_model(plain_flow, folder)
    with pytest.raises(ValueError, match="version must be an integer of at least 1; got 0"):
        export.saved_model(plain_flow, tmp_path / "new", version=0)
    with pytest.raises(export.ExportError, match="flow must be a Flow"):
        export.saved_model(None, tmp_path / "new")
    honest = to_saved_model.graphs

    def wrong(flow):
        for graph in honest(flow):
            if graph.name == "log_prob":
                graph = graph._replace(
                    function=lambda image: {"log_prob": 1.0 + flow.traced_log_prob(image)}
                )
            yield graph

    monkeypatch.setattr(to_saved_model, "graphs", wrong)
    with pytest.raises(export.ExportError, match="log_prob of the SavedModel differs"):
        export.saved_model(plain_flow, tmp_path / "new")
    assert list(tmp_path.iterdir()) == []
