"""Tiles and crops of Blue Marble with land cover, on the real maps."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from attnflow_keras.data import bluemarble, bluemarble_sample
from attnflow_keras.data.bluemarble import BlueMarbleCrops, bluemarble_tiles, load_bluemarble

FILES = (bluemarble.PICTURE_FILE, bluemarble.LAND_COVER_FILE)
FOLDER = os.environ.get("ATTNFLOW_DATA")
needs_data = pytest.mark.skipif(
    not FOLDER or not all((Path(FOLDER) / name).is_file() for name in FILES),
    reason="the maps are needed: set ATTNFLOW_DATA to a folder with bluemarble/",
)

# Tiles by split, counted in the data.
TILES = {
    64: {"train": 649, "validation": 135, "test": 120},
    128: {"train": 168, "validation": 36, "test": 32},
}
BANDS = {"train": {0, 1, 2, 4, 6}, "validation": {5}, "test": {3, 7}}


@pytest.fixture(scope="module")
def crops():
    return BlueMarbleCrops()


@pytest.fixture
def numbered(monkeypatch):
    """The image's colours replaced by the number of each pixel, in 24 bits."""
    _, land_cover = load_bluemarble()
    pixels = np.arange(2700 * 5400, dtype="<u4").view("uint8").reshape(2700, 5400, 4)
    maps = np.ascontiguousarray(pixels[..., :3]), land_cover
    monkeypatch.setattr(bluemarble, "load_bluemarble", lambda: maps)


def rows_and_columns(images):
    """Where the pixels of numbered images lie, each ``(n, size, size)``."""
    number = images[..., 0] + 256 * images[..., 1].astype("int32")
    number += 65536 * images[..., 2].astype("int32")
    return number // 5400, number % 5400


def obey_the_rule(classes):
    area = classes[0].size
    land = (classes != 0).sum(axis=(1, 2)) / area
    ice = (classes == 15).sum(axis=(1, 2)) / area
    return bool((land >= 0.3).all() and (ice <= 0.5).all())


def test_the_sample_that_comes_with_the_package():
    images, classes = bluemarble_sample()
    assert (images.shape, images.dtype) == ((32, 64, 64, 3), np.uint8)
    assert (classes.shape, classes.dtype) == ((32, 64, 64), np.uint8)
    assert obey_the_rule(classes)


@needs_data
def test_the_sample_is_of_the_test_tiles():
    chosen = np.arange(32) * 120 // 32
    for sample, tiles in zip(bluemarble_sample(), bluemarble_tiles("test"), strict=True):
        np.testing.assert_array_equal(sample, tiles[chosen])


@needs_data
def test_maps():
    picture, land_cover = load_bluemarble()
    assert picture.shape == (2700, 5400, 3)
    assert land_cover.shape == (2700, 5400)
    assert picture.dtype == land_cover.dtype == np.uint8
    assert load_bluemarble()[0] is picture
    with pytest.raises(ValueError, match="read-only"):
        picture[0] = 0
    # Each place by its latitude and longitude, 15 pixels per degree.
    for latitude, longitude, name in (
        (24, 12, "barren"),
        (-5, -65, "evergreen broadleaf forest"),
        (30, -40, "water"),
        (75, -40, "snow and ice"),
    ):
        place = (90 - latitude) * 15, (longitude + 180) * 15
        assert bluemarble.IGBP_CLASSES[land_cover[place]] == name


@needs_data
@pytest.mark.parametrize("size", TILES)
def test_tiles(size):
    counts = {}
    for split in BANDS:
        images, classes = bluemarble_tiles(split, size)
        counts[split] = len(images)
        assert images.shape == (len(images), size, size, 3)
        assert classes.shape == (len(images), size, size)
        assert images.dtype == classes.dtype == np.uint8
        assert obey_the_rule(classes)
    assert counts == TILES[size]


@needs_data
def test_tiles_lie_on_the_grid_of_one_split(numbered):
    _, land_cover = load_bluemarble()
    seen = {}
    for split, bands in BANDS.items():
        images, classes = bluemarble_tiles(split)
        rows, columns = rows_and_columns(images)
        np.testing.assert_array_equal(classes, land_cover[rows, columns])
        assert set((columns[:, 0] // 675).ravel()) == bands
        assert (rows[:, 0, 0] % 64 == 0).all()
        assert (columns[:, 0, 0] % 675 % 64 == 0).all()
        assert (columns[:, 0, 0] // 675 == columns[:, 0, -1] // 675).all()
        times = np.bincount((rows * 5400 + columns).ravel())
        assert times.max() == 1
        seen[split] = set(columns[:, 0].ravel())
    assert seen["train"].isdisjoint(seen["validation"] | seen["test"])
    assert seen["validation"].isdisjoint(seen["test"])


@needs_data
def test_no_tile_is_left_out():
    _, land_cover = load_bluemarble()
    band = land_cover[: 42 * 64, 5 * 675 : 5 * 675 + 640]
    tiles = band.reshape(42, 64, 10, 64).swapaxes(1, 2).reshape(-1, 64, 64)
    expected = [tile for tile in tiles if obey_the_rule(tile[None])]
    np.testing.assert_array_equal(bluemarble_tiles("validation")[1], expected)


@needs_data
def test_crops_obey_the_rule_inside_the_training_bands(numbered):
    _, land_cover = load_bluemarble()
    images, classes = BlueMarbleCrops(flip=False).draw(500, seed=0, step=0)
    assert obey_the_rule(classes)
    rows, columns = rows_and_columns(images)
    np.testing.assert_array_equal(classes, land_cover[rows, columns])
    np.testing.assert_array_equal(rows[0] - rows[0, 0, 0], np.arange(64)[:, None] + 0 * rows[0])
    assert set((columns[:, 0] // 675).ravel()) == BANDS["train"]
    assert (columns[:, 0, 0] // 675 == columns[:, 0, -1] // 675).all()
    # Any offset, not those of the grid alone.
    assert len(np.unique(rows[:, 0, 0] % 64)) > 50
    assert len(np.unique(columns[:, 0, 0] % 675 % 64)) > 50


@needs_data
def test_half_of_the_crops_are_flipped_with_their_classes(numbered):
    _, land_cover = load_bluemarble()
    images, classes = BlueMarbleCrops().draw(500, seed=0, step=0)
    rows, columns = rows_and_columns(images)
    np.testing.assert_array_equal(classes, land_cover[rows, columns])
    flipped = columns[:, 0, 0] > columns[:, 0, 1]
    assert 0.4 < flipped.mean() < 0.6
    straight, _ = BlueMarbleCrops(flip=False).draw(500, seed=0, step=0)
    np.testing.assert_array_equal(images[flipped], straight[flipped, :, ::-1])
    np.testing.assert_array_equal(images[~flipped], straight[~flipped])


@needs_data
def test_crops_are_a_function_of_seed_and_step(crops):
    images, classes = crops.draw(8, seed=1, step=2)
    assert images.shape == (8, 64, 64, 3)
    assert classes.shape == (8, 64, 64)
    crops.draw(5, seed=9, step=9)
    for again in (crops.draw(8, seed=1, step=2), BlueMarbleCrops().draw(8, seed=1, step=2)):
        np.testing.assert_array_equal(again[0], images)
        np.testing.assert_array_equal(again[1], classes)
    for seed, step in ((1, 3), (2, 2)):
        assert (crops.draw(8, seed, step)[0] != images).any()


@needs_data
def test_length_and_fingerprint(crops):
    assert len(crops) == TILES[64]["train"]
    fingerprint = crops.fingerprint()
    assert json.loads(json.dumps(fingerprint)) == fingerprint
    assert BlueMarbleCrops().fingerprint() == fingerprint
    assert BlueMarbleCrops(flip=False).fingerprint() != fingerprint
    assert BlueMarbleCrops(size=128).fingerprint() != fingerprint


@needs_data
def test_fingerprint_tells_other_maps(crops, numbered):
    assert BlueMarbleCrops().fingerprint()["sha256"] != crops.fingerprint()["sha256"]


@needs_data
def test_argument_errors(crops):
    for call, message in (
        (lambda: bluemarble_tiles("dev"), "split must be one of train, validation, test; got 'd"),
        (lambda: bluemarble_tiles("test", 676), "size must be an integer from 1 to 675; got 676"),
        (lambda: BlueMarbleCrops(0), "size must be an integer from 1 to 675; got 0"),
        (lambda: crops.draw(0, 0, 0), "count must be an integer of at least 1; got 0"),
        (lambda: crops.draw(1, None, 0), "seed must be an integer of at least 0; got None"),
        (lambda: crops.draw(1, 0, -1), "step must be an integer of at least 0; got -1"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_errors_without_the_files(tmp_path, monkeypatch):
    monkeypatch.delenv("ATTNFLOW_DATA", raising=False)
    advice = r"set ATTNFLOW_DATA to a folder with bluemarble/.*jpg and bluemarble/.*png"
    with pytest.raises(OSError, match=rf"from local files only; {advice}"):
        load_bluemarble()
    with pytest.raises(OSError, match=advice):
        BlueMarbleCrops()
    monkeypatch.setenv("ATTNFLOW_DATA", str(tmp_path))
    with pytest.raises(OSError, match=rf"holds no bluemarble/bluemarble_\S+jpg; {advice}"):
        bluemarble_tiles("test")
    (tmp_path / "bluemarble").mkdir()
    (tmp_path / FILES[0]).touch()
    with pytest.raises(OSError, match=rf"holds no bluemarble/landcover_\S+png; {advice}"):
        bluemarble_tiles("test")


def test_errors_of_the_files(tmp_path, monkeypatch):
    monkeypatch.setenv("ATTNFLOW_DATA", str(tmp_path))
    # A small globe will do for what is checked after its size.
    monkeypatch.setattr(bluemarble, "HEIGHT", 2)
    monkeypatch.setattr(bluemarble, "WIDTH", 4)
    bluemarble._decode.cache_clear()
    (tmp_path / "bluemarble").mkdir()
    (tmp_path / FILES[0]).write_bytes(b"no image")
    (tmp_path / FILES[1]).touch()
    with pytest.raises(ValueError, match=r"can't read .*jpg as an image"):
        load_bluemarble()
    Image.new("RGB", (4, 3)).save(tmp_path / FILES[0])
    with pytest.raises(ValueError, match=r"jpg must be 2x4 pixels of mode RGB; got 3x4 of mode R"):
        load_bluemarble()
    Image.new("RGB", (4, 2)).save(tmp_path / FILES[0])
    Image.new("RGB", (4, 2)).save(tmp_path / FILES[1])
    with pytest.raises(ValueError, match="png must be 2x4 pixels of mode L; got 2x4 of mode RGB"):
        load_bluemarble()
    Image.new("L", (4, 2), 17).save(tmp_path / FILES[1])
    with pytest.raises(ValueError, match="png must hold classes 0 to 16; got 17"):
        load_bluemarble()
    Image.new("L", (4, 2), 16).save(tmp_path / FILES[1])
    assert load_bluemarble()[1].tolist() == [[16] * 4] * 2
    bluemarble._decode.cache_clear()


def test_a_class_has_a_name_and_a_colour_of_its_own():
    assert len(set(bluemarble.IGBP_CLASSES)) == 17
    palette = bluemarble.IGBP_PALETTE
    assert palette.shape == (17, 3)
    assert palette.dtype == np.uint8
    distance = np.abs(palette[:, None].astype(int) - palette).sum(axis=-1)
    assert distance[~np.eye(17, dtype=bool)].min() >= 40
