"""Noise outside training."""

import numpy as np
import pytest

from attnflow_keras.core import noise


def test_dequantize_and_quantize_are_inverse_at_every_level_and_every_noise():
    images = np.arange(256, dtype="uint8").reshape(1, 16, 16, 1)
    for u in (0.5 / noise.LEVELS, 0.25, 0.5, 1 - 0.5 / noise.LEVELS):
        x = noise.dequantize(images, u)
        assert x.dtype == np.float32
        assert x.min() >= -0.5
        assert x.max() < 0.5
        np.testing.assert_array_equal(noise.quantize(x), images)


def test_noise_is_uniform_and_reproducible():
    u = noise.uniform_noise(noise.generator(0, noise.DEQUANTIZATION), (200_000,))
    assert 0 < u.min() < u.max() < 1
    counts, _ = np.histogram(u, bins=20, range=(0, 1))
    # Twenty bins of 10,000: five standard deviations are 490.
    assert np.abs(counts - 10_000).max() < 490
    again = noise.uniform_noise(noise.generator(0, noise.DEQUANTIZATION), (200_000,))
    np.testing.assert_array_equal(u, again)
    other = noise.uniform_noise(noise.generator(1, noise.DEQUANTIZATION), (200_000,))
    assert (u != other).mean() > 0.99


def test_latents_do_not_depend_on_how_they_are_drawn():
    shapes = [(2, 2, 1), (1, 1, 3)]
    whole = noise.normal_latents(noise.generator(5, noise.LATENTS), 6, shapes)
    rng = noise.generator(5, noise.LATENTS)
    parts = [noise.normal_latents(rng, n, shapes) for n in (1, 3, 2)]
    for i in range(2):
        np.testing.assert_array_equal(whole[i], np.concatenate([p[i] for p in parts]))


@pytest.mark.parametrize("seed", [-1, 1.5, "a", True])
def test_bad_seed(seed):
    with pytest.raises(ValueError, match="seed must be an integer"):
        noise.generator(seed, noise.LATENTS)


def test_what_is_not_finite_has_no_grey_level():
    with pytest.raises(noise.NotFiniteError, match="must be finite to have grey levels"):
        noise.quantize(np.full((2, 8, 8, 1), np.nan, "float32"))


def test_neighbouring_seeds_draw_other_noise_however_large_they_are():
    for seed in (0, 2**53, 2**63, 2**64 - 2):
        one, other = (noise.generator(seed + i, noise.LATENTS).random(4) for i in range(2))
        assert (one != other).any()
    # What small seeds have always drawn.
    first = noise.generator(7, noise.LATENTS).standard_normal(2)
    plain = np.random.Generator(np.random.Philox(key=[7, 1])).standard_normal(2)
    np.testing.assert_array_equal(first, plain)
