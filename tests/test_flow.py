"""The contract of Flow: encode, decode, scores, samples."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from attnflow_keras.layers.multi_scale import MultiScale
from attnflow_keras.models import MARFlow
from export.graphs import graphs
from tests.conftest import make_tiny_flow
from tests.helpers import perturb

pytestmark = pytest.mark.eager


def test_density_integrates_to_one():
    # A flow over one 2x2 grey image: E_z[1] = 1 is trivial, so check by importance sampling:
    # the mean of p(x) / q(x) for x ~ q must be 1 within its standard error.
    flow = make_tiny_flow(image_shape=(2, 2, 1), levels=1, steps=2, dtype="float64")
    perturb(flow, 0.1)
    rng = np.random.default_rng(0)
    sd = 6.0
    x = sd * rng.standard_t(4, size=(20_000, 2, 2, 1))
    u = x / sd
    log_t = -2.5 * np.log1p(u**2 / 4) + np.log(3 / 8) - np.log(sd)
    ratio = np.exp(np.asarray(flow.traced_log_prob(tf.constant(x))) - log_t.sum(axis=(1, 2, 3)))
    error = ratio.std() / np.sqrt(len(ratio))
    assert error < 0.2
    assert abs(ratio.mean() - 1) < 4 * error


class Tempered(MARFlow):
    """A density of its own: that of the latents to the power of 1/2, without its constant."""

    def traced_log_prob(self, x, features=None, noise=None):
        return 0.5 * super().traced_log_prob(x, features, noise)


def test_a_density_of_the_user_s_own_counts_everywhere(tiny_images):
    options = {"levels": 2, "steps": 1, "width": 4, "components": 2, "prior": "gaussian"}
    options["conditioner"] = "gated_conv"
    flow = Tempered(tiny_images.shape[1:], **options)
    flow.adapt(tiny_images)
    plain = MARFlow(tiny_images.shape[1:], **options)
    plain.set_weights(flow.get_weights())
    assert plain.scores_latents()
    assert not flow.scores_latents()
    images = tiny_images[:6]
    x = flow.dequantize(images)
    density, half = plain.log_prob(x), np.asarray(flow.log_prob(x))
    np.testing.assert_allclose(half, 0.5 * np.asarray(density), rtol=1e-6)
    np.testing.assert_allclose(flow.predict(x, verbose=0), half, rtol=1e-6)
    bits = 8 - half / (flow.num_dims * np.log(2))
    np.testing.assert_allclose(flow.bits_per_dim(images), bits, rtol=1e-5)
    assert flow.diagnose(images).bits_per_dim == pytest.approx(bits.mean(), rel=1e-5)
    graph = {graph.name: graph.function for graph in graphs(flow)}["log_prob"]
    np.testing.assert_allclose(graph(tf.constant(x))["log_prob"], half, rtol=1e-6)
    for ours, theirs in zip(flow.encode(x)[0], plain.encode(x)[0], strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize(
    "policy",
    [
        "float64",
        pytest.param("float32", marks=pytest.mark.compiled),
        "mixed_float16",
        "mixed_bfloat16",
    ],
)
def test_policies_predict_equals_log_prob(policy, tiny_images):
    flow = make_tiny_flow(dtype=policy)
    flow.adapt(tiny_images)
    flow.compile(optimizer="adam", jit_compile=False)
    images = tiny_images[:32]
    predicted = flow.predict(images, verbose=0)
    assert predicted.shape == (32,)
    assert predicted.dtype == ("float64" if policy == "float64" else "float32")
    np.testing.assert_allclose(predicted, flow.log_prob(images), rtol=1e-5, atol=1e-3)
    x = flow.dequantize(images)
    np.testing.assert_allclose(flow.predict(x, verbose=0), flow.log_prob(x), rtol=1e-5, atol=1e-3)
    codes = [np.array(z) for z in flow.encode(x)[0]]
    np.testing.assert_allclose(flow.decode(codes), x, atol=1e-3)


@pytest.mark.compiled
def test_xla_agrees(tiny_images):
    flow = make_tiny_flow(levels=1)
    flow.adapt(tiny_images)
    images = tiny_images[:6]
    plain = np.asarray(flow.log_prob(images, batch_size=4))
    flow.jit = True
    np.testing.assert_allclose(flow.log_prob(images, batch_size=4), plain, rtol=1e-5)
    codes = [np.array(z) for z in flow.encode(flow.dequantize(images))[0]]
    back = flow.decode(codes, batch_size=4)
    np.testing.assert_allclose(back, flow.dequantize(images), atol=1e-4)


@pytest.mark.compiled
def test_encode_decode_and_log_prob_are_differentiable(tiny_images):
    tiny_flow = make_tiny_flow(levels=1)
    tiny_flow.adapt(tiny_images)
    x = tf.constant(tiny_flow.dequantize(tiny_images[:2]))
    latents, _ = tiny_flow.encode(x)
    latents = [tf.constant(np.array(z)) for z in latents]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x, *latents])
        score = tf.reduce_sum(tiny_flow.log_prob(x))
        back = tf.reduce_sum(tiny_flow.decode(latents) ** 2)
    for gradient in tape.gradient(back, latents):
        assert np.abs(gradient).max() > 0
    weights = [v.value for v in tiny_flow.trainable_variables]
    of_image, *of_weights = tape.gradient(score, [x, *weights])
    assert np.abs(of_image).max() > 0
    assert all(g is not None for g in of_weights)


@pytest.mark.compiled
def test_scores_and_latents_are_one_trace(plain_flow, tiny_images, monkeypatch):
    traces, encode = [], MultiScale.encode
    monkeypatch.setattr(MultiScale, "encode", lambda *given: traces.append(given) or encode(*given))
    x = plain_flow.dequantize(tiny_images[:5], seed=0)
    density = plain_flow.log_prob(x)
    latents, log_det = plain_flow.encode(x)
    assert len(traces) == 1
    normal = sum(np.sum(-0.5 * np.square(z) - 0.5 * np.log(2 * np.pi), (1, 2, 3)) for z in latents)
    np.testing.assert_allclose(density, log_det + normal, rtol=1e-5)


def test_as_distribution(tiny_flow, tiny_images):
    distribution = tiny_flow.as_distribution()
    x = tiny_flow.dequantize(tiny_images[:6])
    np.testing.assert_allclose(distribution.log_prob(x), tiny_flow.log_prob(x), rtol=1e-5)
    drawn = distribution.sample(4, seed=1)
    assert drawn.shape == (4, 8, 8, 1)
    np.testing.assert_allclose(
        distribution.log_prob(fresh_copy(drawn)), tiny_flow.log_prob(np.array(drawn)), rtol=1e-4
    )
    assert tuple(distribution.event_shape) == (8, 8, 1)


def test_as_distribution_takes_any_batch_shape(tiny_flow, tiny_images):
    distribution = tiny_flow.as_distribution()
    one = distribution.sample(seed=1)
    assert one.shape == (8, 8, 1)
    many = distribution.sample((2, 3), seed=1)
    assert many.shape == (2, 3, 8, 8, 1)
    x = tiny_flow.dequantize(tiny_images[:6])
    expected = np.asarray(tiny_flow.log_prob(x))
    np.testing.assert_allclose(distribution.log_prob(x[0]), expected[0], rtol=1e-5)
    nested = distribution.log_prob(x.reshape(2, 3, 8, 8, 1))
    np.testing.assert_allclose(nested, expected.reshape(2, 3), rtol=1e-5)


def test_as_distribution_checks_its_value(tiny_flow, tiny_images):
    distribution = tiny_flow.as_distribution()
    x = tiny_flow.dequantize(tiny_images[:2])
    for value, message in (
        (tiny_images[:2], "value must be float images"),
        (x[:, :4], r"value must have shape \(\.\.\., 8, 8, 1\); got \(2, 4, 8, 1\)"),
        (x * np.nan, "value must be finite"),
        (x + 0.5, "value: float images must lie in"),
    ):
        with pytest.raises(ValueError, match=message):
            distribution.log_prob(value)
        with pytest.raises(ValueError, match=message):
            distribution.prob(value)


def fresh_copy(x):
    return tf.constant(np.array(x))


def test_a_compiled_flow_goes_on_training_after_loading(tiny_flow, tiny_images, tmp_path):
    tiny_flow.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
    tiny_flow.fit(tiny_images[:32], batch_size=32, shuffle=False, verbose=0)
    tiny_flow.save(tmp_path / "flow.keras")
    loaded = keras.saving.load_model(tmp_path / "flow.keras")
    assert int(loaded.optimizer.iterations) == 1
    results = []
    for flow in (tiny_flow, loaded):
        flow.fit(tiny_images[:32], batch_size=32, shuffle=False, verbose=0)
        results.append(flow.evaluate(tiny_images[:32], verbose=0, return_dict=True))
    assert results[1]["bits_per_dim"] == pytest.approx(results[0]["bits_per_dim"], abs=1e-4)


def test_decode_is_finite_at_1_2_sigma(tiny_flow):
    perturb(tiny_flow, 0.2)
    images = tiny_flow.sample(256, temperature=1.2, seed=0, as_float=True)
    assert np.isfinite(images).all()


def test_quantize_is_that_of_keras(tiny_flow):
    with pytest.raises(ValueError, match="[Ii]nvalid quantization mode"):
        tiny_flow.quantize("grey")
