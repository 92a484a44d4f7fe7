"""The rounding of mAR-SCF's mixture coupling, beside the exact one."""

import numpy as np
import pytest

from attnflow_keras import layers, models, networks
from attnflow_keras.bijectors import MixtureLogisticCDF, ReferenceMixtureLogisticCDF
from benchmarks.numerics import in_reference_arithmetic
from tests.helpers import perturb, traced


def logistic(kind, x):
    """A standard logistic, of which the map is the identity."""
    zeros = np.zeros((len(x), 1, 1, 1, 1), "float32")
    x = np.asarray(x, "float32").reshape(-1, 1, 1, 1)
    y, log_det = traced(lambda x: kind(zeros, zeros, zeros).forward_and_log_det(x))(x)
    return np.asarray(y).ravel(), np.asarray(log_det)


def test_known_values():
    y, log_det = logistic(ReferenceMixtureLogisticCDF, [18.0, 20.0, 30.0, -60.0])
    np.testing.assert_allclose(log_det, [32.66, 30.66, 20.66, -9.34], atol=0.01)
    np.testing.assert_allclose(y[:3], 50.66, atol=0.01)
    y, log_det = logistic(MixtureLogisticCDF, [18.0, 20.0, 30.0, -60.0])
    np.testing.assert_allclose(log_det, 0.0, atol=1e-5)
    np.testing.assert_allclose(y, [18.0, 20.0, 30.0, -60.0], rtol=1e-6)


def test_no_difference_near_the_components():
    x = np.linspace(-6, 6, 25)
    for found, expected in zip(
        logistic(ReferenceMixtureLogisticCDF, x), logistic(MixtureLogisticCDF, x), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_layer():
    network = networks.GatedConvNet(width=4, blocks=1)
    layer = layers.MixtureCoupling(network, 3, form="paper", numerics="reference")
    layer.build((None, 4, 4, 2))
    assert "constant" in layer.caveat
    assert layer.get_config()["numerics"] == "reference"
    with pytest.raises(ValueError, match="numerics must be"):
        layers.MixtureCoupling(network, numerics="rounded")
    with pytest.raises(ValueError, match="numerics='reference' and bins"):
        layers.MixtureCoupling(network, numerics="reference", bins=(0,))


def test_copy_of_a_flow_scores_the_same_weights():
    flow = models.MARFlow(
        (8, 8, 1),
        levels=1,
        steps=1,
        width=4,
        components=2,
        conditioner="gated_conv",
        prior="gaussian",
        coupling_options={"form": "paper"},
    )
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1)).astype("uint8")
    flow.adapt(images)
    copy = in_reference_arithmetic(flow)
    exact = np.asarray(flow.bits_per_dim(images, seed=0))
    np.testing.assert_allclose(copy.bits_per_dim(images, seed=0), exact, atol=1e-4)
    # Narrow components, which leave most values far outside.
    for each in (flow, copy):
        perturb(each, 3.0)
    exact = np.asarray(flow.bits_per_dim(images, seed=0))
    assert not np.allclose(copy.bits_per_dim(images, seed=0), exact, atol=0.1)
