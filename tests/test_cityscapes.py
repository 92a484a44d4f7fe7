"""Cityscapes' preparation, on a tiny folder of the same layout."""

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from attnflow_keras.data import load_cityscapes, load_paired, load_picture, prepare_cityscapes
from attnflow_keras.data.cityscapes import boundary_map
from attnflow_keras.data.datasets import data_set
from attnflow_keras.data.sources import Photos
from zoo.cli.app import app
from zoo.cli.common import load_conditioned

CITIES = {"train": ["aachen", "zurich"], "val": ["munster"]}


@pytest.fixture
def source(tmp_path):
    """Three images a city, 16x32, with their label and instance maps."""
    rng = np.random.default_rng(0)
    root = tmp_path / "raw"
    for split, cities in CITIES.items():
        for city in cities:
            photos, labels = root / "leftImg8bit" / split / city, root / "gtFine" / split / city
            photos.mkdir(parents=True)
            labels.mkdir(parents=True)
            for i in range(3):
                stem = f"{city}_{i:06}_000019"
                photo = rng.integers(0, 256, (16, 32, 3), dtype="uint8")
                colours = rng.integers(0, 256, (4, 8, 4), dtype="uint8").repeat(4, 0).repeat(4, 1)
                instances = rng.integers(0, 24_000, (4, 8)).repeat(4, 0).repeat(4, 1)
                Image.fromarray(photo).save(photos / f"{stem}_leftImg8bit.png")
                Image.fromarray(colours, "RGBA").save(labels / f"{stem}_gtFine_color.png")
                Image.fromarray(instances.astype("uint16")).save(
                    labels / f"{stem}_gtFine_instanceIds.png"
                )
                (labels / f"{stem}_gtFine_polygons.json").write_text("{}")
    return root


def test_prepared_pictures_are_resized_with_the_bilinear_filter(source, tmp_path):
    seen = []
    target = tmp_path / "out" / "cityscapes"
    counts = prepare_cityscapes(source, target, 8, progress=lambda done, of: seen.append(done))
    assert counts == {"train": 3, "validation": 3, "test": 3}
    assert seen == list(range(1, 10))
    images, labels = load_cityscapes(target, "validation")
    assert images.shape == labels.shape == (3, 8, 8, 3)
    assert not images.flags.writeable
    stem = source / "leftImg8bit" / "train" / "zurich" / "zurich_000001_000019_leftImg8bit.png"
    expected = Image.open(stem).resize((8, 8), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(images[1], np.asarray(expected))
    stem = source / "gtFine" / "train" / "zurich" / "zurich_000001_000019_gtFine_color.png"
    expected = Image.open(stem).convert("RGB").resize((8, 8), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(labels[1], np.asarray(expected))


def test_boundaries(source, tmp_path):
    instances = np.array([[1, 1, 2], [1, 1, 2], [1, 1, 1]])
    expected = np.array([[0, 255, 255], [0, 255, 255], [0, 0, 255]])
    np.testing.assert_array_equal(boundary_map(instances), expected)
    prepare_cityscapes(source, tmp_path / "out", 16, boundaries=True)
    _, labels = load_cityscapes(tmp_path / "out", "test")
    assert labels.shape == (3, 16, 16, 4)
    # Cells of 4 x 4 have borders around and none within; the width is halved.
    assert labels[..., 3].max() == 255
    assert (labels[:, 1:3, :, 3] < labels[:, 3:4, :, 3].max()).any()


def test_it_trains_from_the_folder_that_the_variable_names(source, tmp_path, monkeypatch):
    monkeypatch.setenv("ATTNFLOW_DATA", str(tmp_path / "data"))
    with pytest.raises(OSError, match="with cityscapes/, as .*prepare_cityscapes writes it from"):
        load_paired("cityscapes", "test")
    result = CliRunner().invoke(
        app,
        ["prepare-cityscapes", str(source), "-o", str(tmp_path / "data/cityscapes"), "--size", "8"],
    )
    assert "3 for train, 3 for validation, 3 for test" in " ".join(result.stdout.split())
    pairs = load_paired("cityscapes", "test")
    assert pairs["image"].shape == pairs["condition"].shape == (3, 8, 8, 3)
    train = data_set("cityscapes").training()
    assert len(train) == 3
    drawn, again, later = (train.draw(4, 1, step) for step in (0, 0, 1))
    assert drawn["image"].shape == drawn["condition"].shape == (4, 8, 8, 3)
    np.testing.assert_array_equal(drawn["condition"], again["condition"])
    assert (drawn["image"] != later["image"]).any()
    # An unconditional flow gets the photos of the same batch.
    photos = Photos(train)
    np.testing.assert_array_equal(photos.draw(4, 1, 0), drawn["image"])
    assert len(photos) == 3
    assert photos.fingerprint() != train.fingerprint()
    for task, given in (("label-to-photo", True), ("unconditional", False)):
        entry = {"task": task, "config": {"image_shape": [8, 8, 3]}}
        images, condition = load_conditioned(entry, "cityscapes:test", resize=False)
        np.testing.assert_array_equal(images, pairs["image"])
        assert (condition is not None) == given
    # An image and its label map are mirrored together.
    images, labels = load_cityscapes(tmp_path / "data" / "cityscapes", "train")
    for photo, label in zip(drawn["image"], drawn["condition"], strict=True):
        flipped = [
            (np.array_equal(photo, i[:, ::f]), np.array_equal(label, lab[:, ::f]))
            for i, lab in zip(images, labels, strict=True)
            for f in (1, -1)
        ]
        assert (True, True) in flipped


@pytest.mark.parametrize(
    ("break_it", "error", "message"),
    [
        (
            lambda root: (
                root / "gtFine" / "val" / "munster" / "munster_000000_000019_gtFine_color.png"
            ).unlink(),
            FileNotFoundError,
            "_gtFine_color.png, which .*_leftImg8bit.png needs",
        ),
        (
            lambda root: (root / "leftImg8bit").rename(root / "photos"),
            FileNotFoundError,
            "no folder .*leftImg8bit; leftImg8bit and gtFine belong there",
        ),
        (
            lambda root: Image.new("RGB", (32, 17)).save(
                root / "gtFine/val/munster/munster_000000_000019_gtFine_color.png"
            ),
            ValueError,
            "_gtFine_color.png must be as large as .*, 16x32; it is 17x32",
        ),
    ],
)
def test_a_broken_source(source, tmp_path, break_it, error, message):
    break_it(source)
    with pytest.raises(error, match=message):
        prepare_cityscapes(source, tmp_path / "out", 8)
    assert not (tmp_path / "out").exists()


def test_wrong_arguments(source, tmp_path):
    with pytest.raises(ValueError, match="size must be an integer of at least 1; got 0"):
        prepare_cityscapes(source, tmp_path / "out", 0)
    (tmp_path / "empty" / "leftImg8bit").mkdir(parents=True)
    (tmp_path / "empty" / "gtFine").mkdir()
    with pytest.raises(ValueError, match="holds no image leftImg8bit"):
        prepare_cityscapes(tmp_path / "empty", tmp_path / "out")
    with pytest.raises(ValueError, match="split must be one of train, validation, test"):
        load_cityscapes(tmp_path, "val")
    with pytest.raises(FileNotFoundError, match="prepare_cityscapes writes it"):
        load_cityscapes(tmp_path, "test")
    assert load_picture(next(source.rglob("*_leftImg8bit.png"))).shape == (16, 32, 3)
