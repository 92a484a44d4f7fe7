"""CausalFlow: conditions, exactness, and the parts that its block is made of."""

import numpy as np
import pytest

from attnflow_keras.layers import CausalAttention
from attnflow_keras.layers.token_order import TokenOrder
from attnflow_keras.networks import CausalTransformer, MaskedHead
from tests.helpers import fresh, jacobian, perturb
from tests.model_table import CAUSAL, make_causal, shared


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (2, 4, 4, 3), dtype="uint8")


def test_the_jacobian_of_the_flow_is_triangular_in_the_order_of_its_tokens(images):
    flow = perturb(make_causal(dtype="float64"), 0.1)
    x = flow.dequantize(images, center=True).astype("float64")
    found = jacobian(lambda v: flow.traced_encode(v)[0][0], x)
    order = TokenOrder((4, 4, 3), 2, "raster", "neighbours")
    places = np.asarray(order.split(np.arange(48.0).reshape(1, 4, 4, 3))).astype(int).reshape(-1)
    ordered = found[:, places][:, :, places]
    np.testing.assert_array_equal(ordered, np.tril(ordered))
    log_det = np.asarray(flow.encode(x)[1])
    np.testing.assert_allclose(np.linalg.slogdet(found)[1], log_det, rtol=1e-9)


def test_stacked_blocks_turn_the_order_and_come_back(images):
    later = {"transform": "mixture", "group": 2}
    flow = perturb(make_causal(blocks=3, later=later, dtype="float64"), 0.1)
    x = flow.dequantize(images).astype("float64")
    latents, log_det = flow.encode(x)
    found = jacobian(lambda v: flow.traced_encode(v)[0][0], x)
    np.testing.assert_allclose(np.linalg.slogdet(found)[1], log_det, rtol=1e-8)
    np.testing.assert_allclose(flow.decode([fresh(latents[0])]), x, atol=1e-7)
    assert [flow.level_1.steps()[i].order for i in range(3)] == ["raster", "reversed", "raster"]


@pytest.mark.parametrize(
    ("name", "condition", "message"),
    [
        ("causal", np.array([3, 0]), "condition must hold classes 0 to 2; got 0 to 3"),
        ("causal", np.zeros((2, 1), "int32"), "condition must be classes, integers of shape"),
        ("causal_scale", np.zeros((2, 4, 4, 3), "uint8"), r"images of shape \(n, 2, 2, 3\)"),
        ("causal_scale", np.zeros((2, 2, 2, 3), "float32"), "must be uint8 low-resolution images"),
        ("causal_labels", np.full((2, 4, 4), 7), "condition must hold classes 0 to 2; got 7 to 7"),
        ("causal_alone", np.zeros(2, "int32"), "this flow is unconditional"),
    ],
)
def test_wrong_conditions(name, condition, message, images):
    with pytest.raises(ValueError, match=message):
        shared(name).bits_per_dim(images, condition)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"patch": 3}, "patch must divide the map's height and width, 4 and 4; got 3"),
        ({"blocks": 0}, "blocks must be an integer of at least 1; got 0"),
        ({"bins": (0, 256)}, "bins must be grey levels, integers from 0 to 255"),
        ({"transform": "affine"}, "bins go with transform='mixture'"),
        ({"heads": 3}, "width must be divisible by heads; got width=8, heads=3"),
        ({"classes": 1}, "classes must be an integer of at least 2; got 1"),
        ({"scale": 3}, "scale must divide 4 and 4; got 3"),
        ({"classes": 3, "scale": 2}, "give one of classes, scale, palette; got classes, scale"),
        ({"later": {"order": "raster"}}, "later of CausalAttention must be among"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_causal(**arguments)


def test_one_token_at_a_time_is_the_same_as_all_at_once():
    trunk = CausalTransformer(width=8, layers=2, heads=2)
    trunk.build((None, 5, 8))
    perturb(trunk)
    h = np.random.default_rng(0).normal(size=(3, 5, 8)).astype("float32")
    expected = trunk(h)
    cache = trunk.empty_cache(h[:, 0], 5)
    for t in range(5):
        out, cache = trunk.step(h[:, t], t, cache)
        np.testing.assert_allclose(out, expected[:, t], atol=1e-5)


def test_an_output_of_the_masked_head_sees_the_values_before_it():
    head = MaskedHead(group=4, outputs=2)
    head.build_for(context=3, values=5)
    perturb(head)
    context = np.ones((1, 3), "float32")
    x = np.zeros((1, 5), "float32")
    before = np.asarray(head(context, x))
    x[0, 2] = 1.0
    moved = np.abs(np.asarray(head(context, x)) - before).max(axis=(0, 2)) > 0
    np.testing.assert_array_equal(moved, [False, False, False, True, True])


@pytest.mark.parametrize("order", ["raster", "reversed", "columns"])
@pytest.mark.parametrize("context", ["neighbours", "previous"])
def test_contexts_hold_earlier_tokens_only(order, context):
    tokens = TokenOrder((4, 6, 1), 2, order, context)
    x = np.arange(24.0).reshape(1, 4, 6, 1)
    np.testing.assert_array_equal(tokens.join(tokens.split(x)), x)
    own = np.arange(tokens.tokens)[:, None]
    assert ((tokens.before < own) | (tokens.before == tokens.tokens)).all()
    assert (tokens.before[0] == tokens.tokens).all()


def test_rounding_does_not_change_what_the_networks_see():
    layer = CausalAttention(**CAUSAL, see_levels=True)
    level = (np.arange(256) + np.array([[0.1], [0.5], [0.9]])) / 256 - 0.5
    seen = np.asarray(layer.values.seen(level.astype("float32")))
    np.testing.assert_allclose(seen[0], seen[1], atol=1e-6)
    np.testing.assert_allclose(seen[0], seen[2], atol=1e-6)
    assert (np.diff(seen[0]) > 0.007).all()


def test_more_tokens_than_attention_can_take():
    layer = CausalAttention(patch=1)
    with pytest.raises(ValueError, match="patch must leave at most 16,384 tokens"):
        layer.build((None, 1024, 1024, 3))


@pytest.mark.eager
def test_a_linear_prediction_without_a_masked_network_comes_back(images):
    flow = perturb(make_causal(group=0, linear=True), 0.1)
    x = flow.dequantize(images[:4])
    back = flow.decode(flow.encode(x)[0])
    np.testing.assert_allclose(np.asarray(back), x, atol=1e-3)
