"""Flow++: variational dequantization, its bound, and the importance-weighted one."""

import keras
import numpy as np
import pytest
from keras import ops

from attnflow_keras.models import FlowPlusPlus
from tests.helpers import JAX, jacobian_log_det, perturb, run_eagerly, weight_gradients

SMALL = {
    "width": 4,
    "blocks": 1,
    "heads": 2,
    "components": 2,
    "couplings": (1, 1, 1),
    "dequantizer_width": 4,
    "dequantizer_couplings": 2,
    "dequantizer_blocks": 1,
}


@pytest.fixture(autouse=True)
def _eager():
    run_eagerly(True)
    yield
    run_eagerly(False)


def made(shape=(4, 4, 1), **changes):
    keras.utils.set_random_seed(0)
    flow = FlowPlusPlus(shape, **{**SMALL, **changes})
    flow.adapt(images_of(32, shape))
    return perturb(flow, 0.1)


def images_of(n, shape=(4, 4, 1), seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, *shape)).astype("uint8")


@pytest.mark.float64
def test_the_noise_is_a_flow_from_uniform_noise():
    flow = made(dtype="float64")
    rng = np.random.default_rng(1)
    image, u = rng.uniform(-0.5, 0.5, (2, 4, 4, 1)), rng.uniform(0, 1, (2, 4, 4, 1))
    noise, log_det = flow.dequantizer(image, u)
    noise = np.asarray(noise)
    assert ((noise > 0) & (noise < 1)).all()
    assert np.abs(noise - u).max() > 0.01

    def of_noise(u, image):
        return flow.dequantizer(image, u)[0]

    np.testing.assert_allclose(log_det, jacobian_log_det(of_noise, u, image), rtol=1e-8)
    # And it follows from the image.
    other = np.asarray(flow.dequantizer(image[::-1].copy(), u)[0])
    assert np.abs(other - noise).max() > 1e-3


def test_the_score_of_grey_levels_is_the_bound():
    flow = made()
    images = images_of(3)
    uniform = flow.dequantize(images, seed=5)
    u = 256.0 * (uniform + 0.5) - images
    middle = flow.dequantize(images, center=True)
    noise, gained = flow.dequantizer(middle, u)
    x = ((images + np.asarray(noise)) / 256.0 - 0.5).astype("float32")
    expected = np.asarray(flow.log_prob(x)) + np.asarray(gained) - 16 * np.log(256)
    np.testing.assert_allclose(flow.log_prob(images, seed=5), expected, rtol=1e-4)
    bits = flow.bits_per_dim(images, seed=5)
    np.testing.assert_allclose(bits, -expected / (16 * np.log(2)), rtol=1e-4)
    np.testing.assert_allclose(flow.predict(images, verbose=0), flow.log_prob(images), rtol=1e-4)
    # Of float images it is the density, as for any flow.
    latents, log_det = flow.encode(x)
    normal = sum(-0.5 * (np.asarray(z) ** 2 + np.log(2 * np.pi)).sum((1, 2, 3)) for z in latents)
    np.testing.assert_allclose(flow.log_prob(x), np.asarray(log_det) + normal, rtol=1e-4)


def test_several_draws_give_a_tighter_bound():
    flow = made()
    images = images_of(4)
    draws = np.stack([np.asarray(flow.bits_per_dim(images, seed=seed)) for seed in range(16)])
    weighted = flow.importance_bits_per_dim(images, samples=16)
    assert (weighted < draws.mean(axis=0)).all()
    assert (weighted > draws.min(axis=0) - 1e-6).all()
    expected = -np.log2(np.mean(np.exp2(-16 * draws.astype("float64")), axis=0)) / 16
    np.testing.assert_allclose(weighted, expected, rtol=1e-5)
    one = flow.importance_bits_per_dim(images, samples=1, seed=3)
    np.testing.assert_allclose(one, flow.bits_per_dim(images, seed=3), rtol=1e-6)


def test_gradients_reach_the_flow_of_the_noise():
    flow = made(dropout=0.0)
    images = images_of(2)

    def loss():
        return ops.sum(flow(images, training=True))

    found = [(p, g) for p, g in weight_gradients(flow, loss) if "dequantizer" in p]
    assert len(found) == len(flow.dequantizer.trainable_variables)
    for path, one in found:
        assert one is not None, path
        assert np.isfinite(one).all(), path
    assert sum(np.abs(one).max() > 0 for _, one in found) > 0.9 * len(found)


def test_training_lowers_the_bound_and_files_keep_the_noise(tmp_path):
    run_eagerly(False)
    flow = made()
    images = images_of(16) // 8
    before = np.mean(flow.bits_per_dim(images))
    weights = [np.array(v) for v in flow.dequantizer.trainable_variables]
    flow.compile(keras.optimizers.Adam(5e-3))
    flow.fit(images, batch_size=8, epochs=6, verbose=0)
    scores = np.asarray(flow.bits_per_dim(images))
    assert scores.mean() < before
    changed = [
        np.abs(np.asarray(v) - w).max() > 0
        for v, w in zip(flow.dequantizer.trainable_variables, weights, strict=True)
    ]
    assert np.mean(changed) > 0.9
    evaluated = flow.evaluate(images, batch_size=8, verbose=0, return_dict=True)
    np.testing.assert_allclose(evaluated["bits_per_dim"], scores.mean(), rtol=1e-4)
    path = tmp_path / "flow.keras"
    flow.save(path)
    loaded = keras.saving.load_model(path)
    np.testing.assert_array_equal(loaded.bits_per_dim(images), scores)
    np.testing.assert_array_equal(flow.clone().bits_per_dim(images), scores)


def test_uniform_dequantization_has_no_flow_of_the_noise():
    flow = made(dequantization="uniform")
    assert flow.dequantizer is None
    assert flow.not_exported is None
    images = images_of(3)
    x = flow.dequantize(images, seed=2)
    np.testing.assert_allclose(flow.bits_per_dim(images, seed=2), flow.bits_per_dim(x), rtol=1e-5)
    assert (flow.importance_bits_per_dim(images, 4) < 20).all()


@pytest.mark.skipif(JAX, reason="exports need TensorFlow")
def test_an_export_is_refused_with_the_reason(tmp_path):
    import export
    from attnflow_keras.runtime.errors import ExportError

    with pytest.raises(ExportError, match="FlowPlusPlus is not exported: its scores of uint8"):
        export.onnx(made(), tmp_path / "out")


def test_bad_arguments_give_one_clear_error():
    flow = made()
    for make, message in (
        (lambda: FlowPlusPlus((4, 6, 1)), "a width divisible by 4; got .4, 6, 1."),
        (lambda: FlowPlusPlus((4, 4, 1), couplings=(1, 2)), "couplings must be three numbers"),
        (lambda: FlowPlusPlus((4, 4, 1), couplings=(1, 2, -1)), "couplings must be an integer"),
        (lambda: FlowPlusPlus((4, 4, 1), dequantization="none"), "must be one of variational, u"),
        (lambda: flow.importance_bits_per_dim(images_of(2), 0), "samples must be an integer"),
        (lambda: flow.importance_bits_per_dim(np.zeros((2, 4, 4, 1))), "images must be uint8"),
        (lambda: flow.log_prob(images_of(2, (4, 8, 1))), "images must have shape"),
        (lambda: flow.log_prob(images_of(2), condition=np.zeros(2)), "flow is unconditional"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            make()
        assert "\n" not in str(error.value)
