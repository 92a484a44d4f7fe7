"""What holds on each backend of Keras, where they differ most, and between the two."""

import copy
import subprocess
import sys

import keras
import numpy as np
import pytest
from keras import ops

import export
import zoo
from attnflow_keras.backend.new_weights import weights_by_numpy
from attnflow_keras.layers import ActNorm
from attnflow_keras.ops import loops
from attnflow_keras.ops.numerics import LN_2PI
from tests.backends import EXPECTED, PRETRAINED, measured, some
from tests.conftest import make_tiny_flow
from tests.helpers import JAX, gradient, traced

on_jax = pytest.mark.skipif(not JAX, reason="about JAX")


def bits(flow, images):
    return np.array(flow.bits_per_dim(images, batch_size=4))


def trained(flow, images, rate=1e-2, **options):
    flow.compile(keras.optimizers.SGD(rate, clipnorm=1.0))
    return flow.fit(images, batch_size=len(images), verbose=0, **options).history["loss"]


def test_scores_and_samples_are_those_of_the_weights_of_now(plain_flow, tiny_images):
    images = tiny_images[:8]
    first = bits(plain_flow, images)
    twin = copy.deepcopy(plain_flow)
    np.testing.assert_allclose(bits(twin, images), first, rtol=1e-5)
    trained(plain_flow, images)
    second = bits(plain_flow, images)
    assert np.abs(second - first).max() > 1e-3
    # A clone compiles everything anew.
    fresh = plain_flow.clone()
    np.testing.assert_allclose(second, bits(fresh, images), rtol=1e-5)
    drawn = [flow.sample(2, seed=0, as_float=True) for flow in (plain_flow, fresh)]
    np.testing.assert_allclose(*drawn, atol=1e-4)
    # Nor does a copy share anything with its original.
    np.testing.assert_allclose(bits(twin, images), first, rtol=1e-5)
    trained(twin, images, rate=1e-3)
    third = bits(twin, images)
    assert np.abs(third - first).max() > 1e-4
    assert np.abs(third - second).max() > 1e-4
    np.testing.assert_allclose(bits(twin.clone(), images), third, rtol=1e-5)
    np.testing.assert_allclose(bits(plain_flow, images), second, rtol=1e-5)


def test_noise_follows_the_step(plain_flow, tiny_images):
    images = tiny_images[:8]
    still = {"rate": 0.0, "epochs": 4, "shuffle": False}
    losses = trained(plain_flow, images, **still)
    assert len(set(losses)) == 4
    # A run that starts again at the first step draws the same.
    np.testing.assert_allclose(trained(plain_flow, images, **still), losses, rtol=1e-6)


def test_gradients_flow_through_long_loops():
    def looped(x):
        (total,) = loops.repeat(40, lambda i, now: (now[0] + 0.02 * ops.sin(now[0]),), (x,))
        return ops.sum(total)

    def scanned(x):
        def step(state, part):
            return (state[0] * 0.9 + part,), state[0] * part

        return ops.sum(loops.scan(step, (ops.zeros_like(x[0]),), x))

    rng = np.random.default_rng(0)
    for function in (looped, scanned):
        x = rng.normal(size=(40, 3)).astype("float32")
        direction = rng.normal(size=x.shape).astype("float32")
        step = np.float32(1e-3)
        moved = [float(traced(function)(x + s * direction)) for s in (step, -step)]
        found = float((gradient(function, x) * direction).sum())
        assert found == pytest.approx((moved[0] - moved[1]) / (2 * step), rel=2e-2, abs=1e-2)


# Eagerly: on TensorFlow tracing takes longer than the operations of one batch.
@pytest.mark.eager
@pytest.mark.parametrize("name", PRETRAINED)
def test_a_pretrained_entry_gives_what_it_gives_on_the_other_backend(name):
    """Some of these were trained on JAX, some on TensorFlow; recorded on TensorFlow."""
    recorded = np.load(EXPECTED)
    found = measured(name)
    np.testing.assert_allclose(found["bits"], recorded[f"{name}/bits"], atol=1e-4)
    expected = recorded[f"{name}/latents"]
    error = np.abs(found["latents"] - expected) / np.maximum(1.0, np.abs(expected))
    assert error.max() < 1e-3


@pytest.mark.eager
def test_a_score_follows_from_the_latents():
    """What ``measured`` makes of latents is what the flow's own score is."""
    flow = zoo.load("marflow-mnist")
    images, _ = some("marflow-mnist", flow)
    latents, log_det = flow.encode(flow.dequantize(images))
    log_prob = np.asarray(log_det, "float64") - flow.num_dims * np.log(256)
    log_prob -= sum(0.5 * (np.asarray(z) ** 2 + LN_2PI).sum(axis=(1, 2, 3)) for z in latents)
    found = -log_prob / flow.num_dims / np.log(2)
    np.testing.assert_allclose(found, flow.bits_per_dim(images), atol=1e-4)
    np.testing.assert_allclose(found, np.load(EXPECTED)["marflow-mnist/bits"], atol=1e-4)


def test_loading_draws_no_weights(tiny_flow, tmp_path, monkeypatch):
    zoo.save(tiny_flow, tmp_path / "flow", {"task": "unconditional"})

    def draw(*args, **kwargs):
        raise AssertionError("a weight is drawn")

    for kind in ("VarianceScaling", "RandomNormal", "RandomUniform"):
        monkeypatch.setattr(getattr(keras.initializers, kind), "__call__", draw)
    monkeypatch.setattr(np.random, "normal", draw)
    monkeypatch.setattr(np.random, "uniform", draw)
    loaded = zoo.load(tmp_path / "flow")
    for ours, theirs in zip(loaded.get_weights(), tiny_flow.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert loaded.clone().is_adapted


@pytest.mark.parametrize(
    "initializer",
    [
        "glorot_uniform",
        "he_normal",
        keras.initializers.VarianceScaling(0.5, "fan_out", "untruncated_normal"),
        keras.initializers.RandomNormal(mean=0.1, stddev=0.2),
        keras.initializers.RandomUniform(-0.3, 0.1),
        "zeros",
    ],
)
def test_numpy_draws_start_values_from_the_same_distributions(initializer):
    def kernel():
        layer = keras.layers.Conv2D(64, 3, kernel_initializer=initializer)
        layer.build((None, 8, 8, 32))
        return np.asarray(layer.kernel)

    theirs = kernel()
    with weights_by_numpy():
        ours = kernel()
    assert ours.dtype == theirs.dtype
    share = np.linspace(0.0, 1.0, 9)
    spread = max(theirs.std(), 1e-9)
    np.testing.assert_allclose(
        np.quantile(ours, share[1:-1]), np.quantile(theirs, share[1:-1]), atol=0.1 * spread
    )
    assert np.abs(ours).max() <= np.abs(theirs).max() * 1.3


def test_another_backend_is_refused():
    code = "import keras; keras.backend.backend = lambda: 'numpy'; import attnflow_keras.models"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert "ImportError: Keras' backend must be tensorflow or jax; got numpy" in done.stderr


@on_jax
def test_tensorflow_is_not_imported():
    assert not [name for name in sys.modules if name.partition(".")[0] == "tensorflow"]


@on_jax
def test_float64_needs_64_bit_numbers(tiny_flow):
    for make in (
        lambda: ActNorm(dtype="float64"),
        lambda: make_tiny_flow(dtype="float64"),
        lambda: tiny_flow.clone(dtype="float64"),
        lambda: zoo.load("marflow-mnist", dtype="float64"),
    ):
        with pytest.raises(ValueError, match="set JAX_ENABLE_X64=1 before") as error:
            make()
        assert "\n" not in str(error.value)


@on_jax
def test_export_is_refused_with_what_to_do(tiny_flow, tmp_path):
    for write in (export.onnx, export.saved_model, export.triton):
        with pytest.raises(export.ExportError, match="TensorFlow backend.*attnflow export FOLDER"):
            write(tiny_flow, tmp_path / "out")
    assert not (tmp_path / "out").exists()
