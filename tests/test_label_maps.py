"""The user's own label maps."""

import numpy as np
import pytest
from PIL import Image

from attnflow_keras.data import load_label_map, load_labelled_folder, save_image
from attnflow_keras.data.label_maps import as_classes

RNG = np.random.default_rng(0)
CLASSES = RNG.integers(0, 5, (6, 8), dtype="uint8")
COLOURS = RNG.integers(0, 256, (6, 8, 3), dtype="uint8")


def test_one_channel_holds_classes_and_three_hold_colours(tmp_path):
    Image.fromarray(CLASSES).save(tmp_path / "grey.png")
    indexed = Image.fromarray(CLASSES, "P")
    indexed.putpalette([value for i in range(5) for value in (i, 200, 7)])
    indexed.save(tmp_path / "indexed.png")
    Image.fromarray(CLASSES.astype("uint16")).save(tmp_path / "deep.png")
    for name in ("grey", "indexed", "deep"):
        found = load_label_map(tmp_path / f"{name}.png")
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, CLASSES)
    Image.fromarray(COLOURS).save(tmp_path / "colours.png")
    alpha = np.dstack([COLOURS, np.full((6, 8), 99, "uint8")])
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    for name in ("colours", "alpha"):
        np.testing.assert_array_equal(load_label_map(tmp_path / f"{name}.png"), COLOURS)


def test_bad_files(tmp_path):
    Image.fromarray(np.full((4, 4), 300, "uint16")).save(tmp_path / "many.png")
    with pytest.raises(ValueError, match="must hold classes of at most 255; got 300"):
        load_label_map(tmp_path / "many.png")
    with pytest.raises(FileNotFoundError, match="no file"):
        load_label_map(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("text")
    with pytest.raises(ValueError, match="can't read .*text.png as an image"):
        load_label_map(tmp_path / "text.png")
    (tmp_path / "map.tif").write_bytes(b"")
    with pytest.raises(ValueError, match="expected .png, .jpg, .jpeg; got '.tif'"):
        load_label_map(tmp_path / "map.tif")


@pytest.fixture
def folders(tmp_path):
    photos, labels = tmp_path / "photos", tmp_path / "labels"
    labels.mkdir()
    for i in range(3):
        save_image(photos / f"{i}.png", np.roll(COLOURS, i, axis=0))
        Image.fromarray(np.roll(CLASSES, i, axis=0)).save(labels / f"{i}.png")
    return photos, labels


def test_two_folders(folders):
    pairs = load_labelled_folder(*folders, (6, 8, 3))
    assert pairs["image"].shape == (3, 6, 8, 3)
    np.testing.assert_array_equal(pairs["image"][1], np.roll(COLOURS, 1, axis=0))
    np.testing.assert_array_equal(pairs["condition"][2], np.roll(CLASSES, 2, axis=0))


def test_resizing_makes_no_new_classes(folders):
    with pytest.raises(ValueError, match=r"0.png is 6x8, expected 12x12; .*--resize"):
        load_labelled_folder(*folders, (12, 12, 3))
    pairs = load_labelled_folder(*folders, (12, 12, 3), resize=True)
    assert pairs["image"].shape == (3, 12, 12, 3)
    assert pairs["condition"].shape == (3, 12, 12)
    assert set(np.unique(pairs["condition"])) <= set(range(5))


def test_one_kind_of_label_maps(folders):
    save_image(folders[1] / "1.png", COLOURS)
    with pytest.raises(ValueError, match="must hold label maps of one kind, .*1.png is unlike"):
        load_labelled_folder(*folders, (6, 8, 3))


def test_photos_need_partners(folders):
    (folders[1] / "2.png").unlink()
    with pytest.raises(ValueError, match="has no partner of"):
        load_labelled_folder(*folders, (6, 8, 3))


def test_classes_of_colours():
    palette = RNG.integers(0, 256, (5, 3), dtype="uint8")
    np.testing.assert_array_equal(as_classes(palette[CLASSES], palette), CLASSES)
    assert as_classes(COLOURS, palette.tolist()) is None
