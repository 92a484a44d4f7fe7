"""Every data set of the table keeps what a data set promises."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from attnflow_keras.core.discovery import one_of_each
from attnflow_keras.data import (
    DataSet,
    data_set,
    data_sets,
    downscale,
    is_data_set,
    load_dataset,
)
from attnflow_keras.data.dataset import SPLITS
from attnflow_keras.training.order import Source
from tests.data_set_table import DATA_SETS, pictures
from zoo.tasks import tasks


@pytest.fixture
def known(request, tmp_path, monkeypatch):
    """The data set, and what the table says of it; ``ATTNFLOW_DATA`` names a folder with files."""
    write, *expected = DATA_SETS[request.param]
    if write is not None:
        write(tmp_path, monkeypatch)
        monkeypatch.setenv("ATTNFLOW_DATA", str(tmp_path))
    elif not (Path(os.environ.get("ATTNFLOW_DATA", "nowhere")) / "bluemarble").is_dir():
        pytest.skip("the maps are needed: set ATTNFLOW_DATA to a folder with bluemarble/")
    return data_set(request.param), *expected


every = pytest.mark.parametrize("known", DATA_SETS, indirect=True)


def test_every_data_set_is_in_the_table():
    assert list(data_sets()) == sorted(DATA_SETS)
    for name, kind in data_sets().items():
        assert name == kind.name == name.lower().replace("-", "_")
        assert len(kind.license) > 5
        assert kind.task in tasks()
        assert (kind.task == "super-resolution") == (kind.scale is not None)


def check_splits(kind, image_shape, condition_shape, counts):
    seen = set()
    for split, count in zip(SPLITS, counts, strict=True):
        images = kind.images(split)
        assert images.dtype == np.uint8
        assert images.shape == (count, *image_shape)
        np.testing.assert_array_equal(kind.images(split), images)
        # No image is in two splits.
        hashes = {image.tobytes() for image in images}
        assert not hashes & seen
        seen |= hashes
        if condition_shape is None:
            with pytest.raises(ValueError, match=f"data set {kind.name} has no conditions"):
                kind.pairs(split)
            continue
        pairs = kind.pairs(split)
        np.testing.assert_array_equal(pairs["image"], images)
        assert pairs["condition"].dtype == np.uint8
        assert pairs["condition"].shape == (count, *condition_shape)
        if kind.scale is not None:
            np.testing.assert_array_equal(pairs["condition"], downscale(images, kind.scale))
    for call in (kind.images, kind.pairs):
        with pytest.raises(ValueError, match="split must be one of train, validation, test; got"):
            call("dev")


def check_training(kind, image_shape, condition_shape):
    source = kind.training(conditional=condition_shape is not None)
    if not isinstance(source, Source):
        pytest.fail(f"{type(source).__name__} is no Source")
    json.dumps(source.fingerprint())
    assert len(source) > 0
    batches = [source.draw(5, seed, step) for seed, step in ((0, 0), (0, 0), (0, 1), (1, 0))]
    if condition_shape is not None:
        conditions = [batch["condition"] for batch in batches]
        assert conditions[0].shape == (5, *condition_shape)
        np.testing.assert_array_equal(conditions[0], conditions[1])
        batches = [batch["image"] for batch in batches]
    assert batches[0].dtype == np.uint8
    assert batches[0].shape == (5, *image_shape)
    np.testing.assert_array_equal(batches[0], batches[1])
    for other in batches[2:]:
        assert (other != batches[0]).any()
    # Unconditional flows get images alone: an array, or drawn.
    alone = kind.training(conditional=False)
    images = alone if isinstance(alone, np.ndarray) else alone.draw(5, 0, 0)
    assert images.shape[1:] == image_shape


@every
def test_splits(known):
    check_splits(*known)


@every
def test_training_draws_by_seed_and_step(known):
    check_training(*known[:3])


@pytest.mark.parametrize("name", [n for n, kind in data_sets().items() if kind.sample])
def test_images_that_come_with_the_package(name):
    _, image_shape, condition_shape, _ = DATA_SETS[name]
    bundled = data_set(name).bundled()
    assert bundled["image"].shape[1:] == image_shape
    assert ("condition" in bundled) == (condition_shape is not None)
    if condition_shape is not None:
        assert bundled["condition"].shape == (len(bundled["image"]), *condition_shape)


@pytest.mark.parametrize("known", ["mnist", "fashion_mnist", "cifar10"], indirect=True)
def test_classes_belong_to_their_images(known, monkeypatch):
    kind, *_ = known
    train, validation = kind.pairs("train"), kind.pairs("validation")
    whole = np.concatenate([kind._read("train", "y").reshape(-1)])
    labels = np.concatenate([train["condition"], validation["condition"]])
    np.testing.assert_array_equal(labels, whole)
    batch = kind.training().draw(50, 0, 0)
    rows = {image.tobytes(): label for image, label in zip(*train.values(), strict=True)}
    for image, label in zip(batch["image"], batch["condition"], strict=True):
        assert rows[image.tobytes()] == label
    moved = kind.training().augmented("shift").draw(50, 0, 0)
    np.testing.assert_array_equal(moved["condition"], batch["condition"])
    assert (moved["image"] != batch["image"]).any()
    assert kind.training().augmented("shift").fingerprint() != kind.training().fingerprint()


def test_wrong_classes_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTNFLOW_DATA", str(tmp_path))
    monkeypatch.setattr("attnflow_keras.data.sets.mnist.MNIST.counts", (5_020, 12))
    images = {"x_train": np.zeros((5_020, 28, 28), "uint8"), "x_test": np.zeros((12, 28, 28))}
    np.savez(tmp_path / "mnist.npz", **images)
    with pytest.raises(ValueError, match="must be an .npz file with an array y_train"):
        data_set("mnist").pairs("train")
    np.savez(tmp_path / "mnist.npz", **images, y_train=np.full(5_020, 10))
    with pytest.raises(ValueError, match="5020 classes of 0 to 9, got int64 .*, at most 10"):
        data_set("mnist").pairs("train")


@pytest.mark.skipif(
    not (Path(os.environ.get("ATTNFLOW_DATA", "nowhere")) / "mnist.npz").is_file(),
    reason="the digits are needed: set ATTNFLOW_DATA to a folder with mnist.npz",
)
def test_real_classes_of_digits():
    assert data_set("mnist").conditions("train")[:5].tolist() == [5, 0, 4, 1, 9]
    labels = data_set("mnist").conditions("test")
    assert labels[:5].tolist() == [7, 2, 1, 0, 4]
    np.testing.assert_array_equal(data_set("mnist").bundled()["condition"], labels[:256])


def test_names():
    assert data_set("photos-sr4") is data_set("photos_sr4")
    assert is_data_set("fashion-mnist")
    for other in ("my-folder", "", None, 3):
        assert not is_data_set(other)
    with pytest.raises(ValueError, match="data set must be one of bluemarble, .*; got 'mine'"):
        load_dataset("mine", "test")


@pytest.mark.parametrize("known", ["photos_sr4"], indirect=True)
def test_photographs(known, tmp_path, monkeypatch):
    kind, *_ = known
    # Crops are of the whole pictures and of their halves.
    assert {p.shape for p in kind.crops().pictures} == {(150, 270, 3), (75, 135, 3)}
    assert len(kind.crops()) == 4
    for photo in (tmp_path / "photos").glob("*.jpg"):
        photo.unlink()
    with pytest.raises(OSError, match="photos/ holds no photograph for train"):
        kind.images("train")
    monkeypatch.setenv("ATTNFLOW_DATA", str(tmp_path / "photos"))
    with pytest.raises(OSError, match="set ATTNFLOW_DATA to a folder with photos/ of JPEG"):
        kind.images("validation")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="test photographs need scikit-image: pip install"):
        kind.images("test")


def test_two_of_one_name(monkeypatch):
    from attnflow_keras.data.sets import fashion_mnist

    monkeypatch.setattr(fashion_mnist.FashionMNIST, "name", "mnist")
    with pytest.raises(ValueError, match="MNIST and FashionMNIST are both named 'mnist'"):
        one_of_each("attnflow_keras.data.sets", DataSet)


def test_the_example_of_the_contributing_guide(tmp_path, monkeypatch):
    guide = (Path(__file__).parent.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    names = {"__name__": "flowers"}
    for block in re.findall(r"^```python\n(.*?)^```", guide, re.MULTILINE | re.DOTALL):
        exec(block, names)
    pictures("flowers", (32, 32, 3))(tmp_path, monkeypatch)
    monkeypatch.setenv("ATTNFLOW_DATA", str(tmp_path))
    check_splits(names["Flowers"](), (32, 32, 3), (8, 8, 3), (3, 2, 1))
    check_training(names["Flowers"](), (32, 32, 3), (8, 8, 3))
