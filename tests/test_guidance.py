"""Class-conditional causal flows that are also flows of no class, and guidance away from it."""

import numpy as np
import pytest

from attnflow_keras import models
from attnflow_keras.ops.step_noise import StepNoise
from tests.helpers import perturb

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), dtype="uint8")
CLASSES = np.array([0, 1, 2, 0, 1, 2], "uint8")


def make(class_dropout=0.5, **options):
    options = {"width": 16, "layers": 1, "group": 2, "components": 2, "classes": 3, **options}
    flow = models.CausalFlow((8, 8, 1), class_dropout=class_dropout, **options)
    flow.adapt({"image": IMAGES, "condition": CLASSES})
    return perturb(flow, 0.1)


@pytest.fixture(scope="module")
def flow():
    return make()


@pytest.mark.parametrize("options", [{}, {"blocks": 2}, {"linear": True}, {"group": 0}])
def test_guidance_of_zero_is_none(options):
    flow = make(**options)
    plain = flow.sample(3, label=1, seed=0, as_float=True)
    drawn = flow.sample(3, label=1, seed=0, guidance=0.0, as_float=True)
    np.testing.assert_allclose(drawn, plain, atol=1e-5)
    guided = flow.sample(3, label=1, seed=0, guidance=1.0, as_float=True)
    assert np.abs(guided - plain).max() > 1e-3


def test_guidance_makes_affine_parameters_more_than_those_of_the_class():
    """With ``a + w (a - b)`` written out for the first token, which sees nothing but the class."""
    flow = make(transform="affine", group=0, bins=(), see_levels=False, context="previous")
    latents = [np.random.default_rng(1).normal(size=(1, *flow.latent_shapes[0])).astype("float32")]
    layer = flow.level_1.block_1
    features = flow.encode_condition(CLASSES[1:2])
    other = flow._conditioning.of_no_class(features[0])
    found = []
    for told in (features[0], other):
        raw, _ = layer.parameters_of(layer.tokens.split(np.zeros((1, 8, 8, 1), "float32")), told)
        found.append(np.asarray(raw)[0, 0])
    raw = found[0] + 1.5 * (found[0] - found[1])
    shift, log_scale = 0.5 * raw[:, 0], 3.0 * np.tanh(raw[:, 1] / 3.0)
    eps = np.asarray(layer.tokens.split(latents[0]))[0, 0]
    decoded = flow.traced_draw(latents, features, np.array([1.5], "float32"), "sequential")
    patch = np.asarray(layer.tokens.split(decoded))[0, 0]
    np.testing.assert_allclose(patch, eps * np.exp(log_scale) + shift, rtol=1e-4, atol=1e-5)


def test_one_class_each(flow):
    drawn = flow.sample(condition=CLASSES, seed=0, guidance=0.5, as_float=True, batch_size=4)
    latents = [
        np.asarray(z) for z in flow.encode(np.clip(drawn, -0.5, 0.5), CLASSES)[0]
    ]  # of the right shapes
    assert drawn.shape == (6, 8, 8, 1)
    assert latents[0].shape == (6, 8, 8, 1)
    again = flow.sample(condition=CLASSES, seed=0, guidance=0.5, as_float=True)
    np.testing.assert_allclose(drawn, again, atol=1e-4)


def test_some_classes_are_not_told_in_a_training_step(flow):
    features = flow.encode_condition(np.repeat(CLASSES, 40))
    none = np.asarray(flow._conditioning.of_no_class(features[0]))
    dropped = np.asarray(flow.training_features(features, StepNoise(0, 3))[0])
    is_none = np.isclose(dropped, none, atol=1e-6).all(axis=(1, 2, 3))
    kept = np.isclose(dropped, features[0], atol=1e-6).all(axis=(1, 2, 3))
    assert (is_none ^ kept).all()
    assert 0.3 < is_none.mean() < 0.7
    other = np.asarray(flow.training_features(features, StepNoise(0, 4))[0])
    assert (other != dropped).any()


def test_the_embedding_of_no_class_learns(flow):
    copy = flow.clone()
    copy.compile("adam")
    before = np.array(copy.encoder.embeddings)
    copy.fit({"image": IMAGES, "condition": CLASSES}, epochs=2, verbose=0)
    assert (np.abs(np.array(copy.encoder.embeddings) - before).max(axis=1) > 0).all()
    assert copy.get_config()["class_dropout"] == 0.5


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_dropout": 1.0, "classes": 3}, "class_dropout must be"),
        ({"class_dropout": 0.1}, "class_dropout goes with classes"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        models.CausalFlow((8, 8, 1), width=16, layers=1, **options)


@pytest.mark.parametrize("value", [-1.0, np.nan, "much", True])
def test_bad_guidance(flow, value):
    with pytest.raises(ValueError, match="guidance must be a number of at least 0"):
        flow.sample(1, label=0, guidance=value)


def test_flows_without_it_say_so():
    flow = models.CausalFlow((8, 8, 1), width=16, layers=1, classes=3)
    with pytest.raises(ValueError, match="guidance needs a causal flow that was trained with"):
        flow.sample(1, label=0, guidance=1.0)
