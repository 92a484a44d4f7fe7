"""Comparison of an export with recorded outputs."""

import numpy as np
import pytest

from export import fixtures

SHAPE = (4, 4, 1)


class Shifted:
    """A flow ``z = x`` whose decode is off by ``away`` in the first image."""

    num_dims = float_dims = 16

    def __init__(self, away=0.0, encodes_it=True):
        self.away, self.encodes_it = away, encodes_it

    def encode(self, x, condition=None):
        z = np.array(x)
        if self.encodes_it and len(z) and np.isclose(z[0, 0, 0, 0], 9.0 + self.away):
            z[0] -= self.away
        return (z,), np.zeros(len(x))

    def log_prob(self, x, condition=None):
        return np.zeros(len(x))

    def decode(self, latents, condition=None):
        x = np.array(latents[0])
        if np.isclose(x[0, 0, 0, 0], 9.0):
            x[0] += self.away
        return x


def recorded():
    rng = np.random.default_rng(0)
    image, drawn = rng.normal(size=(2, 3, *SHAPE)).astype("float32")
    drawn[0, 0, 0, 0] = 9.0
    return {
        "image": image,
        "log_prob": np.zeros(3),
        "latent_0": image,
        "drawn_0": drawn,
        "decoded": drawn,
    }


def test_equal_outputs():
    report = fixtures.compare(Shifted(), recorded())
    assert report["image"] == 0
    assert "diverged" not in report
    assert fixtures.failures(report, "float32") == []


def test_small_differences_are_reported():
    report = fixtures.compare(Shifted(1.5e-3), recorded())
    assert report["image"] == pytest.approx(1.5e-3, rel=1e-3)
    assert "diverged" not in report
    assert fixtures.failures(report, "float32")


def test_another_image_of_the_same_latents_is_counted():
    report = fixtures.compare(Shifted(0.5), recorded())
    assert report["image"] < 1e-6
    assert report["diverged"] == 1
    assert fixtures.failures(report, "float32") == []


def test_an_image_of_other_latents_fails():
    report = fixtures.compare(Shifted(0.5, encodes_it=False), recorded())
    assert report["image"] == pytest.approx(0.5, rel=1e-3)
    assert "image differs from Keras" in fixtures.failures(report, "float32")[0]


def test_images_that_are_no_numbers_fail():
    report = fixtures.compare(Shifted(np.nan), recorded())
    assert np.isnan(report["image"])
    assert "image differs from Keras" in fixtures.failures(report, "float32")[0]
