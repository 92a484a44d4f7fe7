"""The contract of every backbone in the table."""

import json

import keras
import numpy as np
import pytest
from keras import ops

from attnflow_keras import models
from attnflow_keras.models import Flow
from tests.helpers import (
    fresh,
    gradient,
    jacobian_log_det,
    needs_tensorflow,
    perturb,
    run_eagerly,
    traced,
)
from tests.model_table import ALL, FEW_TOKENS, MODELS, TINY, batch_of, build, pairs, shared

CONDITIONAL = [name for name in ALL if ALL[name][1] is not None]
each_backbone = pytest.mark.parametrize("name", MODELS)


@pytest.fixture(params=ALL)
def name(request):
    return request.param


@pytest.fixture(autouse=True)
def _eager(request):
    """Operation by operation, where that is faster: a trace takes seconds.

    Not where a test is about compiled functions, nor where one decodes token by token.
    """
    sequential = "causal" in request.node.name and "eager" not in request.keywords
    run_eagerly(not sequential and "compiled" not in request.keywords)
    yield
    run_eagerly(False)


@pytest.fixture
def flow(name):
    """The shared flow, which the test may not change."""
    flow = shared(name)
    before = flow.get_weights()
    yield flow
    for now, then in zip(flow.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def flat(latents):
    parts = [ops.reshape(z, (ops.shape(z)[0], -1)) for z in latents]
    return ops.concatenate(parts, axis=1)


def copies(latents):
    return [np.array(z) for z in latents]


def test_every_public_model_is_in_the_table():
    public = {getattr(models, name) for name in models.__all__} - {Flow}
    assert public == {type(shared(name)) for name in MODELS}


def test_decode_is_the_exact_inverse_of_encode(name, flow):
    images, condition = pairs(name, flow, 3, seed=1)
    x = flow.dequantize(images, center=True)
    latents, log_det = flow.encode(x, condition)
    assert tuple(z.shape[1:] for z in latents) == flow.latent_shapes
    assert log_det.shape == (3,)
    back = flow.decode(copies(latents), condition)
    np.testing.assert_array_equal(flow.to_uint8(back), images)
    np.testing.assert_allclose(back, x, atol=1e-4)
    # What else is in the batch does not matter.
    for i in range(3):
        one = slice(i, i + 1)
        alone, alone_log_det = flow.encode(x[one], None if condition is None else condition[one])
        np.testing.assert_allclose(flat(alone)[0], flat(latents)[i], atol=1e-4)
        np.testing.assert_allclose(alone_log_det[0], log_det[i], rtol=1e-5)


def test_encode_is_the_exact_inverse_of_decode(name, flow):
    _, condition = pairs(name, flow, 3, seed=1)
    rng = np.random.default_rng(2)
    latents = [rng.normal(size=(3, *s)).astype("float32") for s in flow.latent_shapes]
    x = np.asarray(flow.decode(latents, condition))
    # Not encode, which takes no image outside of the range of images.
    features = None if condition is None else flow.encode_condition(condition)
    again, _ = traced(flow.traced_encode)(fresh(x), features)
    np.testing.assert_allclose(flat(again), flat(latents), atol=2e-3)


def test_scores_follow_from_the_latents(name, flow):
    images, condition = pairs(name, flow, 3)
    x = flow.dequantize(images)
    latents, log_det = flow.encode(x, condition)
    z = np.asarray(flat(latents)).astype("float64")
    expected = np.asarray(log_det) - 0.5 * (z**2 + np.log(2 * np.pi)).sum(axis=1)
    np.testing.assert_allclose(flow.log_prob(x, condition), expected, rtol=1e-5)
    bits = np.asarray(flow.bits_per_dim(images, condition))
    bound = (expected - flow.float_dims * np.log(256)) / (flow.num_dims * np.log(2))
    np.testing.assert_allclose(bits, -bound, rtol=1e-4)
    distribution = flow.as_distribution(condition)
    np.testing.assert_allclose(distribution.log_prob(x), expected, rtol=1e-5)


def test_samples_follow_the_seed(name, flow):
    _, condition = pairs(name, flow, 3)
    drawn = flow.sample(3, condition, temperature=0.8, seed=0)
    assert drawn.shape == (3, *flow.image_shape)
    assert drawn.dtype == np.uint8
    np.testing.assert_array_equal(drawn, flow.sample(3, condition, temperature=0.8, seed=0))
    assert (drawn != flow.sample(3, condition, temperature=0.8, seed=1)).any()
    warm = flow.sample(3, condition, temperature=1.2, seed=0, as_float=True)
    assert np.isfinite(warm).all()


@pytest.mark.float64
def test_log_det_is_that_of_the_jacobian(name):
    flow = build(name, dtype="float64", **TINY.get(name, {}))
    images, condition = pairs(name, flow, 1)
    x = flow.dequantize(images).astype("float64")
    features = None if condition is None else flow.encode_condition(condition)
    latents, log_det = traced(flow.traced_encode)(fresh(x), features)
    expected = jacobian_log_det(lambda *given: flat(flow.traced_encode(*given)[0]), x, features)
    np.testing.assert_allclose(log_det, expected, rtol=1e-8)
    decode = flow.decode if name.startswith("causal") else traced(flow.traced_decode)
    back = decode(tuple(fresh(z) for z in latents), features)
    np.testing.assert_allclose(back, x, atol=1e-7)


def test_gradients_reach_images_latents_and_weights(name, flow):
    if name.startswith("causal_"):
        # A gradient through the loops of a graph is long in tracing: that of "causal" does.
        flow = build(name, **FEW_TOKENS)
        run_eagerly(True)
    images, condition = pairs(name, flow, 1)
    features = None if condition is None else flow.encode_condition(condition)
    x = flow.dequantize(images)
    latents = copies(flow.encode(x, condition)[0])
    assert np.abs(gradient(lambda x: ops.sum(flow.log_prob(x, features)), x)).max() > 0
    found = gradient(lambda latents: ops.sum(flow.decode(latents, features) ** 2), latents)
    assert len(found) == len(latents)
    for part in found:
        assert np.abs(part).max() > 0


@each_backbone
@pytest.mark.compiled
@needs_tensorflow
def test_compiled_functions_agree(name, flow):
    images, condition = pairs(name, flow, 3)
    x = flow.dequantize(images)
    latents, log_det = flow.encode(x, condition)
    found = {
        "latents": flat(latents),
        "log_det": log_det,
        "image": flow.decode(copies(latents), condition),
        "log_prob": flow.log_prob(images, condition, batch_size=2),
    }
    run_eagerly(True)
    expected_latents, expected_log_det = flow.encode(x, condition)
    expected = (flat(expected_latents), expected_log_det, x, flow.log_prob(images, condition))
    for key, value in zip(found, expected, strict=True):
        np.testing.assert_allclose(found[key], value, rtol=1e-5, atol=1e-4, err_msg=key)


@each_backbone
@pytest.mark.compiled
def test_fit_lowers_the_loss(name, flow):
    copy = flow.clone()
    images, condition = pairs(name, flow, 16)
    # Dark images: random ones have nothing to learn.
    data = batch_of(images // 8, condition)
    copy.compile(keras.optimizers.Adam(5e-3))
    before = copy.evaluate(data, batch_size=8, verbose=0, return_dict=True)["bits_per_dim"]
    losses = copy.fit(data, batch_size=8, epochs=4, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    after = copy.evaluate(data, batch_size=8, verbose=0, return_dict=True)["bits_per_dim"]
    assert after < before
    np.testing.assert_allclose(
        copy.predict(data, verbose=0), copy.log_prob(images // 8, condition), rtol=1e-4
    )
    scores = copy.bits_per_dim(images // 8, condition)
    np.testing.assert_allclose(after, np.mean(scores), rtol=1e-4)


@each_backbone
@pytest.mark.eager
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_policies_keep_the_flow_in_the_variable_dtype(name, flow, policy):
    copy = flow.clone(dtype=policy)
    images, condition = pairs(name, flow, 8)
    x = copy.dequantize(images, center=True)
    latents, log_det = copy.encode(x, condition)
    assert {np.asarray(v).dtype.name for v in (*latents, log_det)} == {"float32"}
    if not name.startswith("causal"):
        # A sequential inverse rounds otherwise than the pass over all tokens.
        np.testing.assert_allclose(copy.decode(copies(latents), condition), x, atol=1e-3)
    data = batch_of(images, condition)
    copy.compile(keras.optimizers.Adam(1e-3))
    assert np.isfinite(copy.fit(data, batch_size=4, verbose=0).history["loss"]).all()
    predicted = copy.predict(data, verbose=0)
    assert predicted.dtype == "float32"
    np.testing.assert_allclose(predicted, copy.log_prob(images, condition), rtol=1e-4)


@pytest.mark.parametrize("suffix", [".keras", ".weights.h5"])
def test_save_and_load_give_the_same_flow(name, flow, tmp_path, suffix):
    images, condition = pairs(name, flow, 2)
    path = tmp_path / f"flow{suffix}"
    if suffix == ".keras":
        flow.save(path)
        loaded = keras.saving.load_model(path)
    else:
        flow.save_weights(path)
        loaded = type(flow).from_config(json.loads(json.dumps(flow.get_config())))
        loaded.load_weights(path)
    assert loaded.get_config() == flow.get_config()
    assert loaded.is_adapted
    np.testing.assert_array_equal(
        loaded.bits_per_dim(images, condition), flow.bits_per_dim(images, condition)
    )
    np.testing.assert_array_equal(
        loaded.sample(2, condition, seed=1), flow.sample(2, condition, seed=1)
    )


@each_backbone
def test_a_sound_flow_is_diagnosed_as_sound(name, flow):
    if name == "causal":  # layer by layer, nothing is compiled
        flow = build(name, **FEW_TOKENS)
    images, condition = pairs(name, flow, 2)
    report = flow.diagnose(images, condition)
    assert report.problem is None
    broken = flow.clone()
    broken.trainable_variables[0].assign(np.full_like(broken.trainable_variables[0], np.nan))
    assert broken.diagnose(images, condition).problem


def test_a_clone_has_copies_of_the_weights(flow):
    copy = flow.clone()
    assert type(copy) is type(flow)
    assert copy.get_config() == flow.get_config()
    assert copy.is_adapted
    for ours, theirs in zip(copy.get_weights(), flow.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    perturb(copy, 0.05)  # the fixture sees that the flow stays as it is
    changed = zip(copy.trainable_variables, flow.trainable_variables, strict=True)
    assert all((np.array(ours) != np.array(theirs)).any() for ours, theirs in changed)


@each_backbone
def test_channels_last_whatever_keras_says(name, flow):
    _, condition = pairs(name, flow, 1)
    keras.config.set_image_data_format("channels_first")
    try:
        keras.utils.set_random_seed(0)
        first = ALL[name][0]()
        copy = flow.clone()
        drawn = copy.sample(1, condition, seed=0, as_float=True)
    finally:
        keras.config.set_image_data_format("channels_last")
    keras.utils.set_random_seed(0)
    for ours, theirs in zip(first.get_weights(), ALL[name][0]().get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_allclose(drawn, flow.sample(1, condition, seed=0, as_float=True), atol=1e-5)


def test_parameters_are_the_trainable_variables(flow):
    names = [v.path.rsplit("/", 1)[-1] for v in flow.non_trainable_variables]
    assert "adapted" in names
    assert set(names) <= {"adapted", "permutation", "rotation", "sign"}


def test_wrong_images_give_one_clear_error(name, flow):
    images, condition = pairs(name, flow, 2)
    x = flow.dequantize(images)
    for call in (flow.log_prob, flow.bits_per_dim):
        for wrong, message in (
            (images[0], "images must have shape"),
            (images[:0], "images holds no image"),
            (np.concatenate([images, images], axis=-1), "images must have shape"),
            (x * np.float32(np.nan), "images must be finite"),
            (x + np.float32(0.9), "images: float images must lie in"),
        ):
            with pytest.raises(ValueError, match=message) as error:
                call(wrong, condition)
            assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", CONDITIONAL)
def test_the_condition_matters_and_its_features_serve(name, flow):
    images, condition = pairs(name, flow, 3)
    bits = np.asarray(flow.bits_per_dim(images, condition))
    assert np.abs(np.asarray(flow.bits_per_dim(images, condition[::-1])) - bits).max() > 1e-4
    features = flow.encode_condition(condition)
    np.testing.assert_allclose(flow.bits_per_dim(images, features), bits, rtol=1e-5)
    np.testing.assert_array_equal(
        flow.sample(condition=features, seed=1), flow.sample(condition=condition, seed=1)
    )
    # One condition serves several images.
    x = flow.dequantize(images)
    repeated = np.asarray(flow.log_prob(x, np.repeat(condition[:1], 3, axis=0)))
    np.testing.assert_allclose(flow.log_prob(x, condition[:1]), repeated, rtol=1e-5)
    one = flow.as_distribution(condition[:1])
    np.testing.assert_allclose(one.log_prob(x), repeated, rtol=1e-5)
    assert one.sample(2).shape == (2, *flow.image_shape)


def test_wrong_conditions_give_one_clear_error(name, flow):
    images, condition = pairs(name, flow, 3)
    if condition is None:
        cases = [(np.zeros(3, "int32"), "this flow is unconditional")]
    else:
        cases = [
            (None, "condition is missing"),
            (condition[:2], "one for each of 3 images, or one; got 2"),
            (condition[..., None], "condition must"),
            (condition.astype("float32") + 0.5, "condition must .*got float32"),
        ]
    for wrong, message in cases:
        for call in (flow.log_prob, flow.bits_per_dim):
            with pytest.raises(ValueError, match=message) as error:
                call(images, wrong)
            assert "\n" not in str(error.value)
