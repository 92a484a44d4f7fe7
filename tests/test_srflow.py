"""SRFlow: structure, sizes, condition, errors."""

import json
import warnings

import keras
import numpy as np
import pytest

from attnflow_keras.flow.diagnosis import leaf_layers
from attnflow_keras.layers import AffineInjector
from attnflow_keras.models import SRFlow
from attnflow_keras.networks import RRDBNet
from attnflow_keras.ops.numerics import SCALE_FLOOR
from tests.helpers import fresh, jacobian_log_det, perturb
from tests.model_table import make_srflow


def pairs(flow, n=6, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, *flow.image_shape)).astype("uint8")
    return images, rng.integers(0, 256, (n, *flow.condition_shape)).astype("uint8")


@pytest.fixture(scope="module")
def srflow():
    keras.utils.set_random_seed(0)
    flow = make_srflow(split="all")
    images, conditions = pairs(flow, 32)
    flow.adapt({"image": images, "condition": conditions})
    return perturb(flow, 0.02)


def parameters(model):
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


# The reference builds a network of 276,576 parameters that it never uses.
@pytest.mark.parametrize(
    ("levels", "steps", "total"), [(1, 1, 6_622_243), (2, 8, 13_253_875), (4, 16, 40_030_531)]
)
def test_parameter_totals_are_those_of_the_paper(levels, steps, total):
    assert parameters(SRFlow(levels=levels, steps=steps)) == total - 276_576


def test_the_encoder_has_the_reference_size():
    encoder = RRDBNet()
    encoder.build((None, 20, 20, 3))
    assert parameters(encoder) == 5_943_555
    assert encoder.condition_channels == 320


def test_levels_see_the_features_of_their_size():
    flow = make_srflow(image_shape=(16, 16, 3), levels=3, width=4)
    _, conditions = pairs(flow, 1)
    shapes = [tuple(f.shape) for f in flow.encode_condition(conditions)]
    assert shapes == [(1, 8, 8, 8), (1, 4, 4, 8), (1, 2, 2, 8)]


OPTIONS = [
    {},
    {"split": "all"},
    {"levels": 3, "split": "reference", "image_shape": (8, 8, 3)},
    {"attention": "imap", "position": 1, "mask": "channel"},
    {"attention": "imap", "position": 2, "attention_condition": True},
    {"attention": "imap", "position": 3, "attention_options": {"pool": "space"}},
    {"attention": "itrans", "position": 3, "heads": 2, "image_shape": (16, 16, 3)},
    {"attention": "itrans", "attention_condition": True, "image_shape": (16, 16, 3)},
    {"transition_steps": 0, "levels": 1, "steps": 2},
]


@pytest.mark.eager
@pytest.mark.parametrize("options", OPTIONS, ids=json.dumps)
def test_every_option_is_a_flow(options):
    flow = perturb(make_srflow(**{"image_shape": (8, 8, 3), **options}, dtype="float64"), 0.1)
    _, conditions = pairs(flow, 1)
    features = flow.encode_condition(conditions)
    x = np.random.default_rng(0).normal(size=(1, *flow.image_shape))

    def flat(v, features):
        latents = flow.traced_encode(v, features)[0]
        parts = [keras.ops.reshape(z, (len(v), -1)) for z in latents]
        return keras.ops.concatenate(parts, axis=1)

    latents, log_det = flow.traced_encode(fresh(x), features)
    assert [tuple(z.shape[1:]) for z in latents] == list(flow.latent_shapes)
    np.testing.assert_allclose(log_det, jacobian_log_det(flat, x, features), rtol=1e-7, atol=1e-6)
    back = flow.traced_decode(tuple(fresh(z) for z in latents), features)
    np.testing.assert_allclose(back, x, atol=1e-7)
    assert SRFlow.from_config(flow.get_config()).get_config() == flow.get_config()
    json.dumps(flow.get_config())


def test_one_condition_gives_many_samples(srflow):
    _, conditions = pairs(srflow, 2)
    many = srflow.sample(condition=conditions[:1], n=5, seed=0)
    assert many.shape == (5, *srflow.image_shape)
    assert len({picture.tobytes() for picture in many}) == 5
    still = srflow.sample(condition=conditions[:1], n=3, temperature=0.0)
    assert (still == still[0]).all()
    with pytest.raises(ValueError, match=r"n must be the number of conditions, 2, .*n=3"):
        srflow.sample(condition=conditions, n=3)


@pytest.mark.parametrize("attention", [None, "imap", "itrans"])
def test_other_sizes(attention):
    flow = perturb(make_srflow(image_shape=(16, 16, 3), attention=attention), 0.02)
    rng = np.random.default_rng(0)
    conditions = rng.integers(0, 256, (2, 6, 8, 3)).astype("uint8")
    images = rng.integers(0, 256, (2, 24, 32, 3)).astype("uint8")
    bits = flow.bits_per_dim(images, condition=conditions)
    large = flow.at_size(24, 32)
    assert parameters(large) == parameters(flow)
    np.testing.assert_allclose(bits, large.bits_per_dim(images, condition=conditions), rtol=1e-6)
    latents, _ = flow.encode(large.dequantize(images), conditions)
    back = flow.decode(latents, conditions)
    np.testing.assert_allclose(back, large.dequantize(images), atol=1e-4)
    odd = conditions[:, :5, :7]
    assert flow.sample(condition=odd, seed=0).shape == (2, 20, 28, 3)


def test_other_sizes_follow_the_weights(srflow):
    flow = srflow.clone()
    condition = np.full((1, 4, 4, 3), 99, "uint8")
    before = flow.sample(condition=condition, seed=0)
    perturb(flow, 0.1)
    after = flow.sample(condition=condition, seed=0)
    np.testing.assert_array_equal(after, flow.at_size(16, 16).sample(condition=condition, seed=0))
    assert (before != after).any()


def test_fit_lowers_the_loss_and_moves_the_encoder_only_when_it_is_free():
    flow = make_srflow(split="all")
    images, conditions = pairs(flow, 32)
    flow.adapt({"image": images, "condition": conditions})
    flow.compile(keras.optimizers.Adam(1e-2), freeze_steps=4)
    data = {"image": images // 8, "condition": conditions}
    start = [np.array(v) for v in flow.encoder.trainable_variables]
    first = flow.fit(data, batch_size=8, epochs=1, verbose=0).history["loss"][0]

    def moved():
        now = flow.encoder.trainable_variables
        return [(np.array(v) != s).any() for v, s in zip(now, start, strict=True)]

    assert not any(moved())
    last = flow.fit(data, batch_size=8, epochs=4, verbose=0).history["loss"][-1]
    assert any(moved())
    assert last < first


def test_the_likelihood_leaves_the_encoder_of_a_residual_flow_alone():
    flow = make_srflow(split="all", residual=True)
    images, conditions = pairs(flow, 16)
    flow.adapt({"image": images, "condition": conditions})
    flow.compile(optimizer=keras.optimizers.Adam(1e-2))
    parts = {"encoder": flow.encoder, "level": flow.level_1}
    start = {key: [np.array(v) for v in part.trainable_variables] for key, part in parts.items()}
    with warnings.catch_warnings():
        # Keras warns of weights without a gradient.
        warnings.simplefilter("error", UserWarning)
        flow.fit({"image": images, "condition": conditions}, batch_size=8, epochs=2, verbose=0)
    moved = {
        key: any(
            (np.array(v) != s).any()
            for v, s in zip(part.trainable_variables, start[key], strict=True)
        )
        for key, part in parts.items()
    }
    assert moved == {"encoder": False, "level": True}


def test_errors_of_pairs_before_training():
    flow = make_srflow(split="all")
    images, conditions = pairs(flow, 8)
    data = {"image": images, "condition": conditions}
    with pytest.raises(ValueError, match="call flow.compile.optimizer. before fit"):
        flow.fit(data)
    flow.compile()
    with pytest.raises(ValueError, match="condition must be one for each of 8 images; got 4"):
        flow.fit({"image": images, "condition": conditions[:4]})
    with pytest.raises(ValueError, match="images must be 4 times as large as their condition"):
        flow.fit({"image": images, "condition": images})


def test_a_floor_bounds_the_inverse_of_every_coupling():
    flow = make_srflow(split="all", scale_floor=0.5)
    assert flow.get_config()["scale_floor"] == 0.5
    assert make_srflow().get_config()["scale_floor"] == SCALE_FLOOR
    images, conditions = pairs(flow, 16)
    flow.adapt({"image": images, "condition": conditions})
    perturb(flow, 3.0)  # as if everything were unlike the training data
    floors = [
        float(np.min(np.asarray(bijector.log_scale)))
        for chain, _ in flow.levels()
        for _, layer in leaf_layers(chain)
        if isinstance(layer, AffineInjector)
        for bijector in [layer.bijector(np.ones((1, 2, 2, layer.condition_channels), "float32"))]
    ]
    assert floors
    assert np.log(0.5) - 1e-6 <= min(floors) < -0.6


def test_training_noise_has_the_width_that_was_asked_for():
    u = np.array([0.0, 0.5, 1.0])
    for levels, width in ((256, 1.0), (32, 8.0), (None, 0.0)):
        noise = make_srflow(noise_levels=levels).training_noise(u)
        np.testing.assert_allclose(noise, [0.5 - width / 2, 0.5, 0.5 + width / 2])


def test_the_encoder_restores_by_itself(srflow):
    _, conditions = pairs(srflow, 3)
    restored = srflow.regress(conditions)
    assert restored.shape == (3, *srflow.image_shape)
    assert restored.dtype == np.uint8


def test_mixed_precision_trains():
    flow = make_srflow(dtype="mixed_float16", attention="imap")
    images, conditions = pairs(flow, 16)
    flow.compile(optimizer=keras.optimizers.Adam(1e-3))
    data = {"image": images, "condition": conditions}
    losses = flow.fit(data, batch_size=8, epochs=2, verbose=0).history["loss"]
    assert np.isfinite(losses).all()
    np.testing.assert_allclose(
        flow.predict(data, verbose=0), flow.log_prob(images, condition=conditions), rtol=1e-4
    )


BAD = [
    ({"scale": 3}, "scale must be a power of 2, at least 2; got 3"),
    ({"levels": 4}, "levels must be at most 3 at scale 4; got 4"),
    ({"image_shape": (18, 8, 3)}, "image_shape must have sides divisible by 4"),
    ({"split": "none"}, "split must be one of reference, all"),
    ({"noise_levels": 7}, "noise_levels must be one of None, 32, 256; got 7"),
    ({"heads": 2}, "heads is an option of attention='itrans'"),
    ({"attention": "imap", "attention_options": {"bias": "element"}}, "bias must be 'channel'"),
    ({"encoder_options": {"scale": 2}}, "encoder_options of RRDBNet must be among"),
    ({"encoder_options": {"stacked": (9,)}}, "stacked must name blocks from 0 to 7"),
    ({"scale_floor": 1.0}, r"scale_floor must be a number in \[0, 1); got 1.0"),
    ({"transition_steps": -1}, "transition_steps must be an integer of at least 0"),
    ({"attention": "itrans", "image_shape": (12, 8, 3)}, "does not divide the map of level 2"),
]


@pytest.mark.parametrize(("changes", "message"), BAD, ids=lambda v: str(v))
def test_wrong_arguments(changes, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)")):
        make_srflow(**changes)


def test_wrong_conditions(srflow):
    images, conditions = pairs(srflow, 2)
    for call in (
        lambda c: srflow.sample(condition=c),
        lambda c: srflow.bits_per_dim(images, condition=c),
        lambda c: srflow.encode(srflow.dequantize(images), c),
        lambda c: srflow.encode_condition(c),
    ):
        with pytest.raises(ValueError, match="condition is missing"):
            call(None)
        with pytest.raises(ValueError, match=r"condition must be uint8 .*, 3\); got shape"):
            call(conditions[..., :1])
        with pytest.raises(ValueError, match=r"condition must be uint8 .*; got float32"):
            call(conditions.astype("float32"))
        with pytest.raises(ValueError, match=r"condition must be .* feature maps"):
            call((conditions,))
    with pytest.raises(ValueError, match=r"images must be 4 times as large .* 16x16; got 16x8"):
        srflow.bits_per_dim(images, condition=np.zeros((2, 4, 4, 3), "uint8"))
    with pytest.raises(ValueError, match="must be an array; got a dict. Give its parts"):
        srflow.bits_per_dim({"image": images, "condition": conditions})
    with pytest.raises(ValueError, match="height and width must be divisible by 4; got 10 and 8"):
        srflow.at_size(10, 8)


def test_a_residual_flow_starts_from_the_encoder_s_restoration():
    flow = make_srflow(residual=True, dtype="float64")
    images, conditions = pairs(flow, 8)
    flow.adapt({"image": images, "condition": conditions})
    perturb(flow, 0.01)
    x = flow.dequantize(images[:2]).astype("float64")
    features = flow.encode_condition(conditions[:2])
    log_det = flow.encode(x, features)[1]
    plain = make_srflow(dtype="float64")
    plain.set_weights(flow.get_weights())
    mean = (255 * np.asarray(flow.traced_regress(conditions[:2])) + 0.5) / 256 - 0.5
    shifted = plain.traced_encode(x - mean, plain.encode_condition(conditions[:2]))[1]
    np.testing.assert_allclose(shifted, log_det, rtol=1e-7)
    assert make_srflow(residual=True).get_config()["residual"]
