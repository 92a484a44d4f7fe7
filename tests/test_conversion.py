"""Conversion of traced functions to ONNX, part by part."""

import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf

from attnflow_keras import bijectors, layers, networks
from attnflow_keras.layers.causal_values import CausalValues
from attnflow_keras.ops import loops
from export.conversion import UnsupportedError, part, to_model, trace
from export.to_onnx import OPSET

X = tf.TensorSpec((None, 4, 4, 4), tf.float32, name="x")


def converted(function, *signature, variables=()):
    model = to_model(trace(function, list(signature) or [X], variables), OPSET)
    onnx.checker.check_model(model, full_check=True)
    return model


def run(model, **feed):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return session.run(None, feed)


def kinds(model):
    return [node.op_type for node in model.graph.node]


def batch(n=3, shape=(4, 4, 4), seed=0):
    return np.random.default_rng(seed).normal(size=(n, *shape)).astype("float32")


def agree(function, *signature, tolerance=1e-5, variables=()):
    """Whether both give the same for two sizes of the batch; returns the model."""
    signature = signature or (X,)
    model = converted(function, *signature, variables=variables)
    for n in (1, 3):
        feed = {spec.name: batch(n, spec.shape[1:], seed=n) for spec in signature}
        expected = function(*map(tf.constant, feed.values()))
        outputs = run(model, **feed)
        for name, found in zip([v.name for v in model.graph.output], outputs, strict=True):
            np.testing.assert_allclose(found, expected[name], rtol=tolerance, atol=tolerance)
    return model


def test_maps_between_convolutions_are_not_transposed():
    kernel = batch(3, (3, 4, 4))

    def function(x):
        x = tf.nn.conv2d(x, kernel, 1, "SAME")
        first, second = tf.split(tf.nn.relu(x), 2, axis=-1)
        x = tf.concat([second, first * 2.0], axis=-1)
        return {"y": tf.nn.conv2d(x[..., 1:], kernel[:, :, 1:], 1, "SAME")}

    # One at the input, one at the output.
    assert kinds(agree(function, tolerance=1e-3)).count("Transpose") == 2


def test_shifts_and_factors_go_into_convolutions():
    first, kernel = batch(3, (3, 4, 4)), batch(1, (1, 4, 6))
    scale, shift = batch(1, (4,))[0], batch(1, (6,))[0]

    def function(x):
        x = tf.nn.relu(tf.nn.conv2d(x, first, 1, "SAME"))
        x = tf.tensordot((x + scale) * scale, kernel[0, 0], 1)
        return {"y": (x * shift - shift) / 2.0}

    model = agree(function, tolerance=1e-4)
    assert kinds(model) == ["Transpose", "Conv", "Relu", "Conv", "Transpose", "Identity"]


@pytest.mark.parametrize("size", [1, 3])
def test_the_two_halves_of_a_gate(size):
    kernel = batch(size, (size, 4, 8))

    def function(x):
        value, gate = tf.split(tf.nn.conv2d(x, kernel, 1, "SAME"), 2, axis=-1)
        return {"y": value * tf.sigmoid(gate)}

    found = kinds(agree(function, tolerance=1e-3))
    assert (found.count("Conv"), found.count("Split")) == ((2, 0) if size == 1 else (1, 1))


def test_squeeze_there_and_back():
    squeeze = bijectors.Squeeze()

    def function(x):
        y, _ = squeeze.forward_and_log_det(tf.nn.conv2d(x, np.ones((1, 1, 4, 4)), 1, "SAME"))
        return {"y": y, "back": squeeze.inverse_and_log_det(y)[0]}

    agree(function)


def test_numbers_of_images_in_sums():
    def function(x):
        total = tf.reduce_sum(x, (1, 2, 3)) + 1.0
        total = total + tf.broadcast_to(2.0, (tf.shape(x)[0],))
        return {"total": total + (tf.reduce_mean(x, (1, 2, 3)) + 3.0)}

    found = kinds(agree(function, tolerance=1e-4))
    assert found.count("Add") == 2
    assert "Expand" not in found


def test_numbers_have_axes_where_the_last_side_is_one():
    """Without them onnxruntime computes one element at a time there."""
    model = agree(lambda x: {"y": tf.reduce_max(x, -1, keepdims=True) * 2.0, "z": x * 3.0})
    arrays = map(onnx.numpy_helper.to_array, model.graph.initializer)
    numbers = {a.item(): a.shape for a in arrays if a.dtype == np.float32}
    assert numbers == {2.0: (1, 1, 1, 1), 3.0: ()}


def test_a_constant_of_a_batch():
    agree(lambda x: {"y": tf.zeros((tf.shape(x)[0], 2)), "z": tf.ones_like(x)})


def test_loops_end_when_their_condition_says_so():
    def function(x):
        def step(i, now, same):
            return i + 1, now * 0.5 + same, same

        def going(i, now, same):
            return tf.logical_and(i < 20, tf.reduce_max(tf.abs(now)) > 1.0)

        _, y, _ = tf.while_loop(going, step, (tf.constant(0), x * 100.0, x * 0.1))
        return {"y": y}

    model = agree(function, tolerance=1e-4)
    assert kinds(model).count("Loop") == 1


def test_a_loop_inside_a_loop():
    def function(x):
        def inner(j, y):
            return j + 1, tf.nn.conv2d(y, np.full((3, 3, 4, 4), 0.1, "float32"), 1, "SAME")

        def outer(i, y):
            return i + 1, tf.while_loop(lambda j, _: j < 2, inner, (tf.constant(0), y))[1] + x

        return {"y": tf.while_loop(lambda i, _: i < 3, outer, (tf.constant(0), x))[1]}

    agree(function, tolerance=1e-2)


def test_weights_become_constants_in_loops_too():
    network = networks.ConvLSTM(width=4, depth=1)
    network.build((None, None, 4, 4, 4))

    def function(x):
        return {"y": network(tf.stack([x, 2.0 * x, 3.0 * x]))[-1]}

    model = agree(function, tolerance=1e-4, variables=network.variables)
    assert "Loop" in kinds(model)


def test_an_operation_that_is_not_known():
    with pytest.raises(UnsupportedError, match="operation Lgamma"):
        converted(lambda x: {"y": tf.math.lgamma(x)})


def test_a_part_of_a_model_has_what_it_needs():
    weights = batch(1, (4, 4))[0]
    model = converted(lambda x: {"a": tf.tensordot(x, weights, 1), "b": x + 1.0})
    alone = part(model, ["b"])
    onnx.checker.check_model(alone, full_check=True)
    assert [value.name for value in alone.graph.output] == ["b"]
    assert len(alone.graph.initializer) == 1
    x = batch()
    np.testing.assert_allclose(run(alone, x=x)[0], x + 1.0)


@pytest.mark.parametrize("scale", [0.5, 5.0, 100.0, 3000.0])
@pytest.mark.parametrize("bins", [(), (-0.5, 0.3)])
def test_mixtures_in_the_form_for_onnx(scale, bins):
    rng = np.random.default_rng(0)
    logits = 3.0 * rng.normal(size=(8, 4, 4, 5 + len(bins), 2))
    means = 2.0 * rng.normal(size=(8, 4, 4, 5, 2))
    log_scales = rng.uniform(-9.0, 0.7, size=means.shape)
    given = {"floor": 0.002, "bins": bins, "bin_width": 1 / 256}
    x = scale * rng.normal(size=(8, 4, 4, 2))
    plain = bijectors.MixtureLogisticCDF(logits, means, log_scales, **given)
    with loops.lowered(loops.Lowering.ONNX):
        scaled = bijectors.MixtureLogisticCDF(logits, means, log_scales, **given)
        found = scaled.forward_and_log_det(x)
    for a, b in zip(found, plain.forward_and_log_det(x), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9)


def test_parameters_are_stored_with_the_values_last():
    """Then neither the values nor the edges of the bins have to be moved."""
    values = CausalValues("mixture", 3, (0,), see_levels=False, spread=0.5, floor=0.01)
    raw = tf.TensorSpec((None, 1, 12, values.parameters), tf.float32, name="raw")
    x = tf.TensorSpec((None, 1, 1, 12), tf.float32, name="x")

    def function(raw, x):
        y, log_det = values.bijectors((raw, None))[0].forward_and_log_det(x)
        return {"y": y, "log_det": log_det}

    assert kinds(agree(function, raw, x, tolerance=1e-4)).count("Transpose") == 1


def test_layers_agree_with_keras():
    layer = layers.MixtureCoupling(networks.GatedConvNet(width=8), components=3)
    layer.build((None, 4, 4, 4))

    def function(x):
        y, log_det = layer(x)
        back, inverse = layer(y, inverse=True)
        return {"y": y, "log_det": log_det, "back": back, "inverse": inverse}

    agree(function, tolerance=1e-3, variables=layer.variables)
