"""Data sets, splits, and the user's images."""

import gzip
import struct

import numpy as np
import pytest
from PIL import Image

from attnflow_keras.data import (
    fashion_mnist_sample,
    image_grid,
    load_dataset,
    load_images,
    mnist_sample,
    save_image,
)
from attnflow_keras.data.bundled import bundled_sample


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    """A folder with both data sets in their usual files, with made-up content."""
    rng = np.random.default_rng(0)
    train = rng.integers(0, 256, (60_000, 28, 28), dtype="uint8")
    test = rng.integers(0, 256, (10_000, 28, 28), dtype="uint8")
    np.savez(tmp_path / "mnist.npz", x_train=train, x_test=test)
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    for stem, images in (("train", train[::-1]), ("t10k", test[::-1])):
        header = struct.pack(">4i", 2051, *images.shape)
        with gzip.open(folder / f"{stem}-images-idx3-ubyte.gz", "wb", compresslevel=0) as file:
            file.write(header + images.tobytes())
    monkeypatch.setenv("ATTNFLOW_DATA", str(tmp_path))
    return train, test, tmp_path


def test_splits(data_folder):
    train, test, _ = data_folder
    expected = {"train": train[:55_000], "validation": train[55_000:], "test": test}
    for split, images in expected.items():
        np.testing.assert_array_equal(load_dataset("mnist", split)[..., 0], images)
    expected = {"train": train[::-1][:55_000], "test": test[::-1]}
    for split, images in expected.items():
        np.testing.assert_array_equal(load_dataset("fashion_mnist", split)[..., 0], images)


def test_data_set_errors(data_folder):
    _, _, folder = data_folder
    with pytest.raises(
        ValueError, match="data set must be one of bluemarble, .*, mnist, .*; got 'cifar'"
    ):
        load_dataset("cifar", "test")
    with pytest.raises(ValueError, match="split must be one of"):
        load_dataset("mnist", "dev")
    path = folder / "fashion-mnist" / "t10k-images-idx3-ubyte.gz"
    content = gzip.decompress(path.read_bytes())
    path.write_bytes(gzip.compress(content[:-1], 0))
    with pytest.raises(ValueError, match="not an idx file of images, or is cut off"):
        load_dataset("fashion_mnist", "test")


def test_without_a_folder_keras_datasets_serves(monkeypatch):
    import keras

    monkeypatch.delenv("ATTNFLOW_DATA", raising=False)
    fake = np.zeros((60_000, 28, 28), "uint8"), np.ones((10_000, 28, 28), "uint8")
    monkeypatch.setattr(
        keras.datasets.mnist, "load_data", lambda: ((fake[0], None), (fake[1], None))
    )
    assert load_dataset("mnist", "test").shape == (10_000, 28, 28, 1)
    assert load_dataset("mnist", "validation").max() == 0


def test_a_failed_download_is_one_error(monkeypatch, tmp_path):
    import keras

    monkeypatch.setenv("ATTNFLOW_DATA", str(tmp_path))
    monkeypatch.setattr(keras.datasets.mnist, "load_data", lambda: 1 / 0)
    with pytest.raises(OSError, match=r"holds no mnist, and mnist can't be downloaded .*set ATTN"):
        load_dataset("mnist", "test")


@pytest.fixture(scope="module")
def cifar():
    """Made-up content of CIFAR-10's files: from the number of a file, 0 for test, to planes."""
    files = [
        np.random.default_rng(file).integers(0, 256, (10_000, 3, 32, 32), dtype="uint8")
        for file in range(6)
    ]
    return files.__getitem__


def write_binary(folder, content, files=range(6)):
    folder.mkdir()
    for file in files:
        name = f"data_batch_{file}.bin" if file else "test_batch.bin"
        labels = np.arange(10_000, dtype="uint8")[:, None] % 10
        rows = np.concatenate([labels, content(file).reshape(10_000, -1)], axis=1)
        rows.tofile(folder / name)


def check_cifar(content):
    test = load_dataset("cifar10", "test")
    assert test.shape == (10_000, 32, 32, 3)
    assert test.dtype == np.uint8
    np.testing.assert_array_equal(test[7, ..., 1], content(0)[7, 1])
    train = load_dataset("cifar10", "train")
    assert train.shape == (45_000, 32, 32, 3)
    np.testing.assert_array_equal(train[12_345], content(2)[2_345].transpose(1, 2, 0))
    validation = load_dataset("cifar10", "validation")
    np.testing.assert_array_equal(validation, content(5)[5_000:].transpose(0, 2, 3, 1))


def no_download(*_):
    raise AssertionError("keras.datasets was asked")


def test_cifar10_in_binary_files(cifar, tmp_path, monkeypatch):
    import keras

    monkeypatch.setenv("ATTNFLOW_DATA", str(tmp_path))
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", no_download)
    folder = tmp_path / "cifar-10-batches-bin"
    write_binary(folder, cifar)
    check_cifar(cifar)
    path = folder / "data_batch_4.bin"
    rows = np.fromfile(path, "uint8")
    rows[3073] = 10
    rows.tofile(path)
    with pytest.raises(ValueError, match="data_batch_4.bin is not a file of CIFAR-10's binary"):
        load_dataset("cifar10", "train")
    rows[:-1].tofile(path)
    with pytest.raises(ValueError, match="must have 30,730,000 bytes; it has 30,729,999"):
        load_dataset("cifar10", "train")
    path.unlink()
    with pytest.raises(ValueError, match="is incomplete: it has no data_batch_4.bin"):
        load_dataset("cifar10", "train")


def test_cifar10_in_an_npz_file(cifar, tmp_path, monkeypatch):
    import keras

    monkeypatch.setenv("ATTNFLOW_DATA", str(tmp_path))
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", no_download)
    train = np.concatenate([cifar(i) for i in range(1, 6)]).transpose(0, 2, 3, 1)
    path = tmp_path / "cifar10.npz"
    np.savez(path, x_train=train, x_test=cifar(0).transpose(0, 2, 3, 1))
    check_cifar(cifar)
    np.savez(path, x_train=train[:10])
    with pytest.raises(ValueError, match="expected 50000 uint8 images of 32x32x3, got uint8 of"):
        load_dataset("cifar10", "train")
    with pytest.raises(ValueError, match="must be an .npz file with an array x_test: it holds x_"):
        load_dataset("cifar10", "test")
    np.savez(path, x_test=np.array([{}], dtype=object))
    with pytest.raises(ValueError, match="x_test: it is damaged or holds no plain numbers"):
        load_dataset("cifar10", "test")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"cifar10.npz must be an .npz file"):
        load_dataset("cifar10", "test")


def test_cifar10_from_keras_and_never_from_pickles(cifar, tmp_path, monkeypatch):
    import keras

    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    (folder / "test_batch").write_bytes(b"a pickle")
    monkeypatch.setenv("ATTNFLOW_DATA", str(tmp_path))
    train = np.concatenate([cifar(i) for i in range(1, 6)]).transpose(0, 2, 3, 1)
    fake = (train, None), (cifar(0).transpose(0, 2, 3, 1), None)
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: fake)
    check_cifar(cifar)
    monkeypatch.setattr(keras.datasets.cifar10, "load_data", lambda: 1 / 0)
    with pytest.raises(
        OSError,
        match=r"set ATTNFLOW_DATA to a folder with cifar10.npz or cifar-10-batches-bin/\*.bin "
        r"\(its cifar-10-batches-py holds pickles, which are not read\)",
    ):
        load_dataset("cifar10", "test")


def test_embedded_sample_is_real_mnist():
    digits = mnist_sample()
    assert digits.shape == (256, 28, 28, 1)
    assert digits.dtype == np.uint8
    # The first test digit is a seven: a bar at the top, a stroke to the lower left.
    seven = digits[0, ..., 0]
    assert seven[7:10, 8:20].mean() > 80
    assert seven[18:26, 8:14].mean() > seven[18:26, 16:22].mean()


def test_embedded_sample_is_real_fashion_mnist():
    clothes = fashion_mnist_sample()
    assert clothes.shape == (128, 28, 28, 1)
    assert clothes.dtype == np.uint8
    # The first test image is an ankle boot: nothing above it, a sole along the bottom.
    boot = clothes[0, ..., 0]
    assert boot[:6].max() == 0
    assert boot[18:20, 4:24].mean() > 120


def test_bundled_sample_of_another_data_set():
    with pytest.raises(ValueError, match="no images of data set cifar10 come with the package"):
        bundled_sample("cifar10")


def test_image_folder(tmp_path, digits):
    (tmp_path / "sub").mkdir()
    save_image(tmp_path / "b.png", digits[1])
    save_image(tmp_path / "a.png", digits[0])
    Image.fromarray(digits[2, ..., 0]).convert("RGB").save(tmp_path / "sub" / "c.PNG")
    (tmp_path / "notes.txt").write_text("not an image")
    images = load_images(tmp_path, (28, 28, 1))
    np.testing.assert_array_equal(images, digits[:3])
    rgb = load_images(tmp_path, (28, 28, 3))
    assert rgb.shape == (3, 28, 28, 3)
    small = load_images(tmp_path, (14, 14, 1), resize=True)
    assert small.shape == (3, 14, 14, 1)
    assert load_images(tmp_path / "a.png").shape == (1, 28, 28, 3)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_array_files(tmp_path, digits, suffix):
    path = tmp_path / f"images{suffix}"
    (np.save if suffix == ".npy" else np.savez)(path, digits[:5, ..., 0])
    np.testing.assert_array_equal(load_images(path, (28, 28, 1)), digits[:5])


def test_image_errors(tmp_path, digits):
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        load_images(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds no image"):
        load_images(tmp_path)
    save_image(tmp_path / "a.png", digits[0])
    with pytest.raises(ValueError, match=r"a.png is 28x28, expected 32x32; .*--resize"):
        load_images(tmp_path, (32, 32, 1))
    broken = tmp_path / "broken.png"
    broken.write_bytes((tmp_path / "a.png").read_bytes()[:60])
    with pytest.raises(ValueError, match=r"can't read .*broken.png as an image"):
        load_images(tmp_path, (28, 28, 1))
    with pytest.raises(ValueError, match="give a name in .png"):
        save_image(tmp_path / "x.bmp", digits[0])
    (tmp_path / "x.txt").write_text("")
    with pytest.raises(ValueError, match=r"expected a folder, .*; got '.txt'"):
        load_images(tmp_path / "x.txt")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 28, 28)), "must hold uint8 images"),
        (np.zeros((28, 28), "uint8"), "must hold uint8 images"),
        (np.zeros((0, 28, 28), "uint8"), "must hold uint8 images"),
        (np.zeros((2, 8, 8), "uint8"), r"must hold images of shape \(28, 28, 1\)"),
        (np.array([{"a": 1}], dtype=object), "can't read"),
    ],
)
def test_array_errors(tmp_path, array, message):
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(ValueError, match=message):
        load_images(tmp_path / "a.npy", (28, 28, 1))


def test_two_arrays_in_one_file(tmp_path, digits):
    np.savez(tmp_path / "a.npz", a=digits, b=digits)
    with pytest.raises(ValueError, match="holds 2 arrays, expected one"):
        load_images(tmp_path / "a.npz")


def test_picture_arguments(tmp_path, digits):
    for call, message in (
        (
            lambda: image_grid(digits[0]),
            r"images must have shape \(n, h, w, c\) .*; got \(28, 28, 1\)",
        ),
        (lambda: image_grid(digits / 256), "images must be uint8; got dtype float64"),
        (lambda: image_grid(digits[:2], columns=0), "columns must be an integer of at least 1"),
        (lambda: save_image(tmp_path / "a.png", digits), r"image must have shape \(h, w, c\)"),
        (lambda: load_images(tmp_path, (28, 28)), r"image_shape must be .*; got \(28, 28\)"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert list(tmp_path.iterdir()) == []


def test_grid(digits):
    grid = image_grid(digits[:5], columns=3, gap=1)
    assert grid.shape == (2 * 29 + 1, 3 * 29 + 1, 1)
    np.testing.assert_array_equal(grid[30:58, 30:58], digits[4])
