"""Decoding causal flows by fixed-point iterations."""

import numpy as np
import pytest

from attnflow_keras import layers, models
from attnflow_keras.layers.jacobi import jacobi
from tests.helpers import perturb

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 4, 4, 3), dtype="uint8")
CLASSES = np.array([0, 1, 2, 0], "uint8")
TARFLOW = {"group": 0, "transform": "affine", "bins": (), "see_levels": False}


def make(**options):
    options = {"width": 16, "layers": 1, "group": 2, "components": 2, "patch": 2, **options}
    flow = models.CausalFlow((4, 4, 3), **options)
    conditional = "classes" in options
    flow.adapt({"image": IMAGES, "condition": CLASSES} if conditional else IMAGES)
    return perturb(flow, 0.1)


@pytest.mark.parametrize("options", [{}, {"linear": True}, {"blocks": 3, **TARFLOW}])
def test_it_ends_where_the_sequential_method_does(options):
    flow = make(**options)
    plain = flow.sample(3, seed=0, as_float=True)
    drawn = flow.sample(3, seed=0, method="jacobi", as_float=True)
    np.testing.assert_allclose(drawn, plain, atol=1e-3)


def test_with_guidance():
    flow = make(classes=3, class_dropout=0.1)
    plain = flow.sample(condition=CLASSES, seed=0, guidance=1.0, as_float=True)
    drawn = flow.sample(condition=CLASSES, seed=0, guidance=1.0, method="jacobi", as_float=True)
    np.testing.assert_allclose(drawn, plain, atol=1e-3)


def test_the_log_determinant_is_that_of_the_inverse():
    layer = layers.CausalAttention(patch=2, width=16, layers=1, group=2, components=2)
    rng = np.random.default_rng(0)
    y = rng.normal(size=(2, 4, 4, 3)).astype("float32")
    layer(y)
    perturb(layer, 0.2)
    x, log_det = layer(y, inverse=True)
    found, found_log_det = jacobi(layer, y, None)
    np.testing.assert_allclose(found, x, atol=1e-3)
    np.testing.assert_allclose(found_log_det, log_det, atol=0.02)


def test_only_causal_flows_have_it():
    flow = models.TransformerCouplingFlow((4, 4, 1), patch=2, couplings=2, width=8, heads=2)
    with pytest.raises(ValueError, match="method='jacobi' needs a causal flow"):
        flow.sample(1, method="jacobi")
    with pytest.raises(ValueError, match="method must be one of sequential, jacobi; got 'newton'"):
        flow.sample(1, method="newton")
