"""TransformerCouplingFlow: halves, conditions, one pass both ways."""

import numpy as np
import pytest

from attnflow_keras.layers.transformer_coupling import KINDS, _halves
from attnflow_keras.models import TransformerCouplingFlow
from tests.helpers import perturb
from tests.test_causal_flow import KINDS as CONDITIONS

SMALL = {"patch": 2, "couplings": 6, "layers": 1, "width": 8, "heads": 2, "components": 3}


def make(kind="none", **changes):
    arguments, condition = CONDITIONS[kind]
    flow = TransformerCouplingFlow((4, 4, 3), **{**SMALL, **arguments, **changes})
    perturb(flow, 0.1)
    return flow, condition


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (2, 4, 4, 3), dtype="uint8")


@pytest.mark.parametrize("kind", CONDITIONS)
def test_round_trip_score_and_sample(kind, images):
    flow, condition = make(kind)
    x = flow.dequantize(images, center=True)
    latents, log_det = flow.encode(x, condition)
    assert flow.latent_shapes == ((4, 4, 3),)
    np.testing.assert_allclose(flow.decode(latents, condition), x, atol=1e-4)
    normal = -0.5 * np.sum(np.square(latents[0]) + np.log(2 * np.pi), axis=(1, 2, 3))
    np.testing.assert_allclose(flow.log_prob(x, condition), log_det + normal, rtol=1e-5)
    assert flow.sample(2, condition, seed=0).shape == images.shape


def test_every_value_reaches_every_latent():
    flow, _ = make(couplings=10, dtype="float64")
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 4, 4, 3))
    latents = np.asarray(flow.encode(x)[0][0])
    x[0, 2, 1, 1] += 0.05
    assert (np.asarray(flow.encode(x)[0][0]) != latents).all()


@pytest.mark.parametrize("kind", KINDS)
def test_halves(kind):
    half = _halves(kind, (6, 6, 2), 2, seed=3)
    assert half.shape == (72,)
    assert 1 / 3 <= half.mean() <= 2 / 3
    tokens = half.reshape(9, 8)
    if kind in ("checkerboard", "rows", "columns"):
        assert (tokens == tokens[:, :1]).all()
    else:
        assert (tokens == tokens[:1]).all()
        assert tokens[0].sum() == 4


def test_the_configuration_comes_back(images):
    flow, _ = make(mixtures=2, bins=(0,), seed=5)
    again = TransformerCouplingFlow.from_config(flow.get_config())
    again.set_weights(flow.get_weights())
    np.testing.assert_array_equal(again.log_prob(images), flow.log_prob(images))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch": 3}, "patch must divide the map's height and width, 4 and 4; got 3"),
        ({"couplings": 5}, "couplings must be even"),
        ({"mixtures": 0}, "bins need mixtures of at least 2; got mixtures=0"),
        ({"width": 9}, "width must be divisible by heads; got width=9, heads=2"),
        ({"bins": (256,)}, "bins must be grey levels"),
        ({"classes": 3, "scale": 2}, "give one of classes, scale, palette; got classes, scale"),
        ({"patch": 4, "couplings": 6}, "kind must leave some values and change others"),
    ],
)
def test_bad_arguments(changes, message):
    with pytest.raises(ValueError, match=message):
        TransformerCouplingFlow((4, 4, 3), **{**SMALL, **changes})
