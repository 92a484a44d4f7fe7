"""Whatever is in a file of an image's name, the answer is an image or one line that names it."""

import io
import time
import warnings
import zlib

import numpy as np
import pytest
from PIL import Image, features

from attnflow_keras.data import load_images, load_label_map, load_picture
from tests.helpers import grey_png, png_chunk

FORMATS = ("PNG", "JPEG", "GIF", "BMP", "TIFF", *(("WEBP",) if features.check("webp") else ()))
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV", "I")
MODES += ("I;16", "F")
SIDES = (9, 7)
SECONDS = 5.0
MUTATIONS = 1500

CODES = np.arange(63, dtype="uint8").reshape(SIDES[1], SIDES[0])


def whole_files():
    """An image of every mode in every format that Pillow writes it in, with and without EXIF."""
    noise = np.random.default_rng(0).integers(0, 256, (*SIDES[::-1], 4), dtype="uint8")
    exif = Image.Exif()
    exif[0x0112] = 6
    for mode in MODES:
        try:
            source = noise if mode in ("RGBA", "RGBX", "CMYK") else noise[..., :3]
            made = Image.fromarray(source).convert(mode if mode != "PA" else "P").convert(mode)
        except ValueError:
            made = Image.new(mode, SIDES)
        for form in FORMATS:
            for options in ({}, {"exif": exif}):
                content = io.BytesIO()
                try:
                    made.save(content, format=form, **options)
                except (OSError, ValueError, KeyError):
                    continue
                yield f"{mode} {form}{' turned' if options else ''}", content.getvalue()
    for bits in (1, 2, 4, 8, 16):
        yield f"grey {bits}", grey_png(CODES % min(2**bits, 255), bits)


WHOLE = dict(whole_files())


def mutated(rng, content):
    """A file with bytes changed, cut out, put in, or of another file."""
    changed = bytearray(content)
    for _ in range(rng.integers(1, 6)):
        place = int(rng.integers(0, len(changed) + 1))
        length = int(rng.integers(1, 9))
        kind = rng.integers(0, 5)
        if kind == 0:
            changed[place : place + length] = rng.bytes(length)
        elif kind == 1:
            del changed[place : place + length]
        elif kind == 2:
            changed[place:place] = rng.bytes(length)
        elif kind == 3:
            del changed[place:]
        else:
            # Numbers of the header: sizes and depths.
            place = int(rng.integers(0, min(60, len(changed)) + 1))
            changed[place : place + 1] = bytes([int(rng.choice([0, 1, 2, 127, 128, 255]))])
    if changed[:4] == b"\x89PNG" and rng.random() < 0.7:
        changed = with_check_sums(changed)
    return bytes(changed)


def with_check_sums(content):
    """A PNG whose chunks have right check sums again, so that what is in them is looked at."""
    place = 8
    while place + 12 <= len(content):
        length = int.from_bytes(content[place : place + 4], "big")
        end = place + 8 + length
        content[end : end + 4] = zlib.crc32(content[place + 4 : end]).to_bytes(4, "big")
        place = end + 4
    return content


def answer(read, path):
    """True for an image; an error must be one line with the file's name."""
    said = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = read(path)
        except ValueError as error:
            said = str(error)
    if said is None:
        assert found.dtype == np.uint8
        assert found.size
        return True
    assert str(path) in said
    assert "\n" not in said
    assert len(said) < len(str(path)) + 300
    return False


def read_grey(path):
    """As the commands read images for an entry of digits."""
    return load_images(path, (*SIDES, 1), resize=True, background="black")


READERS = (load_picture, load_label_map, load_images, read_grey)


@pytest.mark.parametrize("name", WHOLE)
def test_whole_files(tmp_path, name):
    path = tmp_path / "a.png"
    path.write_bytes(WHOLE[name])
    readable = answer(lambda p: load_picture(p, "white"), path)
    # GIF and WebP hold no more than 8 bits; TIFF is refused.
    deep = name.split()[0] in ("I", "I;16") and "PNG" in name
    assert readable == (not deep and name != "grey 16" and "TIFF" not in name)
    for read in READERS:
        answer(read, path)


def test_mutated_files(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "a.png"
    names = list(WHOLE)
    until = time.monotonic() + SECONDS
    read = 0
    for i in range(MUTATIONS):
        if time.monotonic() > until:
            break
        name = names[i % len(names)]
        path.write_bytes(mutated(rng, WHOLE[name]))
        for reader in READERS:
            read += answer(reader, path)
    assert i > 50
    assert read  # some are images still


def test_mutated_arrays(tmp_path):
    """The same of .npy and .npz files."""
    rng = np.random.default_rng(0)
    for suffix, save in ((".npy", np.save), (".npz", np.savez), (".NPZ", np.savez_compressed)):
        whole = io.BytesIO()
        save(whole, CODES[None])
        path = tmp_path / f"a{suffix}"
        for _ in range(150):
            path.write_bytes(mutated(rng, whole.getvalue()))
            answer(load_images, path)


def png(*chunks):
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)


def header(width, height, bits=8, kind=0):
    sides = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    return b"IHDR", sides + bytes([bits, kind, 0, 0, 0])


END = (b"IEND", b"")
ONE = (b"IDAT", zlib.compress(b"\0\0"))

# Each of these once ended in a traceback, or in an error without the file's name.
FAILED = {
    "too many pixels": png(header(20_000, 20_000), ONE, END),
    "a large text": png(header(1, 1), (b"zTXt", b"a\0\0" + zlib.compress(bytes(4_000_000))), ONE),
    "no pixels": png(header(0, 1), ONE, END),
}


@pytest.mark.parametrize(("kind", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_pictures_of_16_bits_are_refused(tmp_path, kind, channels):
    """Pillow keeps 8 of them, save of grey: two classes could become one."""
    path = tmp_path / "a.png"
    pixel = (b"IDAT", zlib.compress(b"\0" + b"\1\7\2\7\3\7\xff\xff"[-2 * channels :]))
    path.write_bytes(png(header(1, 1, 16, kind), pixel, END))
    for read in READERS:
        with pytest.raises(ValueError, match=r"a.png") as caught:
            read(path)
        if kind or read is not load_label_map:  # whose grey holds integers, here too large a one
            assert "it has more than 8 bits per channel; convert it to 8" in str(caught.value)


@pytest.mark.parametrize("name", FAILED)
def test_what_once_failed(tmp_path, name):
    path = tmp_path / "a.png"
    path.write_bytes(FAILED[name])
    for read in READERS:
        assert not answer(read, path)
