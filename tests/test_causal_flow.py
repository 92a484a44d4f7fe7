"""CausalFlow: conditions, exactness, and the parts that its block is made of."""

import numpy as np
import pytest

from attnflow_keras.layers import CausalAttention
from attnflow_keras.layers.token_order import TokenOrder
from attnflow_keras.models import CausalFlow
from attnflow_keras.networks import CausalTransformer, MaskedHead
from tests.helpers import fresh, jacobian, perturb

SMALL = {"patch": 2, "layers": 1, "width": 8, "heads": 2, "group": 3, "components": 3}
PALETTE = [[0, 0, 0], [255, 0, 0], [0, 255, 0]]

# Arguments, and the condition of two images.
KINDS = {
    "none": ({}, None),
    "classes": ({"classes": 3}, np.array([2, 0])),
    "scale": (
        {"scale": 2, "condition_width": 4},
        np.random.default_rng(0).integers(0, 256, (2, 2, 2, 3), dtype="uint8"),
    ),
    "palette": (
        {"palette": PALETTE, "condition_width": 4, "condition_blocks": 1},
        np.random.default_rng(0).integers(0, 3, (2, 4, 4)),
    ),
}


def make(kind="none", **changes):
    arguments, condition = KINDS[kind]
    flow = CausalFlow((4, 4, 3), **{**SMALL, **arguments, **changes})
    perturb(flow, 0.1)
    return flow, condition


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).integers(0, 256, (2, 4, 4, 3), dtype="uint8")


@pytest.mark.parametrize("kind", KINDS)
def test_round_trip_and_score(kind, images):
    flow, condition = make(kind)
    x = flow.dequantize(images, center=True)
    latents, log_det = flow.encode(x, condition)
    assert flow.latent_shapes == ((4, 4, 3),)
    np.testing.assert_array_equal(
        flow.to_uint8(flow.decode([np.array(z) for z in latents], condition)), images
    )
    normal = -0.5 * np.sum(np.square(latents[0]) + np.log(2 * np.pi), axis=(1, 2, 3))
    np.testing.assert_allclose(flow.log_prob(x, condition), log_det + normal, rtol=1e-5)
    assert flow.sample(2, condition, seed=0).shape == images.shape


@pytest.mark.parametrize("kind", ["classes", "scale", "palette"])
def test_the_condition_matters_and_its_features_serve(kind, images):
    flow, condition = make(kind)
    bits = np.asarray(flow.bits_per_dim(images, condition))
    features = flow.encode_condition(condition)
    np.testing.assert_allclose(flow.bits_per_dim(images, features), bits, rtol=1e-5)
    assert np.abs(np.asarray(flow.bits_per_dim(images, condition[::-1])) - bits).max() > 1e-4


def test_the_jacobian_of_the_flow_is_triangular_in_the_order_of_its_tokens(images):
    flow, _ = make(dtype="float64")
    x = flow.dequantize(images, center=True).astype("float64")
    found = jacobian(lambda v: flow.traced_encode(v)[0][0], x)
    order = TokenOrder((4, 4, 3), 2, "raster", "neighbours")
    places = np.asarray(order.split(np.arange(48.0).reshape(1, 4, 4, 3))).astype(int).reshape(-1)
    ordered = found[:, places][:, :, places]
    np.testing.assert_array_equal(ordered, np.tril(ordered))
    log_det = np.asarray(flow.encode(x)[1])
    np.testing.assert_allclose(np.linalg.slogdet(found)[1], log_det, rtol=1e-9)


def test_stacked_blocks_turn_the_order_and_come_back(images):
    flow, _ = make(blocks=3, later={"transform": "mixture", "group": 2}, dtype="float64")
    x = flow.dequantize(images).astype("float64")
    latents, log_det = flow.encode(x)
    found = jacobian(lambda v: flow.traced_encode(v)[0][0], x)
    np.testing.assert_allclose(np.linalg.slogdet(found)[1], log_det, rtol=1e-8)
    np.testing.assert_allclose(flow.decode([fresh(latents[0])]), x, atol=1e-7)
    assert [flow.level_1.steps()[i].order for i in range(3)] == ["raster", "reversed", "raster"]


def test_training_lowers_the_loss(images):
    flow, condition = make("classes", dropout=0.2)
    flow.compile("adam")
    data = {"image": np.repeat(images, 8, axis=0), "condition": np.repeat(condition, 8)}
    losses = flow.fit(data, batch_size=8, epochs=6, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_config_and_weights_come_back(images, tmp_path):
    flow, condition = make("palette")
    copy = CausalFlow.from_config(flow.get_config())
    assert copy.get_config() == flow.get_config()
    flow.save_weights(tmp_path / "f.weights.h5")
    copy.load_weights(tmp_path / "f.weights.h5")
    np.testing.assert_array_equal(
        copy.bits_per_dim(images, condition), flow.bits_per_dim(images, condition)
    )


@pytest.mark.parametrize(
    ("kind", "condition", "message"),
    [
        ("classes", np.array([3, 0]), "condition must hold classes 0 to 2; got 0 to 3"),
        ("classes", np.zeros((2, 1), "int32"), "condition must be classes, integers of shape"),
        ("scale", np.zeros((2, 4, 4, 3), "uint8"), r"images of shape \(n, 2, 2, 3\)"),
        ("scale", np.zeros((2, 2, 2, 3), "float32"), "must be uint8 low-resolution images"),
        ("palette", np.full((2, 4, 4), 7), "condition must hold classes 0 to 2; got 7 to 7"),
        ("none", np.zeros(2, "int32"), "this flow is unconditional"),
    ],
)
def test_wrong_conditions(kind, condition, message, images):
    flow, _ = make(kind)
    with pytest.raises(ValueError, match=message):
        flow.bits_per_dim(images, condition)


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
        ({"later": {"order": "raster"}}, "later of CausalAttention must be out of"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        CausalFlow((4, 4, 3), **{**SMALL, **arguments})


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
    layer = CausalAttention(**SMALL, see_levels=True)
    level = (np.arange(256) + np.array([[0.1], [0.5], [0.9]])) / 256 - 0.5
    seen = np.asarray(layer.values.seen(level.astype("float32")))
    np.testing.assert_allclose(seen[0], seen[1], atol=1e-6)
    np.testing.assert_allclose(seen[0], seen[2], atol=1e-6)
    assert (np.diff(seen[0]) > 0.007).all()


def test_more_tokens_than_attention_can_take():
    layer = CausalAttention(patch=1)
    with pytest.raises(ValueError, match="patch must leave at most 16,384 tokens"):
        layer.build((None, 1024, 1024, 3))
