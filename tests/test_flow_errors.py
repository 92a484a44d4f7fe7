"""Bad input to a flow: one clear error each."""

import keras
import numpy as np
import pytest

from attnflow_keras import layers
from attnflow_keras.models import Flow
from attnflow_keras.networks import GatedConvNet
from attnflow_keras.priors import GaussianPrior
from tests.helpers import perturb


@pytest.fixture(scope="module")
def flow():
    from tests.conftest import make_tiny_flow

    return make_tiny_flow()


X = np.zeros((2, 8, 8, 1), "float32")
NAN = np.full((2, 8, 8, 1), np.nan, "float32")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f: f.fit(X + np.float32(0.9)), "images: float images must lie in"),
        (lambda f: f.fit(None), "x must be an image batch"),
        (lambda f: f.compile(loss="mse"), "loss must be None"),
        (lambda f: f.compile(metrics=["mae"]), r"metrics must be None, .* got \['mae'\]"),
        (lambda f: f.fit(X, class_weight={0: 1.0}), "class_weight must be None"),
        (lambda f: f.fit(X, sample_weight=[1.0]), r"sample_weight must have shape \(2,\)"),
        (lambda f: f.evaluate(X, sample_weight=[1.0, -1.0]), "sample_weight must hold finite"),
        (lambda f: f.evaluate("x", sample_weight=[1.0]), "x must be an image batch"),
        (lambda f: f.predict([X, X, X]), "got a sequence of 3"),
        (lambda f: f.predict("a"), "x must be an image batch"),
        (lambda f: f("a"), "inputs must be an image batch.*got str"),
        (lambda f: f.adapt(np.zeros((9, 8, 8, 1), "uint8")), "channel 0 of the batch given to"),
        (lambda f: f({"picture": X}), "got a dict with keys picture"),
        (lambda f: f((X, X, X)), "got a sequence of 3"),
        (lambda f: f(X[:, :4]), "image must have shape"),
        (lambda f: f.adapt(NAN), "images must be finite"),
        (lambda f: f.adapt(X), "channel 0 of the batch given to adapt is constant"),
        (lambda f: f.adapt(X[0]), "images must have shape"),
    ],
)
def test_one_clear_error(flow, call, message):
    with pytest.raises(ValueError, match=message) as error:
        call(flow)
    assert "\n" not in str(error.value)


def test_a_failed_adapt_leaves_the_flow_as_it_was(flow):
    before = flow.get_weights()
    half = np.zeros((4, 8, 8, 1), "uint8")
    half[:, ::2] = np.arange(4, dtype="uint8")[:, None, None, None]
    with pytest.raises(ValueError, match="constant"):
        flow.adapt(np.full((4, 8, 8, 1), 0.1, "float32"))
    assert not flow.is_adapted
    for a, b in zip(before, flow.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


class ConditionalFlow(Flow):
    """The smallest conditional flow: one level, the condition feeds the coupling."""

    conditional = True
    condition_shape = (4, 4, 3)

    def __init__(self, image_shape=(4, 4, 2), **kwargs):
        super().__init__(image_shape, **kwargs)
        self.build()

    def make_levels(self):
        steps = layers.Chain(
            {
                "actnorm": layers.ActNorm(),
                "coupling": layers.AffineCoupling(GatedConvNet(4), condition_channels=3),
            },
            condition_channels=3,
        )
        return [(steps, GaussianPrior())]


IMAGES = np.random.default_rng(0).integers(0, 256, (6, 4, 4, 2), dtype="uint8")
CONDITION = np.random.default_rng(1).normal(size=(6, 4, 4, 3)).astype("float32")


@pytest.fixture
def conditional():
    flow = ConditionalFlow()
    flow.adapt({"image": IMAGES, "condition": CONDITION})
    return perturb(flow, 0.1)


def test_conditional_round_trip_and_scores(conditional):
    x = conditional.dequantize(IMAGES)
    latents, _ = conditional.encode(x, condition=CONDITION)
    back = conditional.decode([np.array(z) for z in latents], condition=CONDITION)
    np.testing.assert_allclose(back, x, atol=1e-5)
    other = np.asarray(conditional.log_prob(IMAGES, condition=CONDITION[::-1].copy()))
    score = np.asarray(conditional.log_prob(IMAGES, condition=CONDITION, batch_size=4))
    assert (score != other).all()
    inputs = {"image": IMAGES, "condition": CONDITION}
    np.testing.assert_allclose(conditional.predict(inputs, verbose=0), score, rtol=1e-5)
    assert conditional.sample(6, condition=CONDITION, seed=0).shape == IMAGES.shape


def test_conditional_fit_takes_dicts_and_pairs_but_not_targets(conditional):
    conditional.compile(optimizer=keras.optimizers.Adam(1e-3), jit_compile=False)
    conditional.fit({"image": IMAGES, "condition": CONDITION}, batch_size=3, verbose=0)
    import tensorflow as tf

    pairs = tf.data.Dataset.from_tensor_slices(((IMAGES, CONDITION),)).batch(3)
    conditional.fit(pairs, verbose=0)
    with pytest.raises(ValueError, match="condition is missing"):
        conditional.fit(IMAGES, CONDITION, batch_size=3, verbose=0)
    data = tf.data.Dataset.from_tensor_slices((IMAGES, CONDITION)).batch(3)
    with pytest.raises(ValueError, match="condition is missing"):
        conditional.fit(data, verbose=0)


def test_conditional_without_condition(conditional):
    for call in (
        lambda: conditional.encode(conditional.dequantize(IMAGES)),
        lambda: conditional.log_prob(IMAGES),
        lambda: conditional.sample(2),
        lambda: conditional(IMAGES),
    ):
        with pytest.raises(ValueError, match="condition is missing"):
            call()
