"""The one reader of image files: orientation, transparency, limits, folders."""

import io
import os
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image

from attnflow_keras.data import load_images, load_picture, load_pictures, save_image
from attnflow_keras.data.picture_files import find_pictures
from attnflow_keras.data.pictures import PictureError, TransparencyError, as_colour, decode_picture
from tests.helpers import grey_png, png_chunk

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (6, 8, 3), dtype="uint8")
GREY = RNG.integers(0, 256, (6, 8), dtype="uint8")

ORIENTATION = 0x0112
TURNS = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: np.swapaxes(a, 0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.swapaxes(a[::-1, ::-1], 0, 1),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", TURNS)
def test_photos_are_turned_upright(tmp_path, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(COLOURS).save(tmp_path / "a.png", exif=exif)
    expected = TURNS[orientation](COLOURS)
    np.testing.assert_array_equal(load_picture(tmp_path / "a.png"), expected)
    np.testing.assert_array_equal(load_images(tmp_path)[0], expected)
    np.testing.assert_array_equal(load_pictures(tmp_path)[0], expected)


# --- transparency ------------------------------------------------------------------------


def drawn_in_alpha(ink, digit):
    """A digit that only the alpha channel holds, in every form that Pillow writes."""
    flat = np.full_like(digit, ink)
    yield "LA", Image.merge("LA", [Image.fromarray(flat), Image.fromarray(digit)])
    layers = [Image.fromarray(layer) for layer in (flat, flat, flat, digit)]
    yield "RGBA", Image.merge("RGBA", layers)


@pytest.mark.parametrize("ink", [0, 255])
def test_a_digit_in_the_alpha_channel(tmp_path, digits, ink):
    digit = digits[0, ..., 0]
    for name, image in drawn_in_alpha(ink, digit):
        path = tmp_path / f"{name}.png"
        image.save(path)
        with pytest.raises(ValueError, match=rf"{name}.png has transparent pixels; .*background"):
            load_images(path, (28, 28, 1))
        with pytest.raises(ValueError, match="has transparent pixels"):
            load_picture(path)
        behind = "black" if ink else "#ffffff"
        expected = digit if ink else 255 - digit
        with pytest.warns(UserWarning, match=f"laid 1 on the background {behind}"):
            found = load_images(path, (28, 28, 1), background=behind)
        np.testing.assert_array_equal(found[0, ..., 0], expected)
        np.testing.assert_array_equal(load_picture(path, behind)[..., 1], expected)


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_a_transparent_colour_is_transparency(tmp_path, mode):
    image = Image.fromarray(GREY // 100 * 100).convert(mode)
    first = image.getpixel((0, 0))
    image.save(tmp_path / "a.png", transparency=first)
    with pytest.raises(ValueError, match="has transparent pixels"):
        load_picture(tmp_path / "a.png")
    found = load_picture(tmp_path / "a.png", (9, 8, 7))
    assert found[0, 0].tolist() == [9, 8, 7]


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_transparent_grey_of_any_bits(bits):
    levels = np.arange(min(2**bits, 16), dtype="uint8")[None]
    whole = grey_png(levels, bits)
    start = whole.index(b"IDAT") - 4
    last = len(levels[0]) - 1
    # Bits above those of a channel don't count.
    for value in (last, last + 2**bits):
        chunk = png_chunk(b"tRNS", value.to_bytes(2, "big"))
        picture = decode_picture(io.BytesIO(whole[:start] + chunk + whole[start:]), "a.png")
        for channels in (1, 3):
            with pytest.raises(TransparencyError, match="has transparent pixels"):
                picture.pixels(channels)
        found = picture.pixels(1, (9, 9, 9))[0, :, 0]
        expected = levels[0] * (255 // (2**bits - 1))
        expected[last] = 9
        np.testing.assert_array_equal(found, expected)
        with pytest.raises(TransparencyError, match="a label map must be opaque"):
            picture.stored()


def test_an_opaque_alpha_channel_changes_nothing(tmp_path):
    Image.fromarray(COLOURS).convert("RGBA").save(tmp_path / "a.png")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(load_images(tmp_path / "a.png")[0], COLOURS)
        np.testing.assert_array_equal(load_images(tmp_path / "a.png", background="red")[0], COLOURS)


@pytest.mark.parametrize("colour", ["colourless", (1, 2), (1, 2, 300), 7, "#12345678", True])
def test_what_is_no_colour(tmp_path, colour):
    with pytest.raises(ValueError, match="background must be a colour: white, .*; got"):
        load_images(tmp_path, background=colour)
    assert as_colour("#102030") == as_colour([16, 32, 48]) == (16, 32, 48)


# --- limits ------------------------------------------------------------------------------


def bomb(side):
    """A small PNG whose header says side x side pixels."""
    content = io.BytesIO()
    Image.new("L", (1, 1)).save(content, format="PNG")
    whole = content.getvalue()
    size = side.to_bytes(4, "big")
    return whole[:8] + png_chunk(b"IHDR", size + size + whole[24:29]) + whole[33:]


def text_bomb():
    content = io.BytesIO()
    Image.new("L", (1, 1)).save(content, format="PNG")
    chunk = png_chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(4_000_000)))
    return content.getvalue()[:33] + chunk + content.getvalue()[33:]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bomb(20_000), "a.png is too large an image: .*400000000 pixels"),
        (text_bomb(), "can't read .*a.png as an image: .*too large"),
        (b"", "can't read .*a.png as an image: it is no PNG, .*BMP, or damaged at its start"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "a.png as an image: it is no PNG"),
    ],
)
def test_limits_name_the_file(tmp_path, content, message):
    path = tmp_path / "a.png"
    path.write_bytes(content)
    for read in (load_picture, load_images, load_pictures):
        for source in (path,) if read is load_picture else (path, tmp_path):
            with pytest.raises(PictureError, match=message) as caught:
                read(source)
            assert "\n" not in str(caught.value)


def test_pillow_s_warnings_name_the_file(tmp_path, monkeypatch):
    exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0"
    Image.fromarray(COLOURS).save(tmp_path / "a.jpg", exif=exif)
    with pytest.warns(UserWarning, match=r"a.jpg: Corrupt EXIF data"):
        assert load_picture(tmp_path / "a.jpg").shape == COLOURS.shape
    # A high-resolution image that is read is no news.
    save_image(tmp_path / "large.png", COLOURS)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_picture(tmp_path / "large.png")


def test_pixels_are_counted_before_they_are_decoded():
    with pytest.raises(ValueError, match="upload is too large an image: 9000x9000 pixels"):
        decode_picture(io.BytesIO(bomb(9000)), "upload", most_pixels=1000)


def test_what_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    for read in (load_picture, load_images, load_pictures):
        with pytest.raises(ValueError, match="a.png is no regular file"):
            read(tmp_path / "a.png")
    with pytest.raises(ValueError, match="a.png is no regular file"):
        load_images(tmp_path)


# --- folders -----------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path, digits):
    """Three images, and what programs leave beside them."""
    folder = tmp_path / "my.png"
    save_image(folder / "0.png", digits[0])
    save_image(folder / "more.png" / "1.png", digits[1])
    save_image(tmp_path / "elsewhere" / "2.png", digits[2])
    (folder / "zlinked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    save_image(folder / ".ipynb_checkpoints" / "0-checkpoint.png", digits[0])
    for name in ("._0.png", "__MACOSX/._0.png", "more.png/.hidden.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"resource fork")
    (folder / "Thumbs.db").touch()
    (folder / "more.png" / "round").symlink_to(folder, target_is_directory=True)
    return folder


def test_a_folder_holds_what_a_person_sees(folder, digits):
    said = (
        r"my.png: skipped 4 hidden, skipped 1 not named .png, .jpg, .jpeg, .webp, skipped 1 linked "
        r"to a folder above$"
    )
    with pytest.warns(UserWarning, match=said) as caught:
        found = load_images(folder, (28, 28, 1))
    np.testing.assert_array_equal(found, digits[:3])
    assert len(caught) == 1
    with pytest.warns(UserWarning, match="skipped 4 hidden"):
        assert [p.name for p in find_pictures(folder)] == ["0.png", "1.png", "2.png"]


def test_a_clean_folder_says_nothing(tmp_path, digits):
    save_image(tmp_path / "0.png", digits[0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_images(tmp_path)


def test_a_folder_named_like_an_array(tmp_path, digits):
    save_image(tmp_path / "mine.npy" / "0.png", digits[0])
    np.testing.assert_array_equal(load_images(tmp_path / "mine.npy", (28, 28, 1)), digits[:1])
    np.save(tmp_path / "a.npy", digits[:2])
    (tmp_path / "a.npy").rename(tmp_path / "A.NPY")
    np.testing.assert_array_equal(load_images(tmp_path / "A.NPY", (28, 28, 1)), digits[:2])


def test_a_folder_without_pictures(tmp_path):
    (tmp_path / "._0.png").touch()
    (tmp_path / "notes.txt").touch()
    message = r"holds no image \(.png, .jpg, .jpeg, .webp\); .*skipped 1 hidden"
    for read in (load_images, load_pictures, find_pictures):
        with pytest.raises(ValueError, match=message):
            read(tmp_path)


def test_a_folder_that_cannot_be_read(folder, monkeypatch):
    scandir = os.scandir

    def denied(path):
        if path.name == "more.png":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("os.scandir", denied)
    with pytest.raises(PermissionError, match=r"can't read folder .*more.png: Permission denied"):
        load_images(folder)


def test_a_link_to_nothing(folder):
    (folder / "4.png").symlink_to("nowhere.png")
    with pytest.raises(FileNotFoundError, match=r"no file .*4.png"):
        load_images(folder)


# --- resizing ----------------------------------------------------------------------------


def test_resizing_says_what_it_did(tmp_path, digits):
    save_image(tmp_path / "0.png", digits[0])
    save_image(tmp_path / "1.png", digits[1, :14, :14])
    save_image(tmp_path / "2.png", COLOURS)
    said = (
        r": resized 2 to 28x28 \(bicubic\), turned 1 from colour to grey, stretched 1 of another "
        r"aspect ratio$"
    )
    with pytest.warns(UserWarning, match=said) as caught:
        load_images(tmp_path, (28, 28, 1), resize=True)
    assert len(caught) == 1


def test_webp_is_read_as_other_pictures_are(tmp_path):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (2, 6, 8, 3), dtype="uint8")
    save_image(tmp_path / "a.webp", frames[0])
    first, second = (Image.fromarray(frame) for frame in frames)
    # Of a moving image the first frame, as of a GIF.
    first.save(tmp_path / "b.webp", save_all=True, append_images=[second], lossless=True)
    found = load_images(tmp_path, (6, 8, 3))
    np.testing.assert_array_equal(found, np.stack([frames[0], frames[0]]))
    np.testing.assert_array_equal(load_images(tmp_path / "a.webp"), frames[:1])
    np.testing.assert_array_equal(load_picture(tmp_path / "b.webp"), frames[0])
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    first.save(tmp_path / "turned.webp", lossless=True, exif=exif)
    np.testing.assert_array_equal(load_picture(tmp_path / "turned.webp"), np.rot90(frames[0], -1))
    clear = first.convert("RGBA")
    clear.putpixel((0, 0), (1, 2, 3, 0))
    clear.save(tmp_path / "clear.webp", lossless=True)
    with pytest.raises(ValueError, match=r"clear.webp has transparent pixels"):
        load_picture(tmp_path / "clear.webp")
    assert load_picture(tmp_path / "clear.webp", "white")[0, 0].tolist() == [255, 255, 255]
