"""What each layer says of its matrices and scales, for flow.diagnose."""

import math

import numpy as np
import pytest

from attnflow_keras import layers
from attnflow_keras.bijectors import (
    ChannelAutoregressive,
    ChannelMatmul,
    SampleChannelMatmul,
    TokenMixing,
)
from attnflow_keras.layers.flow_layer import FlowLayer, merge_statistics
from tests.helpers import batch, jacobian, perturb
from tests.layer_table import LAYERS, build

# Layers that scale nothing and multiply by no matrix.
WITHOUT_STATISTICS = ("squeeze", "squeeze_3", "flip_halves", "flip_odd_halves")


def prepared(name):
    layer, shape, channels = build(name)
    perturb(layer)
    sides = layer.condition_sides(shape[:2])
    condition = batch((*sides, channels), seed=2) if channels else None
    return layer, batch(shape), condition


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_statistics_of_every_layer(name):
    layer, x, condition = prepared(name)
    if isinstance(layer, layers.Chain):
        assert layer.statistics(x, condition) == {}
        return
    found = layer.statistics(x, condition)
    kind = type(layer)
    own = (kind.bijectors_for, kind.statistics) != (FlowLayer.bijectors_for, FlowLayer.statistics)
    if not own and type(layer).bijector is FlowLayer.bijector:
        assert found == {}  # a layer with a transform of its own
        return
    assert bool(found) == (name not in WITHOUT_STATISTICS)
    for key, value in found.items():
        if key == "negative_determinants":
            assert 0 <= value <= 1
            continue
        assert key in ("condition_number", "log_scale", "component_log_scale")
        for number in value if isinstance(value, tuple) else (value,):
            assert math.isfinite(number)
        if isinstance(value, tuple):
            assert value[0] <= value[1]
        else:
            assert value >= 1


@pytest.mark.parametrize(
    ("name", "bound"),
    [("actnorm", 12), ("conv_packed", 8), ("gaussian_prior", 5), ("affine_coupling", 2)],
)
def test_log_scales_keep_to_their_bounds(name, bound):
    layer, x, condition = prepared(name)
    perturb(layer, 100.0)
    assert layer.log_scale_bound == bound
    largest = max(map(abs, layer.statistics(x, condition)["log_scale"]))
    assert 0.9 * bound < largest <= bound


@pytest.mark.parametrize("name", sorted(LAYERS))
def test_statistics_agree_with_numpy(name):
    layer, x, condition = prepared(name)
    if isinstance(layer, layers.Chain) or not layer.statistics(x, condition):
        return
    for bijector in layer.bijectors_for(x, condition):
        found = bijector.statistics()
        if isinstance(bijector, ChannelMatmul):
            assert found["condition_number"] == pytest.approx(
                np.linalg.cond(np.asarray(bijector.kernel()))
            )
        elif isinstance(bijector, ChannelAutoregressive):
            scales = np.log(
                np.diagonal(
                    jacobian(lambda *given: layer(*given)[0], x, condition), axis1=1, axis2=2
                )
            )
            found = layer.statistics(x, condition)
            assert found["log_scale"] == pytest.approx((scales.min(), scales.max()))
        elif isinstance(bijector, TokenMixing):
            matrices = np.asarray(bijector.matrix)
            worst = max(np.linalg.cond(m) for image in matrices for m in image)
            assert found["condition_number"] == pytest.approx(worst)
        elif isinstance(bijector, SampleChannelMatmul):
            matrices = np.asarray(bijector.kernels())
            worst = max(np.linalg.cond(matrix) for matrix in matrices)
            assert found["condition_number"] == pytest.approx(worst)
            scales = np.asarray(bijector.log_diag)
            assert np.sum(scales, axis=-1) == pytest.approx(np.linalg.slogdet(matrices)[1])
            assert found["log_scale"] == pytest.approx((scales.min(), scales.max()))
        else:
            scales = np.asarray(bijector.log_scale)
            assert found["log_scale"] == pytest.approx((scales.min(), scales.max()))


def test_statistics_check_the_condition():
    layer, x, _ = prepared("affine_coupling_conditional")
    with pytest.raises(ValueError, match="condition is missing"):
        layer.statistics(x)


def test_merged_statistics_are_the_worst_and_keep_nan():
    a = {"condition_number": 2.0, "log_scale": (-1.0, 0.0)}
    b = {"condition_number": 3.0, "log_scale": (-0.5, 0.5), "component_log_scale": (0.0, 1.0)}
    assert merge_statistics(a, b) == {
        "condition_number": 3.0,
        "log_scale": (-1.0, 0.5),
        "component_log_scale": (0.0, 1.0),
    }
    assert math.isnan(merge_statistics({"n": math.nan}, {"n": 1.0})["n"])
    assert all(map(math.isnan, merge_statistics({"r": (math.nan,) * 2}, {"r": (0.0, 1.0)})["r"]))
