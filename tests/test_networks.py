"""Conditioner networks."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

from attnflow_keras.networks import (
    ActNormConvNet,
    ConvLSTM,
    GatedAttentionNet,
    GatedConvNet,
    ResizedConditionNet,
    StridedVectorNet,
    WeightNormConv2D,
    ZeroConv2D,
)
from attnflow_keras.networks.gated_attention import position_code
from attnflow_keras.ops import loops
from attnflow_keras.ops.step_noise import StepNoise
from attnflow_keras.priors import AutoregressivePrior
from tests.helpers import batch, fresh, perturb


@pytest.mark.parametrize("kernel_size", [1, 3])
def test_weight_normalization(kernel_size):
    layer = WeightNormConv2D(5, kernel_size, dtype="float64")
    layer.build((None, None, None, 3))
    direction = np.asarray(layer.direction)
    norm = np.sqrt((direction**2).sum(axis=(0, 1, 2)))
    np.testing.assert_allclose(layer.gain, norm, rtol=1e-6)
    assert np.abs(direction).max() <= 1 / np.sqrt(3 * kernel_size**2)
    layer.gain.assign(np.arange(1.0, 6.0))
    plain = keras.layers.Conv2D(5, kernel_size, padding="same", dtype="float64")
    plain.build((None, None, None, 3))
    plain.set_weights([direction / norm * np.arange(1.0, 6.0), np.asarray(layer.bias)])
    x = batch((4, 5, 3))
    np.testing.assert_allclose(layer(x), plain(x), atol=1e-12)


def test_weight_norm_scale_makes_the_output_small():
    layer = WeightNormConv2D(5, 3, scale=0.1)
    layer.build((None, None, None, 3))
    assert np.abs(layer.bias).max() <= 0.1 / np.sqrt(27)
    norm = np.sqrt((np.asarray(layer.direction) ** 2).sum(axis=(0, 1, 2)))
    np.testing.assert_allclose(layer.gain, 0.1 * norm, rtol=1e-5)


def test_position_code_tells_all_positions_apart():
    code = position_code(4, 6, 8)
    assert code.shape == (4, 6, 8)
    np.testing.assert_allclose(code[0, 0], [0, 0, 0, 0, 1, 1, 1, 1])
    np.testing.assert_allclose(code[1, 1, 0], np.sin(7.0))
    np.testing.assert_allclose(code[1, 1, 3], np.sin(7.0 / 1e4))
    assert len(np.unique(code.reshape(24, 8).round(6), axis=0)) == 24


def make_network(**options):
    network = GatedAttentionNet(**{"width": 8, "blocks": 2, "heads": 2, **options})
    network.out_channels = 3
    network.build((None, None, None, 4))
    return network


def test_every_position_sees_every_other():
    network = perturb(make_network(dtype="float64"), 0.1)
    x = batch((5, 7, 4), n=1)
    moved = x.copy()
    moved[0, 0, 0] += 1.0
    change = np.abs(np.asarray(network(moved)) - network(x))
    assert change.min(axis=-1).min() > 0


def test_dropout_is_a_function_of_seed_and_step():
    network = make_network(dropout=0.5)
    x = batch((3, 3, 4), dtype="float32")

    def run(seed, step):
        return np.asarray(network(x, noise=StepNoise(seed, step)))

    np.testing.assert_array_equal(run(0, 5), run(0, 5))
    assert np.abs(run(0, 5) - run(0, 6)).max() > 0
    assert np.abs(run(0, 5) - run(1, 5)).max() > 0
    np.testing.assert_array_equal(network(x), network(x))
    assert np.abs(run(0, 5) - network(x)).max() > 0


def test_keep_mask_keeps_the_mean_and_differs_between_draws():
    noise = StepNoise(3, 7)
    first, second = (np.asarray(noise.keep_mask((400, 50), 0.2, "float32")) for _ in range(2))
    assert set(np.unique(first)) == {0.0, np.float32(1.25)}
    assert first.mean() == pytest.approx(1.0, abs=0.015)
    assert (first != second).mean() == pytest.approx(2 * 0.2 * 0.8, abs=0.02)


AT_LEAST_1 = "{} must be an integer of at least 1; got {!r}"
RESIZED = {"width": 4, "condition_channels": 4}


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (
            GatedAttentionNet,
            {"width": 6, "heads": 4},
            "width must be even and divisible by heads; got width=6",
        ),
        (GatedAttentionNet, {"dropout": 1.0}, "dropout must be a number in [0, 1); got 1.0"),
        (GatedAttentionNet, {"blocks": -1}, "blocks must be an integer of at least 0; got -1"),
        (GatedAttentionNet, {"heads": 0}, AT_LEAST_1.format("heads", 0)),
        (GatedConvNet, {"width": 2.5}, AT_LEAST_1.format("width", 2.5)),
        (GatedConvNet, {"blocks": "1"}, "blocks must be an integer of at least 0; got '1'"),
        (WeightNormConv2D, {"filters": 0}, AT_LEAST_1.format("filters", 0)),
        (WeightNormConv2D, {"filters": 3, "kernel_size": 0}, AT_LEAST_1.format("kernel_size", 0)),
        (WeightNormConv2D, {"filters": 3, "scale": 0}, "scale must be a positive number; got 0"),
        (ZeroConv2D, {"filters": None}, AT_LEAST_1.format("filters", None)),
        (ActNormConvNet, {"width": 0}, AT_LEAST_1.format("width", 0)),
        (ConvLSTM, {"width": 0}, AT_LEAST_1.format("width", 0)),
        (ConvLSTM, {"width": 3, "kernel_size": 2}, "kernel_size must be odd; got 2"),
        (StridedVectorNet, {"filters": 0, "units": 4}, AT_LEAST_1.format("filters", 0)),
        (StridedVectorNet, {"filters": 3, "units": True}, AT_LEAST_1.format("units", True)),
        (ResizedConditionNet, {**RESIZED, "factor": 0}, AT_LEAST_1.format("factor", 0)),
        (ResizedConditionNet, {**RESIZED, "factor": 4}, "must be a multiple of factor ** 2 (16)"),
    ],
)
def test_bad_arguments_of_networks(kind, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        kind(**options)


def test_conv_lstm_agrees_with_keras():
    ours = ConvLSTM(4, depth=1, kernel_size=3, dtype="float64")
    ours.build((None, None, 5, 6, 4))
    theirs = keras.layers.ConvLSTM2D(
        4, 3, padding="same", return_sequences=True, recurrent_activation="sigmoid", dtype="float64"
    )
    x = batch((7, 5, 6, 4), n=2)
    theirs.build(x.shape)
    kernel, input_bias, state_kernel, state_bias = ours.get_weights()
    theirs.set_weights([kernel, state_kernel, input_bias + state_bias])
    sequence = np.moveaxis(x, 1, 0)
    np.testing.assert_allclose(np.moveaxis(np.asarray(ours(sequence)), 0, 1), theirs(x), atol=1e-12)


@pytest.mark.parametrize("dilation", [1, 2])
def test_conv_lstm_step_by_step_equals_the_sequence(dilation):
    lstm = ConvLSTM(3, depth=2, kernel_size=3, dilation=dilation, dtype="float64")
    sequence = batch((2, 4, 5, 3), n=6)
    lstm.build(sequence.shape)
    state = lstm.initial_state(tf.constant(sequence[0]))
    outputs = []
    for x in sequence:
        y, state = lstm.step(tf.constant(x), state)
        outputs.append(y)
    np.testing.assert_allclose(lstm(sequence), np.stack(outputs), atol=1e-12)


def test_a_dilated_conv_lstm_reaches_further():
    sequence = np.zeros((1, 1, 9, 9, 2))
    reach = []
    for dilation in (1, 2):
        lstm = ConvLSTM(2, depth=1, kernel_size=3, dilation=dilation, dtype="float64")
        lstm.build(sequence.shape)
        moved = sequence.copy()
        moved[0, 0, 4, 4] = 1.0
        changed = np.abs(np.asarray(lstm(moved)) - lstm(sequence))[0, 0].max(axis=-1) > 0
        reach.append(np.flatnonzero(changed.any(axis=0)).tolist())
    assert reach == [[3, 4, 5], [2, 4, 6]]


def make_prior(channels=4, **options):
    prior = AutoregressivePrior(width=4, depth=2, condition_channels=2, dtype="float64", **options)
    prior.build((None, 3, 4, channels))
    return perturb(prior, 0.1)


def test_the_prior_looks_at_earlier_channels_only():
    prior = make_prior()
    z, condition = batch((3, 4, 4), n=1), batch((3, 4, 2), n=1, seed=2)
    eps = np.asarray(prior(z, condition=condition)[0])
    for t in range(4):
        moved = z.copy()
        moved[..., t] += 1.0
        change = np.abs(np.asarray(prior(moved, condition=condition)[0]) - eps).max(axis=(0, 1, 2))
        assert not change[:t].any()
        assert change[t:].all()


@pytest.mark.parametrize("channels", [3, 18])
def test_rolled_and_unrolled_loops_agree(channels):
    prior = make_prior(channels)
    z, condition = batch((3, 4, channels)), batch((3, 4, 2), seed=2)
    results = {}
    for name in ("UNROLLED", "ROLLED", "ONNX"):
        with loops.lowered(loops.Lowering[name]):
            eps, log_det = prior(z, condition=condition)
            back, back_log_det = prior(fresh(eps), condition=condition, inverse=True)
            results[name] = [np.asarray(a) for a in (eps, log_det, back, back_log_det)]
    for found in results.values():
        for a, b in zip(results["UNROLLED"], found, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-12)


@pytest.mark.parametrize("jit", [False, True])
def test_gradients_pass_a_rolled_loop(jit):
    prior = make_prior(18)
    z, condition = tf.constant(batch((3, 4, 18))), tf.constant(batch((3, 4, 2), seed=2))

    def gradients():
        with tf.GradientTape() as tape:
            eps, log_det = prior(z, condition=condition)
            loss = tf.reduce_sum(eps**2) + tf.reduce_sum(log_det)
        return tape.gradient(loss, [v.value for v in prior.trainable_variables])

    found = tf.function(gradients, jit_compile=jit, autograph=False)()
    with loops.lowered(loops.Lowering.UNROLLED):
        expected = gradients()
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)
