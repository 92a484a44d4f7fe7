"""CelebA's preparation, on a tiny folder of the same layout."""

import itertools

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from attnflow_keras.data import celeba, downscale
from attnflow_keras.data.bicubic import bicubic_resize
from attnflow_keras.data.celeba import celeba_split, load_celeba, prepare_celeba
from attnflow_keras.data.datasets import data_set, load_paired
from attnflow_keras.data.images import load_images
from zoo.cli.app import app

NUMBERS = {"train": [2, 162_770], "validation": [162_771, 182_637], "test": [182_638]}


@pytest.fixture
def source(tmp_path):
    """``img_align_celeba`` with two, two and one images of the splits."""
    folder = tmp_path / "celeba" / "img_align_celeba"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for number in itertools.chain.from_iterable(NUMBERS.values()):
        small = Image.fromarray(rng.integers(0, 256, (11, 9, 3), dtype="uint8"))
        small.resize((178, 218)).save(folder / f"{number:06}.jpg")
    (folder / "list.txt").write_text("not an image")
    return folder


def test_splits():
    for split, numbers in NUMBERS.items():
        assert {celeba_split(number) for number in numbers} == {split}
    assert celeba_split(1) == "train"
    assert celeba_split(202_599) == "test"
    for bad in (0, 202_600, 1.0, True, "1"):
        with pytest.raises(ValueError, match="number must be an integer from 1 to 202599; got"):
            celeba_split(bad)


def test_prepared_pictures(source, tmp_path):
    seen = []
    target = tmp_path / "new" / "prepared"
    counts = prepare_celeba(source, target, progress=lambda done, of: seen.append((done, of)))
    assert counts == {"train": 2, "validation": 2, "test": 1}
    assert seen == [(done, 5) for done in range(1, 6)]
    for split, numbers in NUMBERS.items():
        images = load_celeba(target, split)
        assert images.shape == (len(numbers), 160, 160, 3)
        assert images.dtype == np.uint8
        assert not images.flags.writeable
        np.testing.assert_array_equal(np.load(target / split / "numbers.npy"), numbers)
        for image, number in zip(images, numbers, strict=True):
            picture = load_images(source / f"{number:06}.jpg")[0]
            np.testing.assert_array_equal(image, bicubic_resize(picture[20:198], 160, 160))
    np.testing.assert_array_equal(load_images(target / "test" / "images.npy"), images)
    assert [path.name for path in target.parent.iterdir()] == ["prepared"]


def test_the_folder_above_and_another_crop(source, tmp_path):
    for number in NUMBERS["train"] + NUMBERS["test"]:
        (source / f"{number:06}.jpg").unlink()
    target = tmp_path / "prepared"
    assert prepare_celeba(source.parent, target, size=37, crop=148) == {"validation": 2}
    assert [path.name for path in target.iterdir()] == ["validation"]
    picture = load_images(source / "162771.jpg")[0]
    expected = bicubic_resize(picture[35:183, 15:163], 37, 37)
    np.testing.assert_array_equal(load_celeba(target, "validation")[0], expected)
    with pytest.raises(FileNotFoundError, match=r"no file .*images.npy; prepare_celeba writes it"):
        load_celeba(target, "train")


def test_pictures_of_the_final_size_stay(tmp_path):
    folder = tmp_path / "aligned"
    folder.mkdir()
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype="uint8")
    for number, image in zip((11, 7), images, strict=True):
        Image.fromarray(image).save(folder / f"{number:06}.png")
    assert prepare_celeba(folder, tmp_path / "prepared", size=16, crop=None) == {"train": 2}
    np.testing.assert_array_equal(load_celeba(tmp_path / "prepared", "train"), images[::-1])
    with pytest.raises(ValueError, match=r"000007.png is 16x16, expected 32x32 \(height x width\)"):
        prepare_celeba(folder, tmp_path / "other", size=32, crop=None)
    with pytest.raises(ValueError, match=r"218x178 .*; crop=None \(--whole\) takes"):
        prepare_celeba(folder, tmp_path / "other", size=16)


def test_a_target_that_exists(source, tmp_path):
    target = tmp_path / "prepared"
    prepare_celeba(source, target, size=8)
    with pytest.raises(FileExistsError, match="prepared exists; pass overwrite=True"):
        prepare_celeba(source, target)
    assert load_celeba(target, "train").shape[1] == 8
    prepare_celeba(source, target, size=4, overwrite=True)
    assert load_celeba(target, "train").shape[1] == 4


def test_a_failure_leaves_nothing(source, tmp_path):
    last = source / "182638.jpg"
    last.write_bytes(last.read_bytes()[:300])
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ValueError, match=r"can't read .*182638.jpg as an image"):
        prepare_celeba(source, tmp_path / "prepared", size=8)
    assert sorted(tmp_path.iterdir()) == before


def test_source_errors(source, tmp_path):
    target = tmp_path / "prepared"
    with pytest.raises(FileNotFoundError, match="no folder .*nowhere"):
        prepare_celeba(tmp_path / "nowhere", target)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(ValueError, match="empty holds no image"):
        prepare_celeba(empty, target)
    Image.new("RGB", (178, 218)).save(source / "2.png")
    with pytest.raises(ValueError, match=r"000002.jpg and .*2.png have the same number"):
        prepare_celeba(source, target)
    (source / "2.png").rename(source / "202600.png")
    with pytest.raises(ValueError, match="202600.png must be named by its number in CelebA, 00000"):
        prepare_celeba(source, target)
    (source / "202600.png").rename(source / "face.png")
    with pytest.raises(ValueError, match="face.png must be named by its number"):
        prepare_celeba(source, target)
    for arguments, message in (
        ({"size": 0}, "size must be an integer of at least 1; got 0"),
        ({"crop": 179}, "crop must be an integer from 1 to 178; got 179"),
    ):
        with pytest.raises(ValueError, match=message):
            prepare_celeba(source, target, **arguments)
    assert not target.exists()


def test_loading_errors(tmp_path):
    with pytest.raises(ValueError, match="split must be one of"):
        load_celeba(tmp_path, "dev")
    path = tmp_path / "train" / "images.npy"
    path.parent.mkdir()
    np.save(path, np.zeros((2, 4, 4)))
    with pytest.raises(ValueError, match=r"must hold uint8 images .*; got float64 of shape"):
        load_celeba(tmp_path, "train")
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(ValueError, match=r"can't read .*images.npy"):
        load_celeba(tmp_path, "train")


def test_the_splits_cover_celeba():
    assert list(celeba.LAST) == ["train", "validation", "test"]
    assert celeba.LAST["test"] == 202_599


def test_the_command_and_the_pairs(source, tmp_path, monkeypatch):
    target = tmp_path / "data" / "celeba"
    command = ["prepare-celeba", str(source), "--out", str(target), "--size", "16"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0
    assert "2 for train, 2 for validation, 1 for test" in " ".join(result.stdout.split())
    monkeypatch.setenv("ATTNFLOW_DATA", str(tmp_path / "data"))
    pairs = load_paired("celeba_sr8", "validation")
    assert pairs["image"].shape == (2, 16, 16, 3)
    np.testing.assert_array_equal(pairs["condition"], downscale(np.array(pairs["image"]), 8))
    faces = load_celeba(target, "train")
    drawn = data_set("celeba_sr8").training()
    batch = drawn.draw(20, 0, 0)
    known = {image.tobytes() for face in faces for image in (face, face[:, ::-1])}
    assert {image.tobytes() for image in batch["image"]} == known
    assert drawn.fingerprint() == data_set("celeba_sr8").training().fingerprint()
    monkeypatch.delenv("ATTNFLOW_DATA")
    with pytest.raises(OSError, match="CelebA is read from local files only; set ATTNFLOW_DATA"):
        load_paired("celeba_sr8", "test")
