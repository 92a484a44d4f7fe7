"""PSNR, SSIM, consistency with low-resolution images, and diversity of samples."""

import sys

import numpy as np
import pytest

from attnflow_keras.data import fashion_mnist_sample
from attnflow_keras.data.bicubic import downscale
from attnflow_keras.metrics.image_quality import lr_psnr, pixel_diversity, psnr, ssim


@pytest.fixture(scope="module")
def pictures():
    """Real clothes, three to an image as its channels: uint8 (6, 24, 24, 3)."""
    clothes = fashion_mnist_sample()[:18, 2:26, 2:26, 0]
    return np.ascontiguousarray(clothes.reshape(6, 3, 24, 24).transpose(0, 2, 3, 1))


def noisy(pictures, sigma, seed=0):
    noise = np.random.default_rng(seed).normal(0, sigma, pictures.shape)
    return np.clip(np.round(pictures + noise), 0, 255).astype("uint8")


def test_psnr_by_hand(pictures):
    a = np.full((3, 8, 8, 3), 100, "uint8")
    b = a.copy()
    b[0] += 1  # MSE 1
    b[1] -= 10  # MSE 100
    b[2, 0, 0, 0] = 112  # one of 192 numbers is off by 12: MSE 0.75
    expected = [20 * np.log10(255), 20 * np.log10(25.5), 20 * np.log10(255) - 10 * np.log10(0.75)]
    np.testing.assert_allclose(psnr(a, b), expected, rtol=1e-12)
    np.testing.assert_array_equal(psnr(a, b), psnr(b, a))
    # Black against white does not wrap around in uint8.
    black, white = np.zeros((1, 8, 8, 1), "uint8"), np.full((1, 8, 8, 1), 255, "uint8")
    assert psnr(black, white)[0] == 0.0
    assert np.isposinf(psnr(pictures, pictures)).all()


def test_psnr_of_a_known_shift(pictures):
    """A shift by a pixel: what differs are the horizontal differences of the image."""
    a, b = pictures[:, :, 1:], pictures[:, :, :-1]
    error = np.mean(np.diff(pictures.astype("int64"), axis=2) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose(psnr(a, b), 10 * np.log10(255**2 / error), rtol=1e-12)
    assert (ssim(a, b) < ssim(a, a)).all()


def test_psnr_is_its_formula(pictures):
    b = noisy(pictures, 20)
    error = np.mean((pictures.astype("float64") - b) ** 2, axis=(1, 2, 3))
    np.testing.assert_allclose(psnr(pictures, b), 10 * np.log10(255**2 / error), rtol=1e-12)


def slow_ssim(a, b):
    """SSIM of one channel by its formula, a window at a time."""
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    scores = []
    for i in range(a.shape[0] - 6):
        for j in range(a.shape[1] - 6):
            x = a[i : i + 7, j : j + 7].astype("float64").ravel()
            y = b[i : i + 7, j : j + 7].astype("float64").ravel()
            (vx, covariance), (_, vy) = np.cov(x, y)
            mx, my = x.mean(), y.mean()
            numerator = (2 * mx * my + c1) * (2 * covariance + c2)
            scores.append(numerator / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    return np.mean(scores)


def test_ssim(pictures):
    pytest.importorskip("skimage", reason="scikit-image is not installed")
    b = noisy(pictures, 20)
    scores = ssim(pictures, b)
    expected = [
        np.mean([slow_ssim(x[..., c], y[..., c]) for c in range(3)])
        for x, y in zip(pictures[:2], b[:2], strict=True)
    ]
    np.testing.assert_allclose(scores[:2], expected, rtol=1e-9)
    np.testing.assert_allclose(ssim(pictures, pictures), 1.0, rtol=1e-12)
    np.testing.assert_allclose(ssim(b, pictures), scores, rtol=1e-12)
    assert (ssim(pictures, noisy(pictures, 60)) < scores).all()
    # Flat images of levels 100 and 120: only the means differ.
    a = np.full((1, 7, 7, 1), 100, "uint8")
    c1 = (0.01 * 255) ** 2
    expected = (2 * 100 * 120 + c1) / (100**2 + 120**2 + c1)
    np.testing.assert_allclose(ssim(a, a + 20), expected, rtol=1e-12)


@pytest.mark.parametrize("score", [psnr, ssim])
def test_scores_without_scikit_image(score, pictures, monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.metrics", None)
    with pytest.raises(ImportError, match="pip install 'scikit-image>="):
        score(pictures, pictures)


def test_lr_psnr(pictures):
    small = downscale(pictures, 4)
    assert np.isposinf(lr_psnr(pictures, small)).all()
    restored = noisy(pictures, 20)
    expected = psnr(downscale(restored, 4), small)
    np.testing.assert_array_equal(lr_psnr(restored, small), expected)
    # Noise averages out in the low-resolution image.
    assert (expected > psnr(restored, pictures) + 6).all()
    # A flat image that is two levels too bright is so at any size.
    flat = np.full((1, 16, 24, 3), 50, "uint8")
    score = lr_psnr(flat + 2, flat[:, :2, :3])
    np.testing.assert_allclose(score, 20 * np.log10(255 / 2), rtol=1e-12)


def test_pixel_diversity():
    samples = np.full((2, 4, 8, 6, 3), 7, "uint8")
    assert pixel_diversity(samples)[0] == 0.0
    # One channel of three is 10, 20, 30, 40: sample variance 500 / 3, and 1 / 3 of the image.
    samples[1, ..., 1] = np.array([10, 20, 30, 40])[:, None, None]
    np.testing.assert_allclose(pixel_diversity(samples), [0.0, np.sqrt(500 / 3) / 3], rtol=1e-12)
    # The variance of uniform grey levels is (256^2 - 1) / 12.
    uniform = np.random.default_rng(0).integers(0, 256, (1, 50, 32, 32, 3), dtype="uint8")
    expected = np.sqrt((256**2 - 1) / 12)
    np.testing.assert_allclose(pixel_diversity(uniform), expected, rtol=0.01)


IMAGES = np.zeros((2, 16, 16, 3), "uint8")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: psnr(IMAGES / 255, IMAGES), "a must be uint8, levels from 0 to 255; got dtype fl"),
        (lambda: ssim(IMAGES, IMAGES.astype("int64")), "b must be uint8"),
        (
            lambda: psnr(IMAGES[0], IMAGES),
            r"a must have shape \(n, h, w, c\) .*; got \(16, 16, 3\)",
        ),
        (lambda: psnr(IMAGES, IMAGES[:0]), r"b must have shape .* got \(0, 16, 16, 3\)"),
        (lambda: psnr(IMAGES.transpose(0, 3, 1, 2), IMAGES), "a must have .* with c = 1 or 3"),
        (lambda: psnr(IMAGES, IMAGES[:1]), r"a and b must have the same shape; got \(2, 16, 16, 3"),
        (lambda: ssim(IMAGES[:, :6], IMAGES[:, :6]), "a and b must have sides of at least 7"),
        (lambda: lr_psnr(IMAGES, IMAGES / 2), "low_res must be uint8"),
        (lambda: lr_psnr(IMAGES, IMAGES), "restored must have shape .* integer s of at least 2"),
        (lambda: lr_psnr(IMAGES, IMAGES[:, ::4, ::2]), r"got \(2, 16, 16, 3\) and \(2, 4, 8, 3\)"),
        (lambda: lr_psnr(IMAGES, IMAGES[:, :3, :3]), r"got \(2, 16, 16, 3\) and \(2, 3, 3, 3\)"),
        (lambda: lr_psnr(IMAGES, IMAGES[:1, :4, :4]), r"got \(2, 16, 16, 3\) and \(1, 4, 4, 3\)"),
        (lambda: lr_psnr(IMAGES[:, :4], IMAGES), r"got \(2, 4, 16, 3\) and \(2, 16, 16, 3\)"),
        (lambda: pixel_diversity(IMAGES), r"samples must have shape \(n, k, h, w, c\)"),
        (lambda: pixel_diversity(IMAGES[None] / 2), "samples must be uint8"),
        (lambda: pixel_diversity(IMAGES[:, None]), "samples must hold at least 2 images of each"),
    ],
)
def test_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()
