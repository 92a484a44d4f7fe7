"""The methods of ImageModel on a Keras flow and on its export: the same values."""

import numpy as np
import pytest

from tests.helpers import JAX
from tests.verb_pairs import COLOURS, KINDS, same


@pytest.fixture(params=KINDS)
def pair(request, make_pair):
    return make_pair(request.param)


def test_dequantize_and_to_uint8(pair):
    images, _ = pair.some(4)
    for options in ({"seed": 0}, {"seed": 5}, {"center": True}):
        x = same(pair, lambda m: m.dequantize(images, **options))  # noqa: B023
        assert x.dtype == np.float32
        np.testing.assert_array_equal(same(pair, lambda m: m.to_uint8(x)), images)  # noqa: B023
    for model in pair.models:
        assert (model.dequantize(images, None) != model.dequantize(images, None)).any()
    assert same(pair, lambda m: m.to_uint8(x * 9)).max() == 255


@pytest.mark.parametrize("batch_size", [3, 64])
def test_encode_and_decode(pair, batch_size):
    images, given = pair.some(5)
    x = pair.flow.dequantize(images, center=True)
    expected, log_det = pair.flow.encode(x, **given)
    for model in pair.models:
        latents, found = model.encode(x, **given, batch_size=batch_size, check=True)
        np.testing.assert_allclose(found, log_det, rtol=1e-5, atol=1e-4)
        assert tuple(z.shape[1:] for z in latents) == model.latent_shapes
        for a, b in zip(latents, expected, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-3)
        back = model.decode(latents, **given, batch_size=batch_size)
        np.testing.assert_allclose(back, x, atol=1e-3)
        np.testing.assert_array_equal(model.to_uint8(back), images)
        as_lists = [np.asarray(z, "float64").tolist() for z in latents]
        np.testing.assert_allclose(model.decode(as_lists, **given), back, atol=1e-5)


def test_one_latent_needs_no_tuple(make_pair):
    pair = make_pair("classes")
    images, given = pair.some(2)
    for model in pair.models:
        (z,), _ = model.encode(model.dequantize(images, center=True), **given)
        np.testing.assert_array_equal(model.to_uint8(model.decode(z, **given)), images)


def test_scores(pair):
    images, given = pair.some(6)
    x = pair.flow.dequantize(images, seed=0)
    constant = pair.flow.float_dims * np.log(256)
    density = same(pair, lambda m: m.log_prob(x, **given), rtol=1e-4)
    bound = same(pair, lambda m: m.log_prob(images, **given), rtol=1e-5)
    np.testing.assert_allclose(bound, density - constant, rtol=1e-4)
    bits = same(pair, lambda m: m.bits_per_dim(images, **given), atol=2e-5)
    assert bits.shape == (6,)
    np.testing.assert_allclose(bits, -bound / (pair.flow.num_dims * np.log(2)), rtol=1e-5)
    np.testing.assert_allclose(
        same(pair, lambda m: m.bits_per_dim(x, **given), atol=2e-5), bits, atol=2e-5
    )
    other = same(pair, lambda m: m.bits_per_dim(images, **given, seed=1), atol=2e-5)
    assert (other != bits).all()
    for model in pair.models:
        seen = []
        found = model.log_prob(images, **given, batch_size=4, progress=seen.append)
        np.testing.assert_allclose(found, bound, rtol=1e-5)
        assert seen == [4, 6]
    # Floats of another precision, and values at the ends of the range.
    ends = np.linspace(-0.5, 0.5, x[:2].size).reshape(x[:2].shape)
    two = {key: value[:2] for key, value in given.items()}
    same(pair, lambda m: m.bits_per_dim(ends, **two), rtol=1e-4)


def test_samples(pair):
    _, given = pair.some(5)
    same(pair, lambda m: m.sample(5, **given, temperature=0.8, seed=3, as_float=True), atol=1e-4)
    for model in pair.models:
        images = model.sample(5, **given, temperature=0.7, seed=1)
        assert images.dtype == np.uint8
        assert images.shape == (5, *model.image_shape)
        options = {**given, "temperature": 0.7, "seed": 1}
        np.testing.assert_array_equal(images, model.sample(5, **options, batch_size=2))
        x = model.sample(5, **options, as_float=True)
        np.testing.assert_array_equal(model.to_uint8(x), images)
        assert (images != model.sample(5, **given, temperature=0.7, seed=2)).any()
        assert (model.sample(5, **given) != model.sample(5, **given)).any()
        assert model.sample(**given).shape[0] == (5 if given else 1)
        assert np.isfinite(model.sample(16, **pair.some(16)[1], temperature=1.2, seed=0)).all()
        _, one = pair.some(1)
        cold = model.sample(3, **one, temperature=0, seed=1)
        assert (cold[0] == cold[1]).all()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "unconditional"])
def test_conditions(make_pair, kind):
    pair = make_pair(kind)
    images, given = pair.some(3)
    condition = given["condition"]
    for model in pair.models:
        bits = np.asarray(model.bits_per_dim(images, condition))
        features = model.encode_condition(condition)
        assert isinstance(features, tuple)
        np.testing.assert_allclose(model.bits_per_dim(images, features), bits, rtol=1e-5)
        assert (np.asarray(model.bits_per_dim(images, condition[::-1])) != bits).any()
        # One condition for all images.
        for one in (condition[:1], model.encode_condition(condition[:1])):
            np.testing.assert_allclose(
                model.bits_per_dim(images, one),
                model.bits_per_dim(images, np.repeat(condition[:1], 3, axis=0)),
                rtol=1e-5,
            )
            assert model.sample(4, one, seed=0).shape == (4, *model.image_shape)
    if JAX:
        return
    named = pair.session.features(condition, 3)
    np.testing.assert_allclose(
        pair.session.bits_per_dim(images, named), pair.flow.bits_per_dim(images, condition), 1e-4
    )
    parts = zip(pair.flow.encode_condition(condition), named.values(), strict=True)
    for ours, theirs in parts:
        np.testing.assert_allclose(theirs, ours, atol=1e-4)


def test_classes_and_colours_are_the_same_condition(make_pair):
    pair = make_pair("label to photo")
    images, given = pair.some(3)
    labels = given["condition"]
    by_class = same(pair, lambda m: m.bits_per_dim(images, labels), atol=2e-5)
    for other in (labels.astype("uint8"), labels.tolist(), COLOURS[labels]):
        found = same(pair, lambda m: m.bits_per_dim(images, other), atol=2e-5)  # noqa: B023
        np.testing.assert_allclose(found, by_class, rtol=1e-6)


def test_interpolation_ends_at_its_ends(pair):
    (a, given), (b, _) = pair.some(3), pair.some(3, 3)
    way = same(pair, lambda m: m.interpolate(a, b, steps=4, **given), atol=1)
    for model in pair.models:
        way = model.interpolate(a, b, steps=4, **given)
        assert way.shape == (3, 4, *model.image_shape)
        np.testing.assert_array_equal(way[:, 0], a)
        np.testing.assert_array_equal(way[:, -1], b)
        _, one = pair.some(1)
        single = model.interpolate(a[0], b[0], steps=4, **one)
        np.testing.assert_array_equal(single, way[0])
        # One condition serves several images.
        assert model.interpolate(a, b, steps=2, **one).shape == (3, 2, *model.image_shape)
        still = model.interpolate(a[0], a[0], steps=3, **one)
        np.testing.assert_array_equal(still[1], a[0])


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "unconditional"])
def test_transfer_keeps_the_latents(make_pair, kind):
    pair = make_pair(kind)
    images, given = pair.some(2)
    condition = given["condition"]
    for model in pair.models:
        np.testing.assert_array_equal(model.transfer(images, condition, condition), images)
        other = model.transfer(images, condition, condition[::-1])
        assert other.shape == images.shape
        assert (other != images).any()
        # One photo with several conditions, or several with one.
        both = model.transfer(images[:1], condition[:1], condition)
        np.testing.assert_array_equal(both[:1], images[:1])
        one = model.transfer(images, condition, condition[:1])
        np.testing.assert_array_equal(one[:1], images[:1])
    ours, theirs = (m.transfer(images, condition, condition[::-1]) for m in pair.models)
    assert (np.abs(ours.astype(int) - theirs) > 1).mean() < 0.01


def test_restorations_of_any_size(make_pair):
    pair = make_pair("super-resolution")
    small = pair.condition[0]
    whole = same(pair, lambda m: m.restore(small, 2, 0.5, seed=3, tile=4), atol=1)
    assert whole.shape == (2, 16, 16, 3)
    calls = []
    large = np.concatenate([*pair.condition[:2], small[:2]])  # 10 x 4
    options = {"temperature": 0.5, "seed": 3, "tile": 4, "overlap": 2}
    tiled = same(pair, lambda m: m.restore(large, **options), atol=1)
    assert tiled.shape == (1, 40, 16, 3)
    pair.session.restore(large[:, :3], progress=lambda *done: calls.append(done))
    assert calls[-1] == (len(calls), len(calls))
    if JAX:
        return
    with pytest.raises(ValueError, match="tile must be 4, the model's fixed size; got 8"):
        pair.session.restore(large, tile=8)


def test_photos_of_label_maps_of_any_size(make_pair):
    pair = make_pair("label to photo")
    label = pair.condition[0]
    drawn = same(pair, lambda m: m.translate(label, 2, 0.5, seed=3), atol=1)
    assert drawn.shape == (2, 4, 4, 3)
    large = np.concatenate([*pair.condition[:2], label[:3]])[:, :3]  # 11 x 3
    options = {"temperature": 0.5, "seed": 3, "overlap": 2}
    tiled = same(pair, lambda m: m.translate(large, 2, **options), atol=1)
    assert tiled.shape == (2, 11, 3, 3)
    np.testing.assert_array_equal(tiled, pair.flow.translate(COLOURS[large], 2, **options))
