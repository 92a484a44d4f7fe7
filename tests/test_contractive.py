"""Residual Flow: norms of convolutions, log-determinants by series, exact and estimated."""

import math

import keras
import numpy as np
import pytest
from keras import ops

from attnflow_keras.layers import ContractiveResidual
from attnflow_keras.models import ResidualFlow
from attnflow_keras.networks import ContractiveAttention, ContractiveConvNet, GatedConvNet
from attnflow_keras.ops.image_signs import ImageSigns
from attnflow_keras.ops.operator_norm import operator_norm_bound
from attnflow_keras.ops.step_noise import StepNoise
from tests.helpers import (
    JAX,
    batch,
    compiled,
    fresh,
    gradient,
    jacobian,
    perturb,
    weight_gradients,
)

SHAPE = (3, 4, 2)
LIPSCHITZ = 0.8


def made(network=None, dtype="float64", shape=SHAPE, **options):
    """A layer whose Jacobian comes near to its bound, as that of random weights does not."""
    network = network or ContractiveConvNet(6, LIPSCHITZ, dtype=dtype)
    layer = ContractiveResidual(network, dtype=dtype, **options)
    layer.build((None, *shape))
    for i in range(1, 4):
        kernel, bias = (getattr(network, f"{name}_{i}") for name in ("kernel", "bias"))
        values = np.zeros(kernel.shape)
        values[kernel.shape[0] // 2, kernel.shape[1] // 2] = 2 * np.eye(*kernel.shape[2:])
        kernel.assign(values)
        bias.assign(np.full(bias.shape, 3.0))
    return perturb(layer, 0.15)


def inputs(shape=SHAPE, n=2, dtype="float64", seed=1):
    """Where slopes of LipSwish are near 1."""
    return batch(shape, n, seed, dtype) + np.asarray(4.0, dtype)


def exact_log_det(layer, x):
    found = jacobian(lambda x: layer.branch.branch()(x), x)
    return np.linalg.slogdet(np.eye(found.shape[-1]) + found)[1]


def dense_operator(kernel, height, width):
    """The matrix of a convolution with zero padding on maps of this size."""
    rows, columns, inputs, outputs = kernel.shape
    found = np.zeros((height, width, outputs, height, width, inputs))
    for y, x, dy, dx in np.ndindex(height, width, rows, columns):
        there, across = y + dy - rows // 2, x + dx - columns // 2
        if 0 <= there < height and 0 <= across < width:
            found[y, x, :, there, across, :] = kernel[dy, dx].T
    return found.reshape(height * width * outputs, -1)


@pytest.mark.parametrize(
    "shape", [(3, 3, 1, 5), (3, 3, 4, 3), (1, 1, 6, 7), (1, 3, 2, 3), (5, 5, 2, 2)]
)
@pytest.mark.float64
def test_the_bound_of_a_convolution_is_never_below_its_norm(shape):
    rng = np.random.default_rng(0)
    for kernel in (rng.normal(size=shape), np.ones(shape), rng.normal(size=shape) ** 3):
        norm = np.linalg.norm(dense_operator(kernel, 9, 8), 2)
        bound = float(operator_norm_bound(ops.convert_to_tensor(kernel)))
        assert norm <= bound * (1 + 1e-9)
        # The factors of the grid, of a Gram matrix with 10 rows, and of the map's borders.
        grid = math.prod(1 / math.cos(math.pi * (side // 2) / 12) for side in shape[:2])
        assert bound <= 1.2 * grid * 10 ** (1 / 64) * norm


@pytest.mark.float64
def test_the_branch_is_a_contraction_and_knows_its_jacobian():
    layer = made()
    branch = layer.branch.branch()
    x = inputs(n=3)
    matrices = jacobian(branch, x)
    norms = np.linalg.norm(matrices, 2, axis=(1, 2))
    assert (norms <= LIPSCHITZ).all()
    assert (norms > 0.3).all()  # and no constant
    v = batch(SHAPE, n=3, seed=4)
    linear = branch.linear_at(ops.convert_to_tensor(x))
    flat = v.reshape(3, -1)
    for found, expected in (
        (linear.apply(v), np.einsum("nij,nj->ni", matrices, flat)),
        (linear.transposed(v), np.einsum("nji,nj->ni", matrices, flat)),
        (linear.tiled(2).apply(np.tile(v, (2, 1, 1, 1)))[3:], linear.apply(v)),
    ):
        expected = np.reshape(expected, (3, -1))
        np.testing.assert_allclose(np.reshape(found, (3, -1)), expected, atol=1e-12)


@pytest.mark.parametrize("sharpness", [0.5, 3.0])
@pytest.mark.parametrize("kind", ["dot", "concat"])
@pytest.mark.float64
def test_attention_is_a_contraction_and_knows_its_jacobian(kind, sharpness):
    network = ContractiveAttention(kind, LIPSCHITZ, 3, sharpness, dtype="float64")
    network.build((None, *SHAPE))
    found = []
    for seed, scale in enumerate((0.1, 1.0, 10.0)):
        perturb(network, scale, seed)
        branch = network.branch()
        for size in (0.1, 1.0, 10.0):
            x = size * batch(SHAPE, n=3, seed=seed)
            matrices = jacobian(branch, x)
            found.append(np.linalg.norm(matrices, 2, axis=(1, 2)).max())
            v = batch(SHAPE, n=3, seed=4)
            linear = branch.linear_at(ops.convert_to_tensor(x))
            for one, expected in (
                (linear.apply(v), np.einsum("nij,nj->ni", matrices, v.reshape(3, -1))),
                (linear.transposed(v), np.einsum("nji,nj->ni", matrices, v.reshape(3, -1))),
                (linear.tiled(2).apply(np.tile(v, (2, 1, 1, 1)))[3:], linear.apply(v)),
            ):
                expected = np.reshape(expected, (3, -1))
                np.testing.assert_allclose(np.reshape(one, (3, -1)), expected, atol=1e-10)
    assert max(found) <= LIPSCHITZ
    assert max(found) > 0.01 * LIPSCHITZ


def test_what_a_position_gets_by_attention_follows_from_the_others():
    network = ContractiveAttention("dot")
    network.build((None, *SHAPE))
    x = batch(SHAPE, n=1, dtype="float32")
    other = x.copy()
    other[0, 0, 0] += 1.0
    branch = network.branch()
    moved = np.asarray(branch(fresh(other))) - np.asarray(branch(fresh(x)))
    assert np.abs(moved[0, 2, 3]).max() > 1e-5


@pytest.mark.parametrize("terms", [1, 3, 8, 25])
@pytest.mark.float64
def test_the_truncated_series_is_within_its_bound_of_the_log_det(terms):
    layer = made(terms=terms)
    x = inputs(n=4)
    _, log_det = layer(x)
    size = math.prod(SHAPE)
    bound = size * LIPSCHITZ ** (terms + 1) / ((terms + 1) * (1 - LIPSCHITZ))
    error = np.abs(np.asarray(log_det) - exact_log_det(layer, x))
    assert (error <= bound).all()
    if terms == 1:
        assert error.min() > 1e-3  # the terms that are cut do count


def draws_of(layer, x, count, seed=0):
    """Log-determinants ``(count, n)`` of so many training steps."""

    def one(step):
        return layer(x, noise=StepNoise(seed, step))[1]

    one = compiled(one)
    return np.stack([np.asarray(one(np.int32(step))) for step in range(count)])


@pytest.mark.parametrize("survival", [0.5, 0.8])
@pytest.mark.float64
def test_the_training_estimate_is_unbiased(survival):
    layer = made(certain_terms=1, survival=survival)
    x = inputs()
    drawn = draws_of(layer, x, 2000)
    expected = exact_log_det(layer, x)
    standard_error = drawn.std(axis=0, ddof=1) / math.sqrt(len(drawn))
    assert (standard_error < 0.1 * np.abs(expected) + 0.05).all()
    assert (np.abs(drawn.mean(axis=0) - expected) < 4 * standard_error).all()


@pytest.mark.float64
def test_the_gradient_of_the_training_estimate_is_unbiased():
    layer = made(ContractiveConvNet(4, 0.6, dtype="float64"), shape=(2, 2, 1), terms=40)
    x = inputs((2, 2, 1), n=1)
    copies = np.repeat(x, 4000, axis=0)  # one number of terms for all, signs of their own
    expected = gradient(lambda x: ops.sum(layer(x)[1]), x)[0]

    def of_step(step):
        return gradient(lambda x: ops.sum(layer(x, noise=StepNoise(0, step))[1]), copies)

    steps = np.stack([of_step(step).mean(axis=0) for step in range(60)])
    standard_error = steps.std(axis=0, ddof=1) / math.sqrt(len(steps))
    assert (np.abs(steps.mean(axis=0) - expected) < 4 * standard_error).all()
    assert (standard_error < 0.2 * np.abs(expected).max()).all()


@pytest.mark.float64
def test_gradients_of_the_training_estimate_reach_every_weight():
    layer = made()
    x = inputs()

    def loss():
        y, log_det = layer(x, noise=StepNoise(0, 3))
        return ops.sum(y**2) + ops.sum(log_det)

    for path, found in weight_gradients(layer, loss):
        assert found is not None, path
        # The last bias moves y alone; all others the log-determinant too.
        assert np.abs(found).max() > 0, path


def test_the_noise_of_a_step_is_a_function_of_seed_and_step():
    layer = made(dtype="float32")
    x = inputs(dtype="float32")

    def drawn(seed, step):
        return np.asarray(layer(x, noise=StepNoise(seed, step))[1])

    np.testing.assert_array_equal(drawn(0, 5), drawn(0, 5))
    assert (drawn(0, 5) != drawn(0, 6)).all()
    assert (drawn(0, 5) != drawn(1, 5)).all()


def test_signs_are_a_function_of_each_image():
    images = np.random.default_rng(0).integers(0, 2**22, (64, 4, 4, 1)) / np.float32(2**22) - 0.5
    images = images.astype("float32")
    images[1] = images[0]
    images[1, 0, 0, 0] += np.float32(2.0**-20)  # a 4,096th of a grey level
    drawn = ImageSigns(fresh(images))
    first, second = (np.asarray(drawn.signs((64, 9, 9, 5), "float32")) for _ in range(2))
    alone = np.asarray(ImageSigns(fresh(images[7:8])).signs((1, 9, 9, 5), "float32"))
    np.testing.assert_array_equal(alone[0], first[7])
    assert set(np.unique(first)) == {-1.0, 1.0}
    # Means of independent signs, within 5 standard errors.
    assert abs(first.mean()) < 5 / math.sqrt(first.size)
    flat = np.concatenate([first, second]).reshape(128, -1)
    products = flat @ flat.T / flat.shape[1] - np.eye(128)
    assert np.abs(products).max() < 5 / math.sqrt(flat.shape[1])
    across = flat.T @ flat / 128 - np.eye(flat.shape[1])
    assert np.abs(across).max() < 5 / math.sqrt(128)


@pytest.mark.float64
def test_the_estimate_by_signs_of_the_image_is_unbiased_over_images():
    layer = made(probes=1, terms=25)
    n = 3000
    images = np.random.default_rng(0).uniform(-0.5, 0.5, (n, 4, 4, 1))
    x = inputs(n=1)
    _, drawn = layer(np.repeat(x, n, axis=0), noise=ImageSigns(fresh(images)))
    drawn = np.asarray(drawn)
    standard_error = drawn.std(ddof=1) / math.sqrt(n)
    assert abs(drawn.mean() - exact_log_det(layer, x)[0]) < 4 * standard_error
    # Without an image the signs are fixed: a number that is the same for all.
    _, fixed = layer(np.repeat(x, 3, axis=0))
    assert np.ptp(fixed) < 1e-12


@pytest.mark.float64
def test_the_inverse_stops_at_its_tolerance():
    x = inputs()
    errors = []
    for tolerance in (1e-2, 1e-4, None):
        layer = made(ContractiveConvNet(6, LIPSCHITZ, dtype="float64"), tolerance=tolerance)
        y, _ = layer(x)
        back, _ = layer(fresh(y), inverse=True)
        errors.append(np.abs(np.asarray(back) - x).max())
        if tolerance is not None:
            # Of a step that moves by less; in the Euclidean norm.
            size = math.sqrt(x.size) * (1 + np.abs(x).max())
            assert errors[-1] <= tolerance * size * LIPSCHITZ / (1 - LIPSCHITZ)
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-13


def test_the_papers_mnist_configuration_has_its_parameters():
    flow = ResidualFlow((28, 28, 1), margin=1e-6)
    assert round(flow.count_params() / 1e6, 1) == 16.6


def test_scores_are_functions_of_the_image_and_close_to_exact_ones():
    keras.utils.set_random_seed(0)
    options = {"levels": 2, "blocks": 2, "width": 8, "dense_blocks": 0, "lipschitz": 0.7}
    flow = ResidualFlow((6, 6, 1), **options)
    images = np.random.default_rng(0).integers(0, 256, (64, 6, 6, 1), "uint8")
    flow.adapt(images)
    perturb(flow, 0.05)
    bits = np.asarray(flow.bits_per_dim(images))
    x = flow.dequantize(images)
    np.testing.assert_allclose(flow.bits_per_dim(x[20:23]), bits[20:23], rtol=1e-5)
    exact = ResidualFlow.from_config({**flow.get_config(), "probes": None, "terms": 40})
    exact.set_weights(flow.get_weights())
    difference = bits - np.asarray(exact.bits_per_dim(images))
    assert np.abs(difference).max() > 1e-4
    assert abs(difference.mean()) < 4 * difference.std(ddof=1) / 8


def test_training_is_reproducible():
    options = {"levels": 2, "blocks": 1, "width": 4, "dense_blocks": 0}
    images = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 1), "uint8")

    def trained(noise_seed):
        keras.utils.set_random_seed(0)
        flow = ResidualFlow((4, 4, 1), **options)
        flow.compile(keras.optimizers.Adam(1e-2), noise_seed=noise_seed)
        flow.fit(images, batch_size=4, epochs=1, shuffle=False, verbose=0)
        return flow.get_weights()

    first, again, other = trained(1), trained(1), trained(2)
    for ours, theirs in zip(first, again, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    assert any(not np.allclose(a, b, atol=1e-5) for a, b in zip(first, other, strict=True))


@pytest.mark.skipif(JAX, reason="exports need TensorFlow")
def test_an_export_is_refused_with_the_reason(tmp_path):
    import export
    from attnflow_keras.runtime.errors import ExportError

    flow = ResidualFlow((4, 4, 1), levels=1, blocks=1, width=4, dense_blocks=0)
    with pytest.raises(ExportError, match="ResidualFlow is not exported: its log_prob is an esti"):
        export.onnx(flow, tmp_path / "out")
    with pytest.raises(ExportError, match="ResidualFlow is not exported"):
        export.saved_model(flow, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_bad_arguments_give_one_clear_error():
    network = ContractiveConvNet(4)
    for make, message in (
        (lambda: ContractiveConvNet(4, 1.0), "lipschitz must be a number in .0, 1.; got 1.0"),
        (lambda: ContractiveConvNet(0), "width must be an integer of at least 1; got 0"),
        (lambda: ContractiveConvNet(4, kernels=(2,)), "kernels must be odd"),
        (lambda: ContractiveAttention("softmax"), "kind must be one of dot, concat; got 's"),
        (lambda: ContractiveAttention(sharpness=0), "sharpness must be a positive number; got 0"),
        (lambda: ResidualFlow((4, 4, 1), attention="imap"), "must be one of None, dot, concat"),
        (lambda: ContractiveConvNet(4, kernels=()), "kernels must name at least one"),
        (lambda: ContractiveResidual(GatedConvNet(4)), "branch must be .*got GatedConvNet"),
        (lambda: ContractiveResidual(network, terms=0), "terms must be an integer of at least 1"),
        (lambda: ContractiveResidual(network, probes=0), "probes must .* or None; got 0"),
        (lambda: ContractiveResidual(network, survival=1), "survival must be a number in"),
        (lambda: ContractiveResidual(network, tolerance=0.0), "tolerance must be"),
        (lambda: ContractiveResidual(network, condition_channels=2), "takes no condition; got 2"),
        (lambda: ResidualFlow((6, 6, 1)), "sides divisible by 4 .3 levels.; got"),
        (lambda: ResidualFlow((4, 8, 1)), "dense_blocks take square images"),
        (lambda: ResidualFlow((4, 4, 1), split=True), "at least 2 channels"),
        (lambda: ResidualFlow((4, 4, 1), blocks=[1, 2]), "blocks has 2 values for 3 levels"),
        (lambda: ResidualFlow((4, 4, 1), margin=0.5), "margin must be a number in"),
    ):
        with pytest.raises(ValueError, match=message) as error:
            make()
        assert "\n" not in str(error.value)
