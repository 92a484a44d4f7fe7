"""Padding and replication: the flow's shape differs from the data's."""

import numpy as np
import pytest

import zoo
from attnflow_keras.core.preprocess import Preprocess
from attnflow_keras.models import MARFlow
from tests.conftest import make_tiny_flow
from tests.helpers import perturb

PADDED = {"image_shape": (4, 6, 1), "preprocess": {"pad": 1, "replicate": 3}, "levels": 1}


@pytest.fixture
def images(tiny_images):
    return tiny_images[:8, 2:6, 1:7]


@pytest.fixture
def flow(images):
    flow = make_tiny_flow(**PADDED)
    flow.adapt(np.tile(images, (4, 1, 1, 1)))
    return perturb(flow, 0.05)


def test_expand_pads_with_black_and_repeats_channels():
    images = np.arange(1, 13, dtype="uint8").reshape(1, 2, 3, 2)
    expanded = Preprocess(pad=1, replicate=2).expand(images)
    assert expanded.shape == (1, 4, 5, 4)
    assert expanded.dtype == np.uint8
    np.testing.assert_array_equal(expanded[:, 1:-1, 1:-1, :2], images)
    np.testing.assert_array_equal(expanded[:, 1:-1, 1:-1, 2:], images)
    assert not expanded[:, 0].any()
    assert not expanded[:, :, -1].any()


def test_reduce_undoes_expand_and_averages_the_copies():
    preprocess = Preprocess(pad=2, replicate=3)
    images = np.random.default_rng(0).normal(size=(2, 3, 4, 2))
    np.testing.assert_allclose(preprocess.reduce(preprocess.expand(images)), images)
    x = preprocess.expand(images)
    x[..., 0] += 3.0  # the first copy of the first channel
    np.testing.assert_allclose(preprocess.reduce(x)[..., 0], images[..., 0] + 1.0)
    np.testing.assert_allclose(preprocess.reduce(x)[..., 1], images[..., 1])


def test_shapes_and_dims(flow):
    assert flow.image_shape == (4, 6, 1)
    assert flow.float_shape == (6, 8, 3)
    assert (flow.num_dims, flow.float_dims) == (24, 144)
    assert sum(np.prod(shape) for shape in flow.latent_shapes) == 144


def test_every_grey_level_comes_back(flow, images):
    x = flow.dequantize(images)
    assert x.shape == (8, 6, 8, 3)
    # The noise of the copies is independent.
    assert np.abs(x[..., 0] - x[..., 1]).max() > 0
    latents, _ = flow.encode(x)
    np.testing.assert_array_equal(flow.to_uint8(flow.decode(latents)), images)


def test_scores_agree_in_all_their_forms(flow, images):
    log_prob = np.asarray(flow.log_prob(images))
    x = flow.dequantize(images)
    np.testing.assert_allclose(flow.log_prob(x) - 144 * np.log(256.0), log_prob, rtol=1e-5)
    bits = -log_prob / (24 * np.log(2.0))
    np.testing.assert_allclose(flow.bits_per_dim(images), bits, rtol=1e-5)
    np.testing.assert_allclose(flow.bits_per_dim(x), bits, rtol=1e-5)
    flow.compile()
    np.testing.assert_allclose(flow.predict(images, verbose=0), log_prob, rtol=1e-5)
    for data in (images, x):
        found = flow.evaluate(data, verbose=0, return_dict=True)
        assert found["bits_per_dim"] == pytest.approx(bits.mean(), rel=1e-5)
    distribution = flow.as_distribution()
    np.testing.assert_allclose(distribution.log_prob(x), flow.log_prob(x), rtol=1e-5)
    assert tuple(distribution.sample(2).shape) == (2, 6, 8, 3)


def test_training_on_the_data_sets_shape(flow, images):
    flow.compile(optimizer="adam")
    history = flow.fit(images, batch_size=4, epochs=8, verbose=0, validation_data=images)
    bits = history.history["val_bits_per_dim"]
    assert bits[-1] < bits[0]


def test_pictures_have_the_data_sets_shape(flow, images):
    assert flow.sample(3, seed=0).shape == (3, 4, 6, 1)
    assert flow.sample(3, seed=0, as_float=True).shape == (3, 6, 8, 3)
    assert flow.interpolate(images[0], images[1], steps=3).shape == (3, 4, 6, 1)


def test_saved_and_loaded(flow, images, tmp_path):
    zoo.save(flow, tmp_path / "entry")
    loaded = zoo.load(tmp_path / "entry")
    assert loaded.float_shape == flow.float_shape
    np.testing.assert_allclose(loaded.log_prob(images), flow.log_prob(images), rtol=1e-6)


def test_diagnosis(flow, images):
    found = flow.diagnose(images)
    assert found.bits_per_dim == pytest.approx(float(np.mean(flow.bits_per_dim(images))), rel=1e-4)


def test_floats_of_the_data_sets_shape_are_refused(flow, images):
    with pytest.raises(ValueError, match=r"x must have shape \(n, 6, 8, 3\); got \(8, 4, 6, 1\)"):
        flow.encode(images / np.float32(256) - np.float32(0.5))
    with pytest.raises(ValueError, match=r"images must have shape \(n, 4, 6, 1\)"):
        flow.bits_per_dim(Preprocess(1, 3).expand(images))
    with pytest.raises(ValueError, match=r"x must have shape \(n, 6, 8, 3\)"):
        flow.to_uint8(np.zeros((2, 4, 6, 1), "float32"))


@pytest.mark.parametrize(
    ("preprocess", "message"),
    [
        ({"pad": -1}, "preprocess: pad must be an integer of at least 0; got -1"),
        ({"replicate": 0}, "preprocess: replicate must be an integer of at least 1; got 0"),
        ({"crop": 2}, "preprocess takes pad and replicate; got crop"),
        (3, "preprocess must be a dict or None; got 3"),
        ({"pad": 2}, r"image_shape \(9, 8, 1\) can't be squeezed 2 times"),
    ],
)
def test_bad_preprocess(preprocess, message):
    with pytest.raises(ValueError, match=message):
        MARFlow((5, 4, 1), levels=2, steps=1, width=4, preprocess=preprocess)
