"""LPIPS against a forward pass in NumPy, and what it is known to see in images."""

import os
from pathlib import Path

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view
from PIL import Image, ImageFilter

from attnflow_keras.data.bluemarble import bluemarble_tiles
from attnflow_keras.metrics.lpips import FILE, LPIPS, expected_shapes

FOLDER = Path(os.environ.get("ATTNFLOW_DATA", "nowhere"))

needs_weights = pytest.mark.skipif(
    not (FOLDER / FILE).is_file(), reason=f"ATTNFLOW_DATA names no folder with {FILE}"
)


@pytest.fixture(scope="module")
def lpips():
    return LPIPS()


@pytest.fixture(scope="module")
def tiles():
    """Eight images of the Earth from space, uint8 (8, 64, 64, 3)."""
    try:
        images = bluemarble_tiles("test", 64)[0]
    except OSError as error:
        pytest.skip(str(error))
    return images[:: len(images) // 8][:8]


def smooth(n, height, width, seed=0):
    coarse = np.random.default_rng(seed).integers(0, 256, (n, 8, 8, 3), dtype="uint8")
    resized = [Image.fromarray(x).resize((width, height), Image.Resampling.BICUBIC) for x in coarse]
    return np.stack([np.asarray(x) for x in resized])


def blurred(images, radius):
    blur = ImageFilter.GaussianBlur(radius)
    return np.stack([np.asarray(Image.fromarray(x).filter(blur)) for x in images])


def noisy(images, sigma, seed=0):
    """White noise; sigma is one number, or one an image."""
    noise = np.random.default_rng(seed).normal(size=images.shape)
    noise *= np.reshape(sigma, (-1, 1, 1, 1))
    return np.clip(np.round(images + noise), 0, 255).astype("uint8")


def noise_of_error(images, errors):
    """White noise with given mean square errors, for which bright images need more of it."""
    low, high = np.zeros(len(images)), np.full(len(images), 255.0)
    for _ in range(20):
        sigma = (low + high) / 2
        small = mse(images, noisy(images, sigma)) < errors
        low, high = np.where(small, sigma, low), np.where(small, high, sigma)
    return noisy(images, high)


def mse(a, b):
    return np.mean((a.astype("float64") - b) ** 2, axis=(1, 2, 3))


def slow_distance(a, b):
    """The distance of one pair in float64: convolutions as sums over windows."""
    weights = np.load(FOLDER / FILE, allow_pickle=False)
    return sum(
        np.mean(((x - y) ** 2) @ weights[f"NetLinLayer_{i}/Conv_0/kernel"][0, 0, :, 0])
        for i, (x, y) in enumerate(zip(slow_maps(weights, a), slow_maps(weights, b), strict=True))
    )


def slow_maps(weights, image):
    x = image / 255.0 * 2 - 1
    x = (x - [-0.030, -0.088, -0.188]) / [0.458, 0.448, 0.450]
    maps = []
    for i, (stride, pad) in enumerate([(4, 2), (1, 2), (1, 1), (1, 1), (1, 1)]):
        if i in (1, 2):
            x = sliding_window_view(x, (3, 3), axis=(0, 1))[::2, ::2].max(axis=(-2, -1))
        kernel = weights[f"AlexNet_0/Conv_{i}/kernel"].astype("float64")
        padded = np.pad(x, ((pad, pad), (pad, pad), (0, 0)))
        windows = sliding_window_view(padded, kernel.shape[:2], axis=(0, 1))[::stride, ::stride]
        x = np.einsum("hwcij,ijco->hwo", windows, kernel, optimize=True)
        x = np.maximum(x + weights[f"AlexNet_0/Conv_{i}/bias"], 0)
        maps.append(x / (np.sqrt((x**2).sum(axis=-1, keepdims=True)) + 1e-10))
    return maps


@needs_weights
@pytest.mark.parametrize("size", [(31, 31), (37, 50), (64, 64)])
def test_agrees_with_a_forward_pass_in_numpy(lpips, size):
    """At odd sizes too, where padding and the windows of maxima are easily one pixel off."""
    a = smooth(2, *size)
    b = noisy(a, 15)
    b[1] = smooth(1, *size, seed=1)[0]
    expected = [slow_distance(x, y) for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(lpips(a, b), expected, atol=1e-5, rtol=1e-5)


@needs_weights
def test_it_is_a_distance(lpips, tiles):
    others = tiles[::-1]
    distances = lpips(tiles, others)
    assert distances.shape == (8,)
    assert distances.dtype == np.float32
    assert (distances > 0.1).all()
    np.testing.assert_allclose(lpips(others, tiles), distances, rtol=1e-5)
    assert np.abs(lpips(tiles, tiles)).max() < 1e-7


@needs_weights
def test_it_grows_with_the_strength_of_blur_and_noise(lpips, tiles):
    blur = [lpips(tiles, blurred(tiles, radius)).mean() for radius in (0.5, 1, 2, 4)]
    noise = [lpips(tiles, noisy(tiles, sigma)).mean() for sigma in (4, 8, 16, 32)]
    assert (np.diff(blur) > 0.01).all()
    assert (np.diff(noise) > 0.01).all()


@needs_weights
def test_blur_is_worse_than_noise_of_the_same_error(lpips, tiles):
    """What LPIPS was made for: PSNR can't tell them apart, people can."""
    blur = blurred(tiles, 3)
    noise = noise_of_error(tiles, mse(tiles, blur))
    np.testing.assert_allclose(mse(tiles, noise), mse(tiles, blur), rtol=0.01)
    assert lpips(tiles, blur).mean() > 1.5 * lpips(tiles, noise).mean()


@needs_weights
def test_batches_change_nothing(lpips, tiles):
    others = blurred(tiles, 2)
    alone = np.concatenate([lpips(tiles[i : i + 1], others[i : i + 1]) for i in range(8)])
    for batch_size in (1, 3, 64):
        np.testing.assert_allclose(lpips(tiles, others, batch_size), alone, rtol=1e-5)


@needs_weights
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x / 255, "b must be uint8, levels from 0 to 255; got dtype float64"),
        (lambda x: x[:4], r"a and b must have the same shape; got \(8, 64, 64, 3\) and \(4, "),
        (lambda x: x[0], r"b must have shape \(n, h, w, c\)"),
    ],
)
def test_picture_errors(lpips, tiles, change, message):
    with pytest.raises(ValueError, match=message):
        lpips(tiles, change(tiles))


@needs_weights
def test_pictures_that_alexnet_can_not_take(lpips, tiles):
    for images in (tiles[:, :30], tiles[:, :, :30], tiles[..., :1]):
        message = r"must have shape \(n, h, w, 3\) with sides of at least 31, so that AlexNet's"
        with pytest.raises(ValueError, match=message):
            lpips(images, images)
    assert lpips(tiles[:, :31, :31], tiles[:, 31:62, :31]).shape == (8,)


def test_no_weights(tmp_path, monkeypatch):
    content = r"It must hold LPIPS v0.1 of richzhang/PerceptualSimilarity \(BSD-2-Clause\): AlexNet"
    monkeypatch.delenv("ATTNFLOW_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match=f"ATTNFLOW_DATA is not set.*{content}"):
        LPIPS()
    monkeypatch.setenv("ATTNFLOW_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=f"no file .*alexnet.npz. Set ATTN.*{content}"):
        LPIPS()
    with pytest.raises(FileNotFoundError, match=f"no file .*mine.npz.*{content}"):
        LPIPS(tmp_path / "mine.npz")


@pytest.fixture
def arrays():
    return {key: np.ones(shape, "float32") for key, shape in expected_shapes().items()}


def test_weights_from_a_path(tmp_path, arrays):
    """With weights of one, all maps are the same in every channel, and nothing differs."""
    np.savez(tmp_path / "mine.npz", **arrays)
    a = np.full((1, 31, 31, 3), 200, "uint8")
    np.testing.assert_allclose(LPIPS(tmp_path / "mine.npz")(a, a - 50), 0.0, atol=1e-10)


def test_damaged_weights(tmp_path, arrays):
    path = tmp_path / "mine.npz"

    def check(message, **changes):
        kept = {key: array for key, array in {**arrays, **changes}.items() if array is not None}
        np.savez(path, **kept)
        with pytest.raises(ValueError, match=f"mine.npz.*{message}"):
            LPIPS(path)

    kernel, head = "AlexNet_0/Conv_1/kernel", "NetLinLayer_2/Conv_0/kernel"
    check(f"has no {kernel}, but AlexNet_0/Conv_0/kernel", **{kernel: None})
    message = r"must be floats of shape \(5, 5, 64, 192\); got float32 of shape \(64, 5, 5, 192\)"
    check(f"{kernel} {message}", **{kernel: np.ones((64, 5, 5, 192), "float32")})
    check(f"{kernel} must be floats .* got int64", **{kernel: arrays[kernel].astype("int64")})
    check(f"{kernel} must be finite", **{kernel: arrays[kernel] * np.nan})
    check(f"{head} must be finite, and not negative", **{head: -arrays[head]})
    check("it is damaged or holds no plain numbers", **{kernel: np.array([{}], dtype=object)})
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match="mine.npz holds no weights of LPIPS with AlexNet"):
        LPIPS(path)
    np.save(tmp_path / "one.npy", np.ones(3))
    with pytest.raises(ValueError, match="it holds one array without a name"):
        LPIPS(tmp_path / "one.npy")
