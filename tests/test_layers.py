"""The contract of every layer in the table, against autodiff."""

from functools import cache

import keras
import numpy as np
import pytest
from keras import ops

from attnflow_keras.layers import CausalAttention, FlowLayer
from tests.helpers import (
    JAX,
    batch,
    compiled,
    differences_log_det,
    fresh,
    gradient,
    jacobian_log_det,
    perturb,
    weight_gradients,
)
from tests.layer_table import LAYERS, PAPER_FORMS, SEQUENTIAL, build

NAMES = sorted(LAYERS)
# The paper's matrix of 16 cells is singular to thirteen digits where all scores are small.
SCALES = {"itrans_paper_16_cells": 2.0}
pytestmark = pytest.mark.float64


@cache
def prepared(name, dtype="float64"):
    """The layer, two inputs and their condition; made once, so no test changes them."""
    layer, shape, channels = build(name, dtype)
    perturb(layer, SCALES.get(name, 0.1 if name in SEQUENTIAL else 0.3))
    x = batch(shape, dtype="float64" if dtype == "float64" else "float32")
    sides = layer.condition_sides(shape[:2])
    condition = batch((*sides, channels), seed=2).astype(x.dtype) if channels else None
    return layer, x, condition


@cache
def forward_of(layer):
    """The map of tensors with a condition or None, and its log-determinant."""

    def forward(x, condition=None):
        return layer(x, condition=condition)

    return compiled(forward) if JAX else forward


@cache
def inverse_of(layer):
    """The inverse of tensors with a condition or None, and its log-determinant."""

    def inverse(y, condition=None):
        return layer(y, condition=condition, inverse=True)

    # From token to token it is thousands of operations so small that a call outlasts each.
    sequential = isinstance(layer, CausalAttention)
    return compiled(inverse) if sequential or JAX else inverse


@pytest.mark.parametrize("name", NAMES)
def test_log_det_is_that_of_the_jacobian(name):
    layer, x, condition = prepared(name)
    _, log_det = forward_of(layer)(x, condition)
    assert log_det.shape == (2,)
    expected = jacobian_log_det(lambda *given: forward_of(layer)(*given)[0], x, condition)
    # The paper's matrices are near to singular here, and JAX rounds otherwise.
    rtol = 1e-6 if JAX and name in PAPER_FORMS else 1e-8
    np.testing.assert_allclose(log_det, expected, rtol=rtol, atol=1e-8)


@pytest.mark.parametrize("name", NAMES)
def test_inverse_log_det_is_that_of_the_inverse_jacobian(name):
    layer, x, condition = prepared(name)
    y = fresh(forward_of(layer)(x, condition)[0])
    _, log_det = inverse_of(layer)(y, condition)

    def inverse(v, own=None):
        return inverse_of(layer)(v, own)[0]

    def inverse_of_rows(v, rows):
        return inverse(v, None if condition is None else condition[rows])

    if name in SEQUENTIAL:
        # Autodiff would take thousands of small operations for a sequential inverse.
        expected = differences_log_det(inverse_of_rows, y)
    else:
        expected = jacobian_log_det(inverse, y, condition)
    np.testing.assert_allclose(log_det, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_round_trips_in_both_directions(name):
    layer, x, condition = prepared(name)
    y, forward = forward_of(layer)(x, condition)
    back, inverse = inverse_of(layer)(fresh(y), condition)
    np.testing.assert_allclose(back, x, atol=1e-9)
    np.testing.assert_allclose(inverse, -np.asarray(forward), atol=1e-7)
    there, _ = forward_of(layer)(fresh(back), condition)
    np.testing.assert_allclose(there, y, atol=1e-8)
    target = batch(tuple(y.shape[1:]), seed=5)
    source, _ = inverse_of(layer)(fresh(target), condition)
    again, _ = forward_of(layer)(fresh(source), condition)
    np.testing.assert_allclose(again, target, atol=1e-8)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in PAPER_FORMS])
def test_extreme_inputs_stay_finite_and_invertible(name):
    layer, x, condition = prepared(name, "float32")
    # All values near 0 lie on the edge of a grey level.
    for scale in (30.0, 1e3) if name == "causal_levels" else (1e-6, 30.0, 1e3):
        y, log_det = forward_of(layer)(scale * x, condition)
        back, inverse = inverse_of(layer)(fresh(y), condition)
        for value in (y, log_det, back, inverse):
            assert np.isfinite(value).all()
        # Where the map is nearly flat, float32 holds y but not x: then y must come back.
        again, _ = forward_of(layer)(fresh(back), condition)
        near_x = np.abs(back - scale * x) <= 2e-4 * max(scale, 1.0)
        near_y = np.abs(again - y) <= 2e-4 * np.maximum(np.abs(y), 1.0)
        assert near_x.all() or (near_y.all() and near_x.mean() > 0.9)


@pytest.mark.parametrize("name", NAMES)
def test_config_and_weights_round_trip(name, tmp_path):
    layer, x, condition = prepared(name)
    copy = type(layer).from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    copy.build((None, *x.shape[1:]))
    assert len(copy.weights) == len(layer.weights)

    class Holder(keras.Model):
        def __init__(self, held):
            super().__init__()
            self.held = held
            self.built = True

        def call(self, inputs):
            return inputs

    path = tmp_path / "layer.weights.h5"
    if layer.weights:
        Holder(layer).save_weights(path)
        Holder(copy).load_weights(path)
    y, log_det = forward_of(layer)(x, condition)
    y2, log_det2 = forward_of(copy)(x, condition)
    np.testing.assert_array_equal(y, y2)
    np.testing.assert_array_equal(log_det, log_det2)
    np.testing.assert_allclose(inverse_of(copy)(fresh(y2), condition)[0], x, atol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_every_weight(name):
    layer, x, condition = prepared(name)
    if not layer.trainable_variables:
        assert not layer.trainable_weights
        return

    def loss():
        y, log_det = layer(x, condition=condition)
        return ops.sum(y**2) + ops.sum(log_det)

    gradients = weight_gradients(layer, loss)
    assert len(gradients) == len(layer.trainable_variables)
    assert not [path for path, found in gradients if found is None]
    assert all(np.isfinite(found).all() for _, found in gradients)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_flow_through_the_inverse(name):
    layer, x, condition = prepared(name)
    y = fresh(forward_of(layer)(x, condition)[0])

    def loss(y):
        return ops.sum(inverse_of(layer)(y, condition)[0] * x)

    direction = batch(tuple(y.shape[1:]), seed=7)
    found = float(np.sum(gradient(loss, y) * direction))
    # Where the inverse is steep, as in printed forms, a step has to be short for it to be straight.
    step = 1e-6 / max(1.0, 1e-2 * abs(found))
    moved = [float(loss(y + s * direction)) for s in (step, -step)]
    expected = (moved[0] - moved[1]) / (2 * step)
    assert found == pytest.approx(expected, rel=1e-3, abs=1e-5)


# JAX compiles a program for each; the two half precisions are one thing to the layers.
POLICIES = ["float32", "mixed_bfloat16"] if JAX else ["float32", "mixed_float16", "mixed_bfloat16"]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", NAMES)
def test_policies_keep_the_flow_in_the_variable_dtype(name, policy):
    layer, x, condition = prepared(name, policy)
    y, log_det = forward_of(layer)(x, condition)
    assert y.dtype == log_det.dtype == "float32"
    back, _ = inverse_of(layer)(fresh(y), condition)
    assert back.dtype == "float32"
    # Half precision stays inside the conditioner, which is the same in both directions.
    # The paper's matrices may be too near to singular for float32. A sequential inverse rounds
    # otherwise than the pass over all tokens, and half precision shows it.
    if name not in PAPER_FORMS and (name not in SEQUENTIAL or policy == "float32"):
        np.testing.assert_allclose(back, x, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_symbolic_shapes(name):
    layer, x, _ = prepared(name, "float32")
    output, log_det = layer.compute_output_shape((None, *x.shape[1:]))
    assert output[1:] == layer.output_map_shape(x.shape[1:])
    assert log_det == (None,)


@pytest.mark.parametrize("name", NAMES)
def test_wrong_inputs_give_one_clear_error(name):
    layer, x, condition = prepared(name)
    with pytest.raises(ValueError, match=r"^[^\n]*x must have shape[^\n]*$"):
        layer(x[:, 0], condition=condition)
    with pytest.raises(ValueError, match=r"x must have shape"):
        layer(np.concatenate([x, x], axis=-1), condition=condition)
    if condition is None:
        with pytest.raises(ValueError, match=r"condition was given.*takes none"):
            layer(x, condition=x)
    else:
        with pytest.raises(ValueError, match=r"condition is missing"):
            layer(x)
        with pytest.raises(ValueError, match=r"condition must have shape"):
            layer(x, condition=np.concatenate([condition, condition], axis=1))


def test_every_public_layer_is_in_the_table():
    from attnflow_keras import layers, priors

    covered = {type(build(name)[0]) for name in NAMES}
    abstract = {layers.FlowLayer, layers.Coupling, layers.NetworkCoupling, layers.MultiScale}
    public = {getattr(m, name) for m in (layers, priors) for name in m.__all__}
    assert public - abstract == covered


def test_a_half_precision_policy_is_refused():
    with pytest.raises(ValueError, match="dtype must be one of .*float16"):
        FlowLayer(dtype="float16")
