"""Bicubic resizing with MATLAB's weights."""

import math

import numpy as np
import pytest

from attnflow_keras.data import bicubic
from attnflow_keras.data.bicubic import bicubic_matrix, bicubic_resize, downscale, upscale

# MATLAB's for one half, as published.
HALVING = [
    -0.01171875,
    -0.03515625,
    0.11328125,
    0.43359375,
    0.43359375,
    0.11328125,
    -0.03515625,
    -0.01171875,
]

SIZES = [(16, 8), (8, 16), (64, 8), (8, 64), (7, 3), (3, 7), (5, 5), (30, 10), (178, 160), (100, 1)]


def cubic(x):
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def resize_line(line, new_size):
    """Pixel by pixel, from the definition; pixels are counted from 1 as in MATLAB."""
    size = len(line)
    scale = new_size / size
    stretch = max(1 / scale, 1)
    mirrored = [*line, *line[::-1]]
    result = []
    for x in range(1, new_size + 1):
        u = x / scale + 0.5 * (1 - 1 / scale)
        pixels = range(math.floor(u - 2 * stretch) - 1, math.ceil(u + 2 * stretch) + 2)
        weights = [cubic((u - p) / stretch) for p in pixels]
        levels = [mirrored[(p - 1) % (2 * size)] for p in pixels]
        level = sum(w * v for w, v in zip(weights, levels, strict=True))
        result.append(min(max(math.floor(level / sum(weights) + 0.5 + 1e-9), 0), 255))
    return result


def resize_slowly(image, height, width):
    image = np.apply_along_axis(resize_line, 0, image.astype(int), height)
    return np.apply_along_axis(resize_line, 1, image, width)


@pytest.fixture
def noise_images():
    # Black and white, so that overshoots are clipped, and grey.
    rng = np.random.default_rng(0)
    return np.concatenate(
        [
            rng.integers(0, 2, (1, 24, 16, 3), dtype="uint8") * np.uint8(255),
            rng.integers(0, 256, (2, 24, 16, 3), dtype="uint8"),
        ]
    )


def test_halving_has_matlabs_weights():
    matrix = bicubic_matrix(16, 8)
    for row in range(2, 6):
        assert matrix[row, 2 * row - 3 : 2 * row + 5].tolist() == HALVING
        assert np.count_nonzero(matrix[row]) == 8


def test_borders_are_mirrored():
    # The first output pixel reaches three input pixels beyond the border.
    w = HALVING
    first = [w[2] + w[3], w[1] + w[4], w[0] + w[5], w[6], w[7]]
    matrix = bicubic_matrix(16, 8)
    assert matrix[0, :5].tolist() == first
    assert matrix[-1, :-6:-1].tolist() == first


def test_a_factor_of_eight_reads_32_pixels():
    matrix = bicubic_matrix(160, 20)
    weights = [cubic((k + 0.5) / 8) / 8 for k in range(-16, 16)]
    np.testing.assert_array_equal(matrix[10, 68:100], weights)
    assert np.count_nonzero(matrix[10]) == 32


@pytest.mark.parametrize(("size", "new_size"), SIZES)
def test_rows_sum_to_one_and_are_symmetric(size, new_size):
    matrix = bicubic_matrix(size, new_size)
    assert matrix.shape == (new_size, size)
    assert matrix.dtype == np.float64
    np.testing.assert_allclose(matrix.sum(axis=1), 1, atol=1e-14)
    np.testing.assert_allclose(matrix, matrix[::-1, ::-1], atol=1e-13)


@pytest.mark.parametrize(("size", "new_size"), SIZES)
def test_constant_images_stay(size, new_size):
    for level in (0, 1, 127, 255):
        image = np.full((size, size, 1), level, dtype="uint8")
        assert (bicubic_resize(image, new_size, new_size) == level).all()


@pytest.mark.parametrize("sides", [(3, 2), (12, 8), (48, 32), (24, 5), (7, 16), (36, 11), (24, 16)])
def test_agrees_with_the_definition(noise_images, sides):
    result = bicubic_resize(noise_images, *sides)
    assert result.shape == (3, *sides, 3)
    assert result.dtype == np.uint8
    assert result.flags.c_contiguous
    for image, resized in zip(noise_images, result, strict=True):
        np.testing.assert_array_equal(resized, resize_slowly(image, *sides))
        np.testing.assert_array_equal(bicubic_resize(image, *sides), resized)


def test_halves_go_up():
    # By symmetry the weights of both pixels are one half.
    image = np.array([0, 1], dtype="uint8").reshape(2, 1, 1)
    assert bicubic_resize(image, 1, 1).item() == 1
    image = np.array([254, 255], dtype="uint8").reshape(1, 2, 1)
    assert bicubic_resize(image, 1, 1).item() == 255


def test_rounds_after_each_axis():
    # Means of the columns are rounded to 1 and 0, and their mean to 1; that of all is 1/4.
    image = np.array([[0, 0], [1, 0]], dtype="uint8")[..., None]
    assert bicubic_resize(image, 1, 1).item() == 1


def test_large_pictures_are_done_in_parts(monkeypatch):
    picture = np.random.default_rng(1).integers(0, 256, (200, 130, 3), dtype="uint8")
    whole = downscale(picture, 2)
    monkeypatch.setattr(bicubic, "CHUNK", 1000)
    np.testing.assert_array_equal(downscale(picture, 2), whole)
    assert whole.shape == (100, 65, 3)


def test_scales(noise_images):
    np.testing.assert_array_equal(downscale(noise_images, 8), bicubic_resize(noise_images, 3, 2))
    np.testing.assert_array_equal(upscale(noise_images, 2), bicubic_resize(noise_images, 48, 32))
    np.testing.assert_array_equal(downscale(noise_images, 1), noise_images)


def test_errors(noise_images):
    for call, message in (
        (lambda: downscale(noise_images, 3), "divisible by scale 3; got images of 24x16"),
        (lambda: downscale(noise_images, 0), "scale must be an integer of at least 1; got 0"),
        (lambda: upscale(noise_images, 2.0), "scale must be an integer of at least 1; got 2.0"),
        (lambda: downscale(noise_images / 255, 2), "images must be uint8; got dtype float64"),
        (lambda: upscale(noise_images[0, 0], 2), r"images must have shape .*; got \(16, 3\)"),
        (lambda: upscale(noise_images[:0], 2), r"images must have shape .*; got \(0, 24, 16, 3\)"),
        (lambda: bicubic_resize(noise_images, 0, 4), "height must be an integer of at least 1"),
        (lambda: bicubic_resize(noise_images, 4, True), "width must be an integer of at least 1"),
        (lambda: bicubic_matrix(0, 4), "size must be an integer of at least 1; got 0"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
