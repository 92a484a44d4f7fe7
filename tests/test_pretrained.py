"""Every unconditional entry with weights: what its card says, checked on real images."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import export
import zoo
from attnflow_keras.data.bundled import bundled_sample
from tests.helpers import check_entry, check_odd_images, check_pixels
from zoo.registry import PRESETS

PRETRAINED = zoo.list(pretrained=True, task="unconditional")

# Test images of each data set, and their dimensions.
TEST = {
    "mnist": (10_000, 784),
    "fashion_mnist": (10_000, 784),
    "bluemarble_landcover": (120, 12_288),
}


@pytest.fixture(scope="module", params=PRETRAINED)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def flow(name):
    return zoo.load(name)


@pytest.fixture(scope="module")
def images(name):
    """Real test images of the entry's data set."""
    return bundled_sample(zoo.info(name)["dataset"])


def test_there_is_a_pretrained_entry():
    assert "attnflow-imap-mnist" in PRETRAINED


def test_metadata_is_complete(name):
    metadata = check_entry(PRESETS / name)
    test = metadata["metrics"][0]
    assert test["split"] == f"{metadata['dataset']} test"
    assert (test["items"], test["dims"]) == TEST[metadata["dataset"]]
    assert test["standard_error"] > 0
    card = (PRESETS / name / "card.md").read_text()
    assert card.count(f"{test['value']:.4f} ±") == 1


def test_score_on_the_embedded_images_fits_the_card(name, flow, images):
    test = zoo.info(name)["metrics"][0]
    bits = np.asarray(flow.bits_per_dim(images))
    error = bits.std(ddof=1) / np.sqrt(len(bits))
    # The sample is part of the test set: its mean is that of the whole within sampling error.
    assert abs(bits.mean() - test["value"]) < 4 * error
    noise = np.random.default_rng(0).integers(0, 256, (8, *images.shape[1:]), dtype="uint8")
    assert np.asarray(flow.bits_per_dim(noise)).min() > 2 * test["value"]


def test_odd_images_come_back_where_the_card_says_so(name, flow):
    if "exactness" in zoo.info(name):
        check_odd_images(name, flow)


def test_decode_returns_every_pixel(flow, images):
    check_pixels(flow, images)


@pytest.mark.parametrize("attention", ["imap", "itrans"])
def test_log_det_is_that_of_the_full_jacobian(attention):
    """784 x 784, on a real digit, in float64; half a minute each."""
    flow = zoo.load(f"attnflow-{attention}-mnist", dtype="float64")
    x = flow.dequantize(bundled_sample("mnist")[:1]).astype("float64")
    rows = []
    for start in range(0, 784, 112):
        tiled = tf.constant(np.repeat(x, 112, axis=0))
        with tf.GradientTape() as tape:
            tape.watch(tiled)
            latents = flow.encode(tiled, batch_size=128)[0]
            flat = tf.concat([tf.reshape(z, (112, -1)) for z in latents], axis=1)
            picked = tf.linalg.diag_part(flat[:, start : start + 112])
            total = tf.reduce_sum(picked)
        rows.append(tape.gradient(total, tiled).numpy().reshape(112, 784))
    _, expected = np.linalg.slogdet(np.concatenate(rows))
    log_det = float(flow.encode(x)[1][0])
    assert log_det == pytest.approx(expected, rel=1e-7)


def test_samples_are_like_the_images(flow, images):
    drawn = flow.sample(64, temperature=0.8, seed=0).astype("float64")
    # About as bright as real images, in the corner too, where digits are dark, and no two alike.
    # Below a temperature of 1 what is rare is missing, such as ice on satellite images.
    assert 0.4 < drawn.mean() / images.mean() < 1.5
    assert drawn[:, :4, :4].mean() < 1.2 * images[:, :4, :4].mean() + 5
    assert np.abs(drawn[:-1] - drawn[1:]).mean(axis=(1, 2, 3)).min() > 5


def test_decode_is_finite_at_1_2_sigma(flow):
    x = flow.sample(256, temperature=1.2, seed=0, as_float=True)
    assert np.isfinite(x).all()


def test_interpolation_ends_at_its_ends(flow, images):
    way = flow.interpolate(images[0], images[1], steps=4)
    for end, image in ((way[0], images[0]), (way[-1], images[1])):
        # Noise at the very edge of a grey level may round across it, see ``dequantize``.
        off = np.abs(end.astype("int64") - image)
        assert off.max() <= 1
        assert off.mean() < 1e-3


@pytest.mark.eager
@pytest.mark.parametrize(("policy", "most"), [("mixed_float16", 0.01), ("mixed_bfloat16", 0.1)])
def test_cost_of_half_precision_is_small(policy, most):
    flow, half = (zoo.load("attnflow-itrans-mnist", dtype=dtype) for dtype in (None, policy))
    some = bundled_sample("mnist")[:32]
    cost = np.mean(half.bits_per_dim(some)) - np.mean(flow.bits_per_dim(some))
    assert abs(cost) < most


def test_export_agrees(tmp_path):
    """The others are exported by ``python -m benchmarks.export``; each takes minutes."""
    flow = zoo.load("attnflow-itrans-mnist")
    report = export.onnx(flow, tmp_path / "onnx", images=bundled_sample("mnist"))
    assert report["log_prob"] < 2e-5


def test_fine_tuning_improves_on_other_images():
    flow = zoo.load("attnflow-imap-mnist")
    inverted = 255 - bundled_sample("mnist")
    count = 3 * len(inverted) // 4
    before = float(np.mean(flow.bits_per_dim(inverted[count:])))
    flow.compile(optimizer=keras.optimizers.Adam(1e-3, global_clipnorm=1.0), jit_compile=False)
    flow.fit(inverted[:count], epochs=2, batch_size=32, verbose=0)
    assert float(np.mean(flow.bits_per_dim(inverted[count:]))) < before - 0.5
