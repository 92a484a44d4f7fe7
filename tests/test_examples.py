"""The examples of uses: what they compute, against what is known, and that they draw a picture."""

import sys

import numpy as np
import pytest
from PIL import Image

import zoo
from attnflow_keras.coding.conditionals import Conditionals, Networks
from attnflow_keras.models import CausalFlow
from examples.uses import complete, denoise, edit
from tests.conftest import make_tiny_flow
from tests.helpers import perturb

pytestmark = pytest.mark.eager
SMALL = {"width": 8, "layers": 1, "heads": 2, "group": 2, "components": 2}


def causal(shape, **options):
    return perturb(CausalFlow(shape, **{**SMALL, **options}), 0.3)


def test_the_noise_is_what_is_added():
    table = denoise.noise_table(40.0)
    np.testing.assert_allclose(table.sum(axis=1), 1.0)
    rng = np.random.default_rng(0)
    for level in (10, 128):
        images = np.full((1, 100, 1000, 1), level, "uint8")
        drawn = np.bincount(denoise.add_noise(images, 40.0, rng).ravel(), minlength=256) / 1e5
        # Standard errors are at most 0.002 at the ends, which get all beyond them, and 0.0004.
        np.testing.assert_allclose(drawn, table[level], atol=0.008)


def test_particles_are_draws_from_the_posterior():
    """Against the sum over all pairs of levels, with the patches drawn anew in between."""
    flow, sigma = causal((1, 2, 1), patch=1), 20.0
    noisy = np.array([[[[70], [200]]], [[[128], [120]]]], "uint8")
    draws, weights = denoise.posterior(flow, noisy, sigma, 4000, np.random.default_rng(0))
    mean = (draws[..., 0, :, 0] * weights[..., None]).sum(axis=1)
    given = Conditionals(Networks(flow), 256)
    given.begin(0)
    first = denoise.probabilities(given.distribution(0), 256)[0]
    given.tell(0, np.arange(256, dtype="uint8"))
    given.begin(1)
    second = denoise.probabilities(given.distribution(0), 256)
    likely, levels = denoise.noise_table(sigma), np.arange(256)
    for image, found in zip(noisy[:, 0, :, 0], mean, strict=True):
        joint = first[:, None] * second * likely[:, image[0], None] * likely[None, :, image[1]]
        joint /= joint.sum()
        parts = joint.sum(axis=1), joint.sum(axis=0)
        expected = [(part * levels).sum() for part in parts]
        spread = [
            (part * (levels - m) ** 2).sum() ** 0.5 for part, m in zip(parts, expected, strict=True)
        ]
        assert (np.abs(found - expected) < 5.0 * np.array(spread) / 2000**0.5).all()
        assert (np.array(spread) > 5.0).all()  # so that the prior is seen to count


def test_without_noise_images_stay():
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 1)).astype("uint8")
    steps = []
    draws, weights = denoise.posterior(
        causal((4, 4, 1), patch=2),
        images,
        0.05,
        2,
        np.random.default_rng(1),
        lambda *step: steps.append(step),
    )
    np.testing.assert_array_equal(draws, images[:, None].repeat(2, axis=1))
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_resampling_follows_the_weights():
    weights = np.array([[0.5, 0.25, 0.25, 0.0], [0.1, 0.2, 0.3, 0.4]])
    kept = denoise.resampled(weights, np.array([True, False]), np.random.default_rng(0))
    np.testing.assert_array_equal(np.bincount(kept[:4], minlength=4), [2, 1, 1, 0])
    np.testing.assert_array_equal(kept[4:], [4, 5, 6, 7])


@pytest.mark.compiled
def test_completions_keep_what_is_known():
    images = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 1)).astype("uint8")
    drawn = complete.completions(causal((4, 4, 1), patch=2), images, 2, 3, seed=0)
    assert drawn.shape == (2, 3, 4, 4, 1)
    np.testing.assert_array_equal(drawn[:, :, :2], images[:, None, :2].repeat(3, axis=1))
    assert (drawn[:, 0, 2:] != drawn[:, 1, 2:]).any()


def test_attributes_are_those_of_drawn_strokes():
    line = np.zeros((3, 28, 28, 1), "uint8")
    for y in range(4, 24):
        line[0, y, 14] = line[1, y, 24 - y // 2] = line[2, y, 4 + y // 2] = 255
    np.testing.assert_allclose(edit.slant(line), [0.0, 0.5, -0.5], atol=0.05)
    np.testing.assert_allclose(edit.thickness(line), 20 * 255 / 784)


def test_a_direction_is_that_of_the_attribute(tiny_images):
    flow = make_tiny_flow(attention=None)
    flow.adapt(tiny_images)
    values = edit.thickness(tiny_images)
    along = edit.direction(flow, tiny_images, values)
    assert [part.shape for part in along] == [tuple(shape) for shape in flow.latent_shapes]
    found = edit.edits(flow, tiny_images[:5], along)
    np.testing.assert_array_equal(found[edit.STEPS.index(0.0)], tiny_images[:5])
    inks = found.mean(axis=(1, 2, 3, 4))
    assert (np.diff(inks) > 0).all()


@pytest.mark.parametrize(
    ("example", "options", "size"),
    [
        pytest.param(
            complete,
            ["--images", "2", "--draws", "3", "--rows", "4"],
            (5, 2),
            marks=pytest.mark.compiled,
        ),
        (denoise, ["--images", "2", "--particles", "2"], (2, 5)),
        (edit, ["--images", "1"], (7, 2)),
    ],
)
def test_the_commands(example, options, size, digits, tiny_images, tmp_path, monkeypatch, capsys):
    entry = tmp_path / "entry"
    flow = make_tiny_flow(attention=None) if example is edit else causal((8, 8, 1), patch=4)
    flow.adapt(tiny_images)
    zoo.save(flow, entry, {"task": "unconditional"})
    monkeypatch.setattr("attnflow_keras.data.mnist_sample", lambda: tiny_images[:64])
    out = tmp_path / "out.png"
    monkeypatch.setattr(sys, "argv", ["example", "--entry", str(entry), "-o", str(out), *options])
    example.main()
    columns, rows = size
    shape = Image.open(out).size
    assert shape == (columns * 16 + 3 * (columns - 1), rows * 16 + 3 * (rows - 1))
    assert f"wrote {out}" in capsys.readouterr().out
