"""Pairs of folders, and single images."""

import numpy as np
import pytest
from PIL import Image

from attnflow_keras.data.images import save_image
from attnflow_keras.data.pairs import load_pair_folder, load_picture


@pytest.fixture
def folders(tmp_path):
    """Photos as JPEG and labels as PNG, of the same names."""
    photos, labels = tmp_path / "photos", tmp_path / "labels"
    for name in ("town-a/2", "town-a/10", "town-a-b/1", "1"):
        for folder, suffix in ((photos, ".JPG"), (labels, ".png")):
            path = folder / f"{name}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
    (photos / "notes.txt").touch()
    return photos, labels


def test_pairs(folders):
    photos, labels = folders
    images, conditions = load_pair_folder(photos, str(labels))
    names = ["1", "town-a-b/1", "town-a/10", "town-a/2"]
    assert images == [photos / f"{name}.JPG" for name in names]
    assert conditions == [labels / f"{name}.png" for name in names]


def test_a_file_without_a_partner(folders):
    photos, labels = folders
    for name in ("town-a/2", "town-a/10"):
        (labels / f"{name}.png").unlink()
    message = r"labels has no partner of .*town-a/10.JPG: 2 of 4 files lack one"
    with pytest.raises(ValueError, match=message):
        load_pair_folder(photos, labels)
    with pytest.raises(ValueError, match=message):
        load_pair_folder(labels, photos)


def test_folder_errors(folders, tmp_path):
    photos, labels = folders
    with pytest.raises(FileNotFoundError, match="no folder .*nowhere"):
        load_pair_folder(photos, tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="empty holds no image"):
        load_pair_folder(tmp_path / "empty", labels)
    (photos / "1.png").touch()
    with pytest.raises(ValueError, match=r"1.JPG and .*1.png have the same name up to the suffix"):
        load_pair_folder(photos, labels)


def test_pictures_of_any_size(tmp_path, digits):
    colours = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype="uint8")
    save_image(tmp_path / "colours.png", colours)
    np.testing.assert_array_equal(load_picture(tmp_path / "colours.png"), colours)
    save_image(tmp_path / "grey.png", digits[0])
    grey = load_picture(str(tmp_path / "grey.png"))
    np.testing.assert_array_equal(grey, np.repeat(digits[0], 3, axis=-1))
    Image.new("RGBA", (3, 2), (9, 8, 7, 255)).save(tmp_path / "clear.png")
    assert load_picture(tmp_path / "clear.png").tolist() == [[[9, 8, 7]] * 3] * 2


def test_picture_errors(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="no file .*a.png"):
        load_picture(tmp_path / "a.png")
    with pytest.raises(IsADirectoryError, match="is a folder; give one"):
        load_picture(tmp_path)
    (tmp_path / "a.npy").touch()
    with pytest.raises(ValueError, match=r"a.npy: expected .png, .jpg, .jpeg, .webp; got '.npy'"):
        load_picture(tmp_path / "a.npy")
    path = tmp_path / "a.png"
    path.write_bytes(b"no image")
    with pytest.raises(ValueError, match=r"can't read .*a.png as an image"):
        load_picture(path)
    Image.new("L", (9, 9)).save(path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    with pytest.raises(ValueError, match=r"a.png is too large an image"):
        load_picture(path)
