"""TransformerCouplingFlow: halves, mixing, errors."""

import numpy as np
import pytest

from attnflow_keras.layers import TransformerCoupling
from attnflow_keras.layers.refinement import refinement_stages
from attnflow_keras.layers.transformer_coupling import KINDS, _halves
from tests.helpers import perturb
from tests.model_table import make_coupling


def test_every_value_reaches_every_latent():
    flow = perturb(make_coupling(couplings=10, dtype="float64"), 0.1)
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 4, 4, 3))
    latents = np.asarray(flow.encode(x)[0][0])
    x[0, 2, 1, 1] += 0.05
    assert (np.asarray(flow.encode(x)[0][0]) != latents).all()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "refinement"])
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


@pytest.mark.parametrize("shape", [(28, 28, 1), (5, 6, 3), (1, 7, 2), (1, 1, 1)])
def test_stages_go_from_fine_to_coarse(shape):
    stages = refinement_stages(shape)
    sizes = np.bincount(stages.reshape(-1))
    assert (sizes > 0).all()
    assert sizes[-1] == 1
    assert sizes.max() == sizes[0]


def test_every_value_is_refined_once_given_the_coarser_ones():
    flow = perturb(make_coupling(refine=True, couplings=0, image_shape=(4, 4, 1), dtype="float64"))
    stages = refinement_stages((4, 4, 1)).reshape(-1)
    x = np.random.default_rng(0).uniform(-0.5, 0.5, (1, 4, 4, 1))
    latents = np.asarray(flow.encode(x)[0][0]).reshape(-1)
    for place, stage in enumerate(stages):
        moved = x.copy().reshape(-1)
        moved[place] = -moved[place]
        changed = np.asarray(flow.encode(moved.reshape(x.shape))[0][0]).reshape(-1) != latents
        finer = stages < stage
        finer[place] = True
        np.testing.assert_array_equal(changed, finer)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch": 3}, "patch must divide the map's height and width, 4 and 4; got 3"),
        ({"couplings": 5}, "couplings must be even"),
        ({"mixtures": 0}, "bins need mixtures of at least 2; got mixtures=0"),
        ({"width": 9}, "width must be divisible by heads; got width=9, heads=2"),
        ({"bins": (256,)}, "bins must be grey levels"),
        ({"context": "all"}, "context must be one of own, around; got 'all'"),
        ({"classes": 3, "scale": 2}, "give one of classes, scale, palette; got classes, scale"),
        ({"patch": 4, "couplings": 6}, "kind must leave some values and change others"),
    ],
)
def test_bad_arguments(changes, message):
    with pytest.raises(ValueError, match=message):
        make_coupling(**changes)


def test_stages_are_checked():
    layer = TransformerCoupling(patch=2, kind="refinement", stage=5, width=8, layers=1, heads=2)
    with pytest.raises(ValueError, match=r"stage must be below 5 for a map of \(4, 4, 1\); got 5"):
        layer.build((None, 4, 4, 1))
    with pytest.raises(ValueError, match="swap goes with halves"):
        TransformerCoupling(kind="refinement", swap=True)
