"""The mixture CDF in the tails, against high precision, and its inverse."""

import numpy as np
import pytest
import tensorflow as tf

from attnflow_keras import layers, models, networks
from attnflow_keras.bijectors import MixtureLogisticCDF
from tests.helpers import jacobian_log_det


def mixture(means, log_scales, logits=None, floor=0.0, dtype="float64", n=1):
    k = len(means)
    shape = (n, 1, 1, k, 1)

    def spread(v):
        return tf.constant(np.broadcast_to(np.reshape(v, (1, 1, 1, k, 1)), shape), dtype)

    zero = tf.zeros((n, 1, 1, 1), dtype)
    return MixtureLogisticCDF(
        spread(np.zeros(k) if logits is None else logits),
        spread(means),
        spread(log_scales),
        zero,
        zero,
        floor=floor,
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_standard_component_is_the_identity_even_100_scales_out(dtype):
    # logit(sigmoid(x)) = x: what rounds to 1 or 0 along the way must not show.
    x = np.array([-100, -60, -20, -5, 0, 5, 18, 20, 30, 100], dtype).reshape(-1, 1, 1, 1)
    y, log_det = mixture([0.0], [0.0], dtype=dtype, n=len(x)).forward_and_log_det(x)
    np.testing.assert_allclose(y, x, rtol=1e-6)
    np.testing.assert_allclose(log_det, np.zeros(len(x)), atol=2e-5)


def test_log_det_from_minus_100_to_100_scales():
    x = np.linspace(-100, 100, 41).reshape(-1, 1, 1, 1)
    b = mixture([-1.0, 0.5, 2.0], [0.0, -1.0, 0.5], [0.2, -1.0, 0.4], 0.002, n=len(x))
    _, log_det = b.forward_and_log_det(x)
    expected = jacobian_log_det(lambda v: b.forward_and_log_det(v)[0], x)
    np.testing.assert_allclose(log_det, expected, atol=1e-9)


def test_inverse_for_any_target_without_a_clamp():
    target = np.concatenate([np.linspace(-100, 100, 81), [-1e4, 1e4]]).reshape(-1, 1, 1, 1)
    b = mixture([-3.0, 0.0, 4.0], [-4.0, 0.0, -6.0], [1.0, 0.0, 2.0], 0.002, n=len(target))
    x, _ = b.inverse_and_log_det(target)
    np.testing.assert_allclose(b.forward_and_log_det(x)[0], target, rtol=1e-8, atol=1e-6)


def test_inverse_of_random_mixtures_in_float32():
    rng = np.random.default_rng(0)
    n, k = 4000, 6
    shape = (n, 1, 1, k, 1)

    def draw(low, high, s=shape):
        return tf.constant(rng.uniform(low, high, s), "float32")

    b = MixtureLogisticCDF(
        draw(-3, 3),
        draw(-4, 4),
        draw(-8, 1),
        draw(-1, 1, (n, 1, 1, 1)),
        draw(-1, 1, (n, 1, 1, 1)),
        floor=0.002,
    )
    y = tf.constant(1.2 * rng.normal(size=(n, 1, 1, 1)), "float32")
    x, inverse = b.inverse_and_log_det(y)
    again, forward = b.forward_and_log_det(x)
    # The slope reaches exp(8): one float32 step of x moves y by 1e-3.
    slope = np.exp(np.abs(np.asarray(forward)))
    assert np.abs(np.asarray(again - y)).ravel().max() < 5e-3
    assert np.median(np.abs(np.asarray(again - y))) < 1e-5
    np.testing.assert_allclose(inverse, -np.asarray(forward), atol=1e-5)
    assert slope.max() > 100


def test_floor_keeps_the_map_invertible_between_narrow_components():
    x = np.linspace(-2, 2, 101).astype("float32").reshape(-1, 1, 1, 1)
    errors = {}
    for floor in (0.0, 0.002):
        b = mixture([-2.0, 2.0], [-7.0, -7.0], floor=floor, dtype="float32", n=len(x))
        back, _ = b.inverse_and_log_det(tf.constant(np.array(b.forward_and_log_det(x)[0])))
        errors[floor] = float(np.abs(np.asarray(back) - x).max())
    assert errors[0.002] < 2e-3
    assert errors[0.0] > 0.1


def test_a_certain_grey_level_costs_nothing_with_a_bin():
    """All weight on the bin of level 0 gives the uniform density 256 there: 0 bits a value."""
    logits = np.full((1, 1, 1, 3, 1), -30.0, "float32")
    logits[..., 2, :] = 30.0
    zeros = np.zeros((1, 1, 1, 2, 1), "float32")
    cdf = MixtureLogisticCDF(logits, zeros, zeros, bins=[-0.5], bin_width=1 / 256)
    x = (np.linspace(0.1, 0.9, 5, dtype="float32") / 256 - 0.5).reshape(5, 1, 1, 1)
    y, log_det = cdf.forward_and_log_det(x)
    # Of a logistic base: log p(x) = log p(y) + log_det.
    log_prob = -np.logaddexp(0, y) - np.logaddexp(0, -np.asarray(y))
    np.testing.assert_allclose(log_prob[:, 0, 0, 0] + log_det, np.log(256), rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bins": (0, 256)}, "bins must be grey levels, integers from 0 to 255; got"),
        ({"bins": 7.5}, "bins must be grey levels, integers from 0 to 255; got 7.5"),
        ({"bins": (0,), "form": "paper"}, "bins go with form='stable'"),
        ({"spread": 0.0}, "spread must be"),
    ],
)
def test_bad_bins(options, message):
    with pytest.raises(ValueError, match=message):
        layers.MixtureCoupling(networks.GatedConvNet(4), **options)


def test_bins_of_a_flow_with_affine_couplings():
    with pytest.raises(ValueError, match="bins go with coupling='mixture'; got coupling='affine'"):
        models.MARFlow((8, 8, 1), levels=1, width=4, coupling="affine", bins=(0,))
