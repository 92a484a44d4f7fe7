"""Adversarial models: gradients, training, drawing, files, errors."""

import keras
import numpy as np
import pytest
from keras import ops

from attnflow_keras.core.noise import NotFiniteError
from attnflow_keras.ops.step_noise import StepNoise
from attnflow_keras.training import Recipe
from tests.helpers import weight_gradients
from zoo.gans import DCGAN, ESRGAN, Pix2Pix
from zoo.gans.train import train

pytestmark = pytest.mark.eager

PALETTE = [[0, 0, 0], [0, 128, 0], [255, 0, 0]]


def pictures(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype="uint8")


def dcgan(**options):
    return DCGAN((8, 8, 1), **{"width": 4, "noise": 6, **options}), pictures((6, 8, 8, 1))


def esrgan(**options):
    small = {"scale": 2, "features": 4, "growth": 2, "blocks": 1, "width": 4}
    given = {"image": pictures((6, 8, 8, 3)), "condition": pictures((6, 4, 4, 3), 1)}
    return ESRGAN((8, 8, 3), **{**small, **options}), given


def pix2pix(**options):
    small = {"palette": PALETTE, "width": 4, "patch_layers": 1}
    given = {"image": pictures((6, 8, 8, 3)), "condition": pictures((6, 8, 8), 1) % 3}
    return Pix2Pix((8, 8, 3), **{**small, **options}), given


MAKERS = (dcgan, esrgan, pix2pix)
each = pytest.mark.parametrize("make", MAKERS)


def drawn(gan, given, **options):
    """Images of the data's conditions, or as many as it has."""
    if isinstance(gan, DCGAN):
        return gan.sample(len(given), seed=3, **options)
    seed = {} if isinstance(gan, ESRGAN) else {"seed": 3}
    return gan.sample(condition=given["condition"], **seed, **options)


@each
def test_each_network_has_the_gradient_of_its_own_loss(make):
    gan, given = make()
    images, condition = gan._pair(given)

    def fake():
        noise = StepNoise(gan.seed, 0)
        return ops.cast(gan.generated(images, condition, noise, True), "float32")

    def both():
        return gan.compute_loss(given, y_pred=fake())

    def of_discriminator():
        logits = [gan.judged(x, condition, True) for x in (gan.scaled(images), fake())]
        return gan.discriminator_loss(*logits)

    def of_generator():
        x = fake()
        logits = [gan.judged(y, condition, True) for y in (gan.scaled(images), x)]
        return gan.generator_loss(*logits, gan.scaled(images), x)[0]

    gan.step.assign(1)
    found = weight_gradients(gan, both)
    own = {
        gan.discriminator: dict(weight_gradients(gan, of_discriminator)),
        gan.generator: dict(weight_gradients(gan, of_generator)),
    }
    expected = {v.path: own[part][v.path] for part in own for v in part.trainable_variables}
    assert len(found) == len(expected)
    for path, gradient in found:
        np.testing.assert_allclose(gradient, expected[path], 1e-3, 1e-5, err_msg=path)
    # The losses do pull each network in different ways.
    other = dict(weight_gradients(gan, of_generator))
    moved = [
        np.abs(other[v.path] - expected[v.path]).max()
        for v in gan.discriminator.trainable_variables
    ]
    assert max(moved) > 1e-3


@each
def test_fit_trains_both_networks_and_counts_its_steps(make):
    gan, given = make()
    parts = (gan.generator, gan.discriminator)
    before = [[np.array(v) for v in part.trainable_variables] for part in parts]
    history = gan.fit(given, batch_size=3, epochs=2, verbose=0).history
    assert set(history) == {"loss", "discriminator_loss", "generator_loss", *gan.parts}
    assert np.isfinite(list(history.values())).all()
    losses = np.array(history["discriminator_loss"]) + history["generator_loss"]
    if not isinstance(gan, ESRGAN):
        np.testing.assert_allclose(history["loss"], losses, rtol=1e-4)
    for part, values in zip(parts, before, strict=True):
        after = [np.array(v) for v in part.trainable_variables]
        changed = [np.abs(a - b).max() for a, b in zip(after, values, strict=True)]
        assert np.mean(np.array(changed) > 0) > 0.9
    assert int(gan.step) == 4


@each
def test_half_precision_trains(make):
    gan, given = make(dtype="mixed_bfloat16")
    history = gan.fit(given, batch_size=6, verbose=0).history
    assert np.isfinite(list(history.values())).all()
    assert all(v.dtype == "float32" for v in gan.trainable_variables)
    last = getattr(gan.generator, "layers", [gan.generator])[-1]
    assert last.compute_dtype == "bfloat16"
    assert drawn(gan, given).dtype == np.uint8


@each
def test_a_file_has_all_of_a_model(make, tmp_path):
    gan, given = make()
    gan.fit(given, batch_size=3, verbose=0)
    gan.save(tmp_path / "gan.keras")
    again = keras.saving.load_model(tmp_path / "gan.keras")
    assert again.get_config() == gan.get_config()
    assert int(again.step) == 2
    np.testing.assert_array_equal(drawn(again, given), drawn(gan, given))
    for model in (gan, again):
        model.fit(given, batch_size=6, shuffle=False, verbose=0)
    for a, b in zip(gan.trainable_variables, again.trainable_variables, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


@each
def test_images_depend_on_the_seed_and_not_on_the_batch(make):
    gan, given = make()
    first = drawn(gan, given)
    count = len(given["image"]) if isinstance(given, dict) else len(given)
    assert first.shape == (count, *gan.image_shape)
    assert first.dtype == np.uint8
    np.testing.assert_array_equal(first, drawn(gan, given))
    by_two = drawn(gan, given, batch_size=2).astype(int)
    assert np.abs(by_two - first).max() <= 1  # rounding
    if not isinstance(gan, ESRGAN):
        rest = () if isinstance(gan, DCGAN) else (given["condition"],)
        others = [gan.sample(*(rest or (count,)), seed=seed) for seed in (4, None)]
        assert all((other != first).any() for other in others)


@each
def test_there_is_no_likelihood(make):
    gan, given = make()
    for method in (gan.log_prob, gan.bits_per_dim):
        with pytest.raises(ValueError, match=f"has no likelihood: a {type(gan).__name__} only"):
            method(given)


@pytest.mark.compiled
def test_pix2pix_comes_nearer_to_a_photo():
    gan, given = pix2pix(l1_weight=100.0)
    given = {key: value[:1] for key, value in given.items()}
    given["image"] = np.full_like(given["image"], 200)
    gan.compile(keras.optimizers.Adam(1e-2, beta_1=0.5))
    errors = gan.fit(given, epochs=20, verbose=0).history["l1"]
    assert errors[-1] < 0.5 * errors[0]


def test_a_photo_of_one_label_map():
    gan, given = pix2pix()
    label = given["condition"][0]
    photos = gan.translate(label, n=3, seed=0)
    assert photos.shape == (3, 8, 8, 3)
    assert (photos[0] != photos[1]).any()
    coloured = gan.translate(np.array(PALETTE, "uint8")[label], n=3, seed=0)
    np.testing.assert_array_equal(photos, coloured)


def test_an_image_of_another_size_is_restored():
    gan, _ = esrgan()
    picture = pictures((5, 9, 3))
    assert gan.restore(picture).shape == (1, 10, 18, 3)
    np.testing.assert_array_equal(gan.restore(picture), gan.sample(condition=picture[None]))


def test_the_adversarial_loss_comes_after_the_first_steps():
    gan, given = esrgan(adversarial_weight=0.5, pretrain_steps=3)
    history = gan.fit(given, batch_size=2, verbose=0).history  # steps 1 to 3
    np.testing.assert_allclose(history["generator_loss"], history["l1"], rtol=1e-5)
    history = gan.fit(given, batch_size=6, verbose=0).history
    assert history["generator_loss"][0] > history["l1"][0] + 0.1


def test_without_its_weight_the_generator_is_trained_alone():
    gan, given = esrgan(adversarial_weight=0.0)
    before = [np.array(v) for v in gan.discriminator.variables]
    history = gan.fit(given, batch_size=3, verbose=0).history
    np.testing.assert_allclose(history["loss"], history["l1"], rtol=1e-5)
    for a, b in zip(gan.discriminator.variables, before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_relativistic_loss_is_that_of_the_paper():
    gan, _ = esrgan()
    real, fake = np.array([[1.0], [3.0]]), np.array([[-1.0], [0.5]])

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    of_real, of_fake = sigmoid(real - fake.mean()), sigmoid(fake - real.mean())
    expected = -np.log(of_real).mean() - np.log(1 - of_fake).mean()
    found = gan.discriminator_loss(*map(ops.convert_to_tensor, (real, fake)))
    assert float(found) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: DCGAN((20, 20, 1)), r"side of 4 or 7 times a power of 2.*got \(20, 20, 1\)"),
        (lambda: DCGAN((28, 32, 1)), "image_shape must be"),
        (lambda: DCGAN((4, 4, 1)), "image_shape must be"),
        (lambda: DCGAN((8, 8, 1), width=0), "width must be an integer of at least 1; got 0"),
        (lambda: DCGAN((8, 8, 1), seed=-1), "seed must be an integer of at least 0; got -1"),
        (lambda: ESRGAN((8, 12, 3), scale=8), "multiples of scale, 8; got"),
        (lambda: ESRGAN((9, 9, 3), scale=3), "scale must be a power of 2"),
        (lambda: ESRGAN((8, 8, 3), adversarial_weight=-1), "adversarial_weight must be a number"),
        (lambda: Pix2Pix((8, 8, 3), depth=4), r"halved depth=4 times; got \(8, 8, 3\)"),
        (lambda: Pix2Pix((8, 8, 3), palette=[1, 2]), r"palette must be colours \(classes, 3\)"),
    ],
)
def test_bad_arguments(make, reason):
    with pytest.raises(ValueError, match=reason):
        make()


@pytest.mark.parametrize(
    ("make", "wrong", "reason"),
    [
        (dcgan, lambda x: x[:, :4], r"takes uint8 images of shape \(n, 8, 8, 1\); got uint8 of"),
        (dcgan, lambda x: x / 255.0, r"takes uint8 images .* got float64 of shape"),
        (dcgan, lambda x: {"image": x}, r"takes uint8 images .* got a dict of 'image'"),
        (pix2pix, lambda x: x["image"], r'takes \{"image": uint8 .* got uint8 of shape'),
        (pix2pix, lambda x: {**x, "condition": x["condition"][:2]}, "6 images and 2 conditions"),
        (pix2pix, lambda x: {**x, "condition": x["condition"] + 1}, "classes 0 to 2; got 1 to 3"),
        (esrgan, lambda x: {**x, "condition": x["condition"] / 255}, "uint8 low-resolution"),
        (esrgan, lambda x: {**x, "condition": x["condition"][:, 1:]}, r"shape \(n, 4, 4, 3\); got"),
    ],
)
def test_bad_data(make, wrong, reason):
    gan, given = make()
    with pytest.raises(ValueError, match=reason):
        gan.fit(wrong(given), verbose=0)


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (lambda: dcgan()[0].sample(0), "n must be an integer of at least 1; got 0"),
        (lambda: dcgan()[0].sample(2, seed=-1), "seed must be"),
        (lambda: esrgan()[0].restore(np.zeros((1, 4, 4, 3), "uint8")), "sample takes several"),
        (lambda: esrgan()[0].restore(np.zeros((4, 4), "uint8")), "picture must be one"),
        (lambda: pix2pix()[0].sample(np.zeros((2, 8, 8), "uint8"), n=3), "got n=3"),
        (lambda: pix2pix()[0].translate(np.zeros((4, 4), "uint8")), "condition must be classes"),
    ],
)
def test_bad_calls(call, reason):
    with pytest.raises(ValueError, match=reason):
        call()


def test_damaged_weights_draw_nothing():
    gan, _ = dcgan()
    gan.generator.trainable_variables[0].assign_add(np.nan)
    with pytest.raises(NotFiniteError, match="gave images that are not finite"):
        gan.sample(1)


def test_a_killed_training_resumes_as_if_nothing_had_happened(tmp_path):
    def trained(folder, **until):
        keras.utils.set_random_seed(0)
        gan, given = dcgan()
        recipe = Recipe(
            "mnist", batch_size=4, steps=4, steps_per_epoch=2, warmup_steps=0, learning_rate=1e-3,
            jit=False, **until,
        )  # fmt: skip
        train(gan, recipe, given, folder, verbose=0)
        return [np.array(v) for v in gan.variables]

    whole = trained(tmp_path / "whole")
    killed = trained(tmp_path / "killed", stop_step=2)
    assert any((a != b).any() for a, b in zip(whole, killed, strict=True))
    for a, b in zip(whole, trained(tmp_path / "killed"), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
