"""Full-Glow, C-Glow, Dual-Glow and Glow: structure, condition, map, errors."""

import json

import numpy as np
import pytest

from attnflow_keras.models import CGlow, DualGlow, FullGlow
from tests.helpers import fresh, perturb
from tests.model_table import PALETTE, make_cglow, make_dualglow, make_fullglow, shared

pytestmark = pytest.mark.eager

KINDS = {"fullglow": make_fullglow, "cglow": make_cglow, "dualglow": make_dualglow}


def pairs(flow, n=4, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, *flow.image_shape)).astype("uint8")
    return images, rng.integers(0, 3, (n, *flow.image_shape[:2])).astype("uint8")


@pytest.fixture(scope="module", params=KINDS)
def flow(request):
    return shared(request.param)


def parameters(model):
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


@pytest.mark.parametrize(("levels", "steps", "total"), [(2, 8, 34_654_752), (4, 16, 155_335_008)])
def test_parameter_totals_are_those_of_the_paper(levels, steps, total):
    assert parameters(FullGlow(levels=levels, steps=steps)) == total


# The reference's total counts a mean and a log-sd for each top latent, which it never uses.
@pytest.mark.parametrize(
    ("options", "total", "unused"),
    [
        ({}, 70.17e6, 2 * 48 * 32**2),
        (
            {"levels": 4, "steps": 16, "width": 512, "condition_width": 20, "condition_units": 10},
            76.48e6,
            2 * 96 * 16**2,
        ),
    ],
    ids=["v1", "v2"],
)
def test_parameter_totals_of_cglow(options, total, unused):
    count = parameters(CGlow(**options))
    assert abs(count + unused - total) < 0.005e6
    if not options:
        assert parameters(CGlow(learn_top=True)) == count + unused


def test_parameter_total_of_dualglow():
    assert abs(parameters(DualGlow()) - 75.60e6) < 0.005e6


def test_classes_and_their_colours_are_the_same_condition(flow):
    images, labels = pairs(flow, 2)
    colours = np.array(PALETTE, "uint8")[labels]
    by_class = flow.bits_per_dim(images, labels)
    np.testing.assert_allclose(by_class, flow.bits_per_dim(images, colours), rtol=1e-6)
    np.testing.assert_allclose(
        by_class, flow.bits_per_dim(images, labels.astype("int64")), rtol=1e-6
    )


def test_transfer_keeps_the_latents(flow):
    images, labels = pairs(flow, 2)
    np.testing.assert_array_equal(flow.transfer(images, labels, labels), images)
    other = flow.transfer(images, labels, labels[::-1])
    assert other.dtype == np.uint8
    assert other.shape == images.shape
    assert (other != images).any()
    # One photo with several labels, or several with one.
    both = flow.transfer(images[:1], labels[:1], labels)
    np.testing.assert_array_equal(both[:1], images[:1])
    np.testing.assert_array_equal(both[1:], flow.transfer(images[:1], labels[:1], labels[1:]))
    np.testing.assert_array_equal(flow.transfer(images, labels, labels[:1])[:1], images[:1])
    with pytest.raises(ValueError, match="condition must be one for each of 2 images, or one; got"):
        flow.transfer(images, labels, np.concatenate([labels, labels]))


@pytest.mark.parametrize("kind", KINDS)
def test_adapt_takes_label_maps_of_one_class_and_palettes_without_blue(kind):
    flow = KINDS[kind](palette=[(0, 0, 0), (255, 0, 0), (0, 255, 0)])
    images, labels = pairs(flow, 8)
    same = np.full_like(labels, 1)
    flow.adapt({"image": images, "condition": same})
    # A class that it has not met does not blow up: the scores are those of noise, some 8 bits.
    assert np.asarray(flow.bits_per_dim(images, labels)).max() < 12
    with pytest.raises(ValueError, match="channel 0 of the batch given to adapt is constant"):
        flow.adapt({"image": np.zeros_like(images), "condition": labels})


def check_round_trip(flow, images, labels):
    """Adapt and move the weights; returns two images, dequantized, and their latents."""
    flow.adapt({"image": images, "condition": labels})
    perturb(flow, 0.02)
    x = flow.dequantize(images[:2], center=True)
    latents, _ = flow.encode(x, labels[:2])
    back = flow.decode([fresh(z) for z in latents], labels[:2])
    np.testing.assert_allclose(back, x, atol=1e-4)
    return x, latents


@pytest.mark.parametrize(
    "options",
    [
        {"attention": "imap"},
        {"attention": "itrans", "heads": 2, "position": 3, "grid": [[2, 2], [1, 2]]},
        {"attention": "imap", "attention_in": "both", "position": 1},
    ],
    ids=json.dumps,
)
def test_every_attention_is_a_flow(options):
    flow = make_fullglow(**options)
    check_round_trip(flow, *pairs(flow, 8))


def test_boundaries_reach_the_couplings():
    flow = make_fullglow(palette=None, boundaries=True)
    rng = np.random.default_rng(0)
    images, _ = pairs(flow, 8)
    labels = rng.integers(0, 256, (8, *flow.condition_shape)).astype("uint8")
    assert labels.shape[-1] == 4
    x, latents = check_round_trip(flow, images, labels)
    others = labels[:2].copy()
    others[..., 3] = 255 - others[..., 3]
    moved = [np.abs(a - b).max() for a, b in zip(flow.encode(x, others)[0], latents, strict=True)]
    assert max(moved) > 1e-4
    with pytest.raises(ValueError, match=r"colours of shape \(n, 20, 24, 4\)"):
        flow.bits_per_dim(images, labels[..., :3])
    with pytest.raises(ValueError, match="palette must be None where label maps have boundaries"):
        make_fullglow(boundaries=True)


@pytest.mark.parametrize("kind", ["fullglow", "dualglow"])
def test_fit_trains_source_and_target(kind):
    flow = KINDS[kind](source_weight=0.5)
    images, labels = pairs(flow, 16)
    flow.compile(optimizer="adam", jit_compile=False)
    flow.adapt({"image": images, "condition": labels})
    before = [np.array(v) for v in flow.source.trainable_variables]
    history = flow.fit({"image": images, "condition": labels}, batch_size=8, epochs=2, verbose=0)
    moved = [
        np.abs(np.array(v) - b).max()
        for v, b in zip(flow.source.trainable_variables, before, strict=True)
    ]
    assert min(moved) > 0
    # The loss has the source's bits besides.
    assert history.history["loss"][0] > history.history["bits_per_dim"][0] + 0.1
    scores = flow.evaluate({"image": images, "condition": labels}, verbose=0, return_dict=True)
    np.testing.assert_allclose(
        scores["bits_per_dim"], np.mean(flow.bits_per_dim(images, labels)), rtol=1e-4
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_shape": (20, 24, 1)}, "image_shape must have 3 channels"),
        ({"image_shape": (22, 24, 3)}, "sides divisible by 4"),
        ({"palette": [(0, 0, 300)]}, "palette must be colours .* 0 to 255"),
        ({"attention_in": "source"}, "attention_in must be one of target, both"),
        ({"source_weight": -1}, "source_weight must be a number of at least 0; got -1"),
        ({"image_shape": (8, 8, 3)}, "sides of at least 20 with levels=2; got"),
    ],
)
def test_bad_arguments(changes, message):
    with pytest.raises(ValueError, match=message):
        make_fullglow(**changes)


@pytest.mark.parametrize(
    ("shape", "fill", "dtype", "message"),
    [
        ((0, 0), 3, "uint8", "classes 0 to 2; got 3 to 3"),
        ((0, 4), 0, "uint8", r"classes of shape \(n, .*got shape \(2, "),
        ((0, 0), 0, "float32", "condition must be integers, classes 0 to 2; got float32"),
        ((0, 0, 3), 0, "float32", "condition must be uint8; got float32"),
        ((0, 0, 3), 7, "uint8", r"condition must hold colours of the palette; .* \(7, 7, 7\) at"),
    ],
)
def test_bad_conditions(flow, shape, fill, dtype, message):
    images, _ = pairs(flow, 2)
    sides = [side - less for side, less in zip(flow.image_shape, shape[:2], strict=False)]
    condition = np.full((2, *sides, *shape[2:]), fill, dtype)
    with pytest.raises(ValueError, match=message):
        flow.bits_per_dim(images, condition)


def test_no_label_map(flow):
    _, labels = pairs(flow, 2)
    with pytest.raises(ValueError, match="condition holds no label map; got shape"):
        flow.sample(condition=labels[:0])


def test_classes_need_a_palette():
    flow = make_fullglow(palette=None, levels=1)
    images, labels = pairs(flow, 2)
    with pytest.raises(ValueError, match="give the flow a palette for maps of classes"):
        flow.bits_per_dim(images, labels)
