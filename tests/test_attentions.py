"""What the two attentions promise beyond the layer table."""

import numpy as np
import pytest
import tensorflow as tf

from attnflow_keras.layers import Chain, IMapAttention, ITransAttention
from attnflow_keras.ops.elimination import solve_and_log_det
from tests.helpers import batch, fresh, jacobian_log_det, perturb


def test_elimination_agrees_with_lapack():
    rng = np.random.default_rng(0)
    for size in (1, 2, 4, 7, 16):
        matrix = np.eye(size) + 0.9 * rng.uniform(size=(5, size, size)) / size
        right = rng.normal(size=(5, size, 3))
        solved, log_det = solve_and_log_det(tf.constant(matrix), tf.constant(right))
        np.testing.assert_allclose(solved, np.linalg.solve(matrix, right), atol=1e-12)
        sign, expected = np.linalg.slogdet(matrix)
        assert (sign > 0).all()
        np.testing.assert_allclose(log_det, expected, atol=1e-12)


def test_imap_starts_near_the_identity_and_is_bounded():
    layer = IMapAttention()
    layer.build((None, 4, 4, 4))
    x = batch((4, 4, 4), dtype="float32")
    y, _ = layer(x)
    assert np.abs(y / x - 1).max() < 0.15
    perturb(layer, 50.0)
    ratio = np.asarray(layer(x)[0]) / x
    assert ratio.min() >= 0.05 - 1e-6
    assert ratio.max() <= 1.95 + 1e-6


def test_imap_with_a_spatial_mask_does_not_depend_on_the_data():
    layer = perturb(IMapAttention(mask="spatial", dtype="float64"))
    layer.build((None, 4, 4, 2))
    perturb(layer)
    x = batch((4, 4, 2), n=2)
    ratio = np.asarray(layer(x)[0]) / x
    np.testing.assert_allclose(ratio[0], ratio[1], rtol=1e-12)


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_itrans_keeps_x1_and_its_matrix_ignores_x2(activation):
    layer = ITransAttention(heads=3, activation=activation, dtype="float64")
    layer.build((None, 4, 6, 4))
    perturb(layer)
    x = batch((4, 6, 4))
    mask = layer.partition((4, 6, 4)).mask
    y = np.asarray(layer(x)[0])
    np.testing.assert_array_equal(y * mask, x * mask)
    assert (np.abs(y - x)[:, mask == 0] > 0).all()
    other = x + (1 - mask) * batch((4, 6, 4), seed=9)
    np.testing.assert_array_equal(
        layer.mixing_matrix(tf.constant(x * mask)), layer.mixing_matrix(tf.constant(other * mask))
    )


@pytest.mark.parametrize(("activation", "bound"), [("sigmoid", 19.0), ("softmax", 3.0)])
def test_itrans_matrix_is_safe_for_adversarial_scores(activation, bound):
    layer = ITransAttention(activation=activation, dtype="float64")
    layer.build((None, 4, 4, 2))
    for sign in (1, -1):
        layer.gate.assign([sign * 50.0])  # gamma at its bound
        for scale in (1, 50, 1e3):
            layer.query_kernel.assign(scale * batch(layer.query_kernel.shape, n=1)[0])
            matrix = np.asarray(layer.mixing_matrix(tf.constant(batch((4, 4, 2), n=50))))
            assert (np.linalg.det(matrix) > 0).all()
            assert np.linalg.cond(matrix, np.inf).max() <= bound + 1e-6


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_twelve_stacked_itrans_round_trip_in_float32(activation):
    stack = Chain(
        {f"layer_{i}": ITransAttention(activation=activation) for i in range(12)}, name="stack"
    )
    stack.build((None, 4, 4, 8))
    perturb(stack, 1.0)
    for i in range(12):
        getattr(stack, f"layer_{i}").gate.assign([3.0])
    x = batch((4, 4, 8), n=50, dtype="float32")
    y, _ = stack(x)
    back, _ = stack(fresh(y), inverse=True)
    assert np.abs(np.asarray(back) - x).max() < 1e-3


def test_the_greatest_number_of_heads_that_an_error_names_fits():
    with pytest.raises(ValueError, match=r"at most (\d+) heads fit") as error:
        ITransAttention(heads=50).build((None, 6, 6, 4))
    most = int(str(error.value).split("at most ")[1].split()[0])
    ITransAttention(heads=most).build((None, 6, 6, 4))
    with pytest.raises(ValueError, match="too many"):
        ITransAttention(heads=most + 1).build((None, 6, 6, 4))


def test_itrans_on_an_odd_cell_needs_the_tiled_mask():
    # 10x10 with 2x2 cells of 5x5: a global checkerboard would differ from cell to cell.
    layer = ITransAttention(dtype="float64")
    layer.build((None, 6, 6, 1))
    perturb(layer)
    x = batch((6, 6, 1))
    expected = jacobian_log_det(lambda v: layer(v)[0], x)
    np.testing.assert_allclose(layer(x)[1], expected, atol=1e-10)


def test_pivoting_solves_what_plain_elimination_cannot():
    rng = np.random.default_rng(0)
    for size in (2, 4, 9, 16):
        matrix = rng.normal(size=(50, size, size))
        matrix[:, 0, 0] = 0.0
        right = rng.normal(size=(50, size, 3))
        solved, log_det = solve_and_log_det(tf.constant(matrix), tf.constant(right), pivot=True)
        np.testing.assert_allclose(matrix @ solved, right, atol=1e-9)
        np.testing.assert_allclose(log_det, np.linalg.slogdet(matrix)[1], atol=1e-10)


@pytest.mark.parametrize(("pool", "linked"), [("channel", False), ("space", True)])
def test_only_imap_pooled_over_space_links_positions(pool, linked):
    layer = IMapAttention(pool=pool, dtype="float64")
    layer.build((None, 3, 4, 4))
    perturb(layer)
    x = batch((3, 4, 4), n=1)
    moved = x.copy()
    moved[0, 0, 0] += 1.0
    change = np.abs(np.asarray(layer(moved)[0]) - layer(x)[0])[0]
    change[0, 0] = 0.0
    assert (change.max() > 1e-3) == linked


def test_imap_in_the_papers_form_starts_at_half_and_loses_what_it_scales_away():
    layer = IMapAttention(form="paper", mask="channel")
    layer.build((None, 4, 4, 4))
    layer.kernel.assign(0.0 * layer.kernel)
    x = batch((4, 4, 4), dtype="float32")
    np.testing.assert_allclose(layer(x)[0], x / 2, rtol=1e-6)
    layer.offset.assign([-500.0] * 4)
    y, log_det = layer(x)
    # Still a finite log-determinant, but float32 has rounded the transformed half to zero.
    assert np.isfinite(log_det).all()
    assert not np.asarray(y)[..., 2:].any()


@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_itrans_in_the_papers_form_warns_and_is_singular_for_uniform_attention(activation):
    with pytest.warns(UserWarning, match="not a flow.*determinant"):
        layer = ITransAttention(form="paper", activation=activation, dtype="float64")
    layer.build((None, 4, 4, 2))
    layer.query_kernel.assign(0.0 * layer.query_kernel)
    x = batch((4, 4, 2))
    matrix = np.asarray(layer.mixing_matrix(tf.constant(x)))
    assert np.linalg.matrix_rank(matrix).max() == 1
    assert not np.isfinite(layer(x)[1]).any()


def test_itrans_in_the_papers_form_has_determinants_of_both_signs():
    with pytest.warns(UserWarning, match="not a flow"):
        layer = ITransAttention(form="paper", dtype="float64")
    layer.build((None, 4, 4, 4))
    perturb(layer, 1.0)
    signs = np.sign(
        np.linalg.det(np.asarray(layer.mixing_matrix(tf.constant(batch((4, 4, 4), n=99)))))
    )
    assert set(signs.ravel()) == {-1.0, 1.0}


def test_averaged_heads_mix_by_the_mean_of_their_matrices():
    by_head = ITransAttention(heads=3, dtype="float64")
    mean = ITransAttention(heads=3, combine="mean", dtype="float64")
    for layer in (by_head, mean):
        layer.build((None, 4, 4, 4))
    perturb(by_head)
    mean.set_weights(by_head.get_weights())
    x = tf.constant(batch((4, 4, 4)))
    identity = x * mean.partition((4, 4, 4)).mask
    expected = np.asarray(by_head.mixing_matrix(identity)).mean(axis=1, keepdims=True)
    np.testing.assert_allclose(mean.mixing_matrix(identity), expected, atol=1e-14)
    transformed = mean.partition((4, 4, 4)).mask == 0
    y = np.asarray(mean(x)[0])
    tokens = np.asarray(x)[:, :2, :2][:, transformed[:2, :2]]
    assert tokens.shape[1] == 8
    first = sum(
        expected[:, 0, 0, k, None] * np.asarray(x)[:, r : r + 2, c : c + 2][:, transformed[:2, :2]]
        for k, (r, c) in enumerate([(0, 0), (0, 2), (2, 0), (2, 2)])
    )
    np.testing.assert_allclose(y[:, :2, :2][:, transformed[:2, :2]], first, atol=1e-12)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (IMapAttention, {"form": "exact"}, "form must be one of stable, paper; got 'exact'"),
        (IMapAttention, {"pool": "time"}, "pool must be one of channel, space, none; got 'time'"),
        (ITransAttention, {"form": "exact"}, "form must be one of stable, paper"),
        (ITransAttention, {"combine": "sum"}, "combine must be one of feature, mean; got 'sum'"),
        (ITransAttention, {"expansion": 0}, "expansion must be an integer of at least 1; got 0"),
    ],
)
def test_bad_options_of_the_attentions(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(**options)
