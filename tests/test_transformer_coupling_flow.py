"""TransformerCouplingFlow: halves, mixing, errors."""

import numpy as np
import pytest

from attnflow_keras.layers.transformer_coupling import KINDS, _halves
from tests.helpers import perturb
from tests.model_table import make_coupling


def test_every_value_reaches_every_latent():
    flow = perturb(make_coupling(couplings=10, dtype="float64"), 0.1)
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
        make_coupling(**changes)
