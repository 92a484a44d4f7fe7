"""The user's own label maps."""

import numpy as np
import pytest
from PIL import Image

from attnflow_keras.data import (
    as_classes,
    load_label_map,
    load_labelled_folder,
    load_picture,
    save_image,
)
from attnflow_keras.data.picture_files import Unreadable
from tests.helpers import grey_png

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
    alpha = np.dstack([COLOURS, np.full((6, 8), 255, "uint8")])
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    for name in ("colours", "alpha"):
        np.testing.assert_array_equal(load_label_map(tmp_path / f"{name}.png"), COLOURS)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_classes_are_the_integers_in_the_file_whatever_its_bits(tmp_path, bits):
    classes = np.minimum(CLASSES, min(2**bits, 256) - 1)
    (tmp_path / "map.png").write_bytes(grey_png(classes, bits))
    np.testing.assert_array_equal(load_label_map(tmp_path / "map.png"), classes)
    if bits <= 8:
        # The same file as a photo shows its greys.
        photo = load_picture(tmp_path / "map.png")[..., 0]
        np.testing.assert_array_equal(photo, classes * (255 // (2**bits - 1)))


def test_label_maps_must_be_opaque(tmp_path):
    grey = Image.fromarray(CLASSES).convert("LA")
    grey.save(tmp_path / "grey.png")
    np.testing.assert_array_equal(load_label_map(tmp_path / "grey.png"), CLASSES)
    for image in (grey, Image.fromarray(COLOURS).convert("RGBA")):
        image.putpixel((2, 3), (*image.getpixel((2, 3))[:-1], 99))
        image.save(tmp_path / "clear.png")
        with pytest.raises(ValueError, match=r"clear.png has transparent pixels; a label map must"):
            load_label_map(tmp_path / "clear.png")


@pytest.mark.parametrize("mode", ["P", "L", "1", "RGB", "I;16"])
def test_one_transparent_colour_is_transparency(tmp_path, mode):
    """By the tRNS chunk of a PNG, without an alpha channel."""
    arrays = {"1": CLASSES > 1, "RGB": COLOURS, "I;16": CLASSES.astype("uint16")}
    image = Image.fromarray(arrays.get(mode, CLASSES))
    colour = {"1": 0, "RGB": tuple(COLOURS[2, 3].tolist())}.get(mode, int(CLASSES[2, 3]))
    if mode == "P":
        image = Image.fromarray(CLASSES, "P")
        image.putpalette([value for i in range(6) for value in (i, 200, 7)])
    image.save(tmp_path / "clear.png", transparency=colour)
    with pytest.raises(ValueError, match=r"clear.png has transparent pixels; a label map must"):
        load_label_map(tmp_path / "clear.png")
    unused = {"RGB": (1, 2, 3), "1": None}.get(mode, 5)
    if unused is not None:
        image.save(tmp_path / "opaque.png", transparency=unused)
        expected = arrays.get(mode, CLASSES)
        np.testing.assert_array_equal(load_label_map(tmp_path / "opaque.png"), expected)


def test_webp_holds_colours(tmp_path):
    save_image(tmp_path / "map.webp", COLOURS)
    np.testing.assert_array_equal(load_label_map(tmp_path / "map.webp"), COLOURS)


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
    with pytest.raises(ValueError, match="expected .png, .jpg, .jpeg, .webp; got '.tif'"):
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


def test_photos_and_label_maps_are_turned_alike(folders):
    """Square ones would be misaligned without an error."""
    for folder, array in zip(folders, (COLOURS[:, :6], CLASSES[:, :6]), strict=True):
        exif = Image.Exif()
        exif[0x0112] = 6  # to be turned clockwise
        Image.fromarray(array).save(folder / "1.png", exif=exif)
        for name in ("0.png", "2.png"):
            (folder / name).unlink()
    pairs = load_labelled_folder(*folders, (6, 6, 3))
    np.testing.assert_array_equal(pairs["image"][0], np.rot90(COLOURS[:, :6], -1))
    np.testing.assert_array_equal(pairs["condition"][0], np.rot90(CLASSES[:, :6], -1))


def test_transparent_photos_need_a_background(folders):
    photo = Image.fromarray(COLOURS).convert("RGBA")
    photo.putpixel((0, 0), (1, 2, 3, 0))
    photo.save(folders[0] / "1.png")
    with pytest.raises(ValueError, match=r"1.png has transparent pixels; .*--background white"):
        load_labelled_folder(*folders, (6, 8, 3))
    with pytest.warns(UserWarning, match="photos: laid 1 on the background white"):
        pairs = load_labelled_folder(*folders, (6, 8, 3), background="white")
    assert pairs["image"][1, 0, 0].tolist() == [255, 255, 255]


def test_a_pair_that_cannot_be_read_is_left_out_where_that_is_asked_for(folders):
    (folders[0] / "0.png").write_bytes(b"no image")
    (folders[1] / "2.png").write_bytes((folders[1] / "1.png").read_bytes()[:50])
    with pytest.raises(ValueError, match="can't read .*0.png as an image"):
        load_labelled_folder(*folders, (6, 8, 3))
    unreadable = Unreadable()
    pairs = load_labelled_folder(*folders, (6, 8, 3), unreadable=unreadable)
    np.testing.assert_array_equal(pairs["image"], np.roll(COLOURS, 1, axis=0)[None])
    np.testing.assert_array_equal(pairs["condition"], np.roll(CLASSES, 1, axis=0)[None])
    assert list(unreadable.errors) == [folders[0] / "0.png", folders[0] / "2.png"]
    (folders[0] / "1.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="can't read .*0.png as an image"):
        load_labelled_folder(*folders, (6, 8, 3), unreadable=Unreadable())


def test_resizing_makes_no_new_classes(folders):
    with pytest.raises(
        ValueError, match=r"0.png is 8x6 \(width x height\), expected 12x12; .*--resize"
    ):
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


def test_an_indexed_picture_in_colours_of_the_palette_is_read_by_them(tmp_path):
    palette = np.array([(0, 0, 120), (30, 160, 40), (230, 200, 90), (9, 9, 9), (0, 0, 0)], "uint8")
    # Its palette numbers the same colours in another order.
    order = np.array([3, 1, 4, 0, 2])
    indexed = Image.fromarray(np.argsort(order).astype("uint8")[CLASSES], "P")
    indexed.putpalette(palette[order].reshape(-1).tolist())
    indexed.save(tmp_path / "indexed.png")
    np.testing.assert_array_equal(load_label_map(tmp_path / "indexed.png", palette), CLASSES)
    # A palette of other colours says nothing: the indices are the classes.
    other = load_label_map(tmp_path / "indexed.png", palette[:3])
    np.testing.assert_array_equal(other, np.argsort(order)[CLASSES])


def test_a_picture_of_one_bit_holds_two_classes(tmp_path):
    Image.fromarray(CLASSES > 2).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(load_label_map(tmp_path / "mask.png"), CLASSES > 2)


def test_a_palette_makes_classes_of_a_folder(folders):
    palette = RNG.permutation(256)[:15].reshape(5, 3).astype("uint8")
    save_image(folders[1] / "1.png", palette[np.roll(CLASSES, 1, axis=0)])
    pairs = load_labelled_folder(*folders, (6, 8, 3), palette=palette)
    np.testing.assert_array_equal(pairs["condition"][1], np.roll(CLASSES, 1, axis=0))
    with pytest.raises(ValueError, match=r"0.png holds class 4; the palette has 4, 0 to 3"):
        load_labelled_folder(*folders, (6, 8, 3), palette=palette[:4])
    save_image(folders[1] / "1.png", COLOURS)
    with pytest.raises(ValueError, match=r"1.png must hold colours of the palette; 48 of 48"):
        load_labelled_folder(*folders, (6, 8, 3), palette=palette)


def test_classes_of_colours():
    palette = RNG.permutation(256)[:15].reshape(5, 3).astype("uint8")
    colours = palette[CLASSES]
    np.testing.assert_array_equal(as_classes(colours, palette.tolist()), CLASSES)
    colours[2, 3] = (1, 2, 3)
    nearest = np.square(palette.astype("int64") - (1, 2, 3)).sum(axis=1).argmin()
    with pytest.raises(
        ValueError,
        match=rf"1 of 48 pixels have others, the first \(1, 2, 3\) at \(2, 3\).*{nearest}$",
    ):
        as_classes(colours, palette)
    expected = CLASSES.copy()
    expected[2, 3] = nearest
    np.testing.assert_array_equal(as_classes(colours, palette, nearest=True), expected)
    table = np.array([(0, 0, 0), (90, 0, 0), (0, 90, 0), (0, 0, 90), (200, 200, 200)])
    noisy = np.clip(table[CLASSES] + RNG.integers(-20, 21, (6, 8, 3)), 0, 255).astype("uint8")
    np.testing.assert_array_equal(as_classes(noisy, table, nearest=True), CLASSES)
    with pytest.raises(ValueError, match=r"mask must be uint8 of shape \(..., 3\); got float64"):
        as_classes(colours / 2, palette, name="mask")
