"""Reading of all images: users' files and bytes sent by clients.

What an image means is settled here, for photos and label maps alike: EXIF orientation is applied,
transparency is laid on a stated background or refused, label maps are the stored integers, and
whatever Pillow makes of a damaged file or one that is too large is one error that names the file.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from attnflow_keras.core.checks import is_integer

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
# By content, since browsers save WebP and GIF under other names too; of a moving image the first
# frame. None of these starts another program, as Pillow's EPS does, or writes to the terminal, as
# its TIFF does.
FORMATS = ("PNG", "JPEG", "GIF", "WEBP", "BMP")
LABEL_FORMATS = ("PNG", "JPEG", "WEBP")

MODES = {1: "L", 3: "RGB"}
# Other ways to write colours, and what is made of them.
WRITTEN = {"CMYK": "RGB", "YCbCr": "RGB", "HSV": "RGB", "RGBX": "RGB", "RGBa": "RGBA", "La": "LA"}
GREYS = (1, 2, 4, 8, 16)  # the bits of a grey PNG
HEADER = 26  # bytes of a PNG up to the bits of a channel and the kind of colour
REASON = 200  # characters of Pillow's own words
TOO_DEEP = "it has more than 8 bits per channel; convert it to 8 bits"


class PictureError(ValueError):
    """An image that can't be read; the message has its name, ``reason`` does not."""

    def __init__(self, name: Any, reason: str) -> None:
        super().__init__(f"can't read {name} as an image: {reason}")
        self.reason = reason


class WrongKindError(PictureError):
    """A file of another kind."""


class TooLargeError(PictureError):
    """An image of too many pixels."""

    def __init__(self, name: Any, reason: str) -> None:
        super().__init__(name, reason)
        self.args = (f"{name} is too large an image: {reason}",)


class TransparencyError(PictureError):
    """An image with transparent pixels, and no background colour."""

    def __init__(self, name: Any, reason: str) -> None:
        super().__init__(name, reason)
        self.args = (f"{name} {reason}",)


class Picture(NamedTuple):
    """A decoded image, with its EXIF orientation applied.

    Attributes:
        name: its name in errors.
        image: Pillow's image, all of whose pixels are read, of mode 1, L, LA, P, PA, RGB, RGBA, or
            I or F and what starts with them, for more than 8 bits.
        depth: bits per channel in the file, where it is a PNG; otherwise 8.
    """

    name: str
    image: Image.Image
    depth: int

    @property
    def transparent(self) -> bool:
        """Whether some pixel is not opaque."""
        if not self.image.has_transparency_data:
            return False
        if self.image.mode.startswith(("I", "F")):
            colour = self.image.info["transparency"]
            return bool((np.asarray(self.image) == colour).any())
        image = self.image if "A" in self.image.mode else self.image.convert("RGBA")
        low, _ = image.getchannel("A").getextrema()
        return bool(low != 255)

    @property
    def coloured(self) -> bool:
        """Whether some pixel is not grey."""
        if self.image.mode in ("1", "L", "LA"):
            return False
        red, green, blue = self.image.convert("RGBA").convert("RGB").split()
        return red.tobytes() != green.tobytes() or green.tobytes() != blue.tobytes()

    def pixels(self, channels: int = 3, background: Any = None) -> np.ndarray:
        """The image in grey or RGB, uint8 ``(h, w, channels)``.

        Args:
            channels: 1 or 3.
            background: the colour behind transparent pixels, see :func:`as_colour`; None refuses
                images that have some.

        Raises:
            PictureError: more than 8 bits per channel, or transparent pixels and no background.
        """
        from PIL import Image

        image = self.image
        if self.depth > 8 or image.mode.startswith(("I", "F")):
            raise PictureError(self.name, TOO_DEEP)
        if self.transparent:
            if background is None:
                raise TransparencyError(
                    self.name,
                    "has transparent pixels; state the colour behind them (background='white', "
                    "--background white), or flatten it",
                )
            behind = Image.new("RGBA", image.size, (*as_colour(background), 255))
            image = Image.alpha_composite(behind, image.convert("RGBA"))
        elif image.has_transparency_data:
            # By way of RGBA: Pillow warns of some indexed images otherwise.
            image = image.convert("RGBA")
        array = np.asarray(image.convert(MODES[channels]))
        return array.reshape(*array.shape[:2], channels)

    def stored(self, colours: bool = False) -> np.ndarray:
        """What a label map holds: integers ``(h, w)``, or colours, uint8 ``(h, w, 3)``.

        Grey, indexed and one-bit images hold integers, as they are in the file: Pillow spreads grey
        of 2 and 4 bits over 0 to 255, which is undone. An opaque alpha channel is dropped.

        Args:
            colours: read an indexed image as its colours.

        Raises:
            PictureError: colours, or grey with an alpha channel, of more than 8 bits; numbers that
                are no integers.
            TransparencyError: transparent pixels, in whatever mode: classes can't be blended.
        """
        image = self.image
        if image.mode == "F":
            raise PictureError(self.name, "a label map must hold integers")
        if self.depth > 8 and not image.mode.startswith("I"):
            # Pillow has cut them to 8: two classes could become one.
            raise PictureError(self.name, TOO_DEEP)
        if self.transparent:
            raise TransparencyError(
                self.name, "has transparent pixels; a label map must be opaque: flatten it"
            )
        if image.mode == "P":
            if not colours:
                return np.asarray(image)
            return np.asarray(image.convert("RGBA"))[..., :3]
        if image.mode == "LA":
            image = image.getchannel("L")
        if image.mode == "1":
            return np.asarray(image).astype("uint8")
        if image.mode == "L":
            return np.asarray(image) // (255 // (2**self.depth - 1))
        if image.mode.startswith("I"):
            return np.asarray(image)
        return np.asarray(image.convert("RGB"))


def open_picture(path: str | Path, formats: tuple[str, ...] = FORMATS) -> Picture:
    """Read one of the user's files.

    Args:
        path: a PNG, JPEG or WebP file by its name.
        formats: Pillow's names of what the content may be.

    Raises:
        FileNotFoundError: no such file.
        IsADirectoryError: a folder.
        ValueError: a file of another kind, a damaged one, or one of more pixels than Pillow reads
            (some 179 million).
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; give one image of it")
    if not path.exists():
        raise FileNotFoundError(f"no file {path}")
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{path}: expected {', '.join(SUFFIXES)}; got {path.suffix!r}")
    if not path.is_file():
        raise ValueError(f"{path} is no regular file")
    try:
        file = path.open("rb")
    except OSError as error:
        raise PictureError(path, error.strerror or str(error)) from error
    with file:
        return decode_picture(file, path, formats)


def decode_picture(
    file: BinaryIO,
    name: Any,
    formats: tuple[str, ...] = FORMATS,
    most_pixels: int | None = None,
) -> Picture:
    """Decode an image from a file or from bytes, and apply its EXIF orientation.

    Pillow's warnings, such as those of damaged EXIF data, are passed on with the name.

    Args:
        file: the content, open for reading, with ``seek``.
        name: its name in errors.
        formats: Pillow's names of what the content may be.
        most_pixels: pixels that the image may have; more are refused before any is decoded.

    Raises:
        WrongKindError: content of no such format.
        TooLargeError: more pixels than that, or than Pillow reads.
        PictureError: whatever else is wrong with the content.
    """
    from PIL import Image

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # it is read
        picture = _decoded(file, name, formats, most_pixels)
    # Those of Pillow don't name the file.
    for told in caught:
        if issubclass(told.category, UserWarning):
            warnings.warn(f"{name}: {one_line(told.message)}", stacklevel=2)
    return picture


def _decoded(
    file: BinaryIO, name: Any, formats: tuple[str, ...], most_pixels: int | None
) -> Picture:
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        depth = _png_depth(file.read(HEADER))
        file.seek(0)
        with Image.open(file, formats=formats) as opened:
            if most_pixels is not None and opened.width * opened.height > most_pixels:
                raise TooLargeError(name, f"{opened.width}x{opened.height} pixels")
            if not opened.width * opened.height:
                raise PictureError(name, "it has no pixels")
            upright = ImageOps.exif_transpose(opened)
        _scale_transparent_colour(upright, depth)
        if upright.mode in WRITTEN:
            upright = upright.convert(WRITTEN[upright.mode])
        return Picture(str(name), upright, depth)
    except PictureError:
        raise
    except Image.DecompressionBombError as error:
        raise TooLargeError(name, one_line(error)) from error
    except UnidentifiedImageError as error:
        known = f"{', '.join(formats[:-1])} or {formats[-1]}" if formats[1:] else formats[0]
        raise WrongKindError(name, f"it is no {known}, or damaged at its start") from error
    except Exception as error:  # Pillow has many kinds for a damaged file.
        raise PictureError(name, one_line(error)) from error


def as_colour(background: Any) -> tuple[int, int, int]:
    """A colour as red, green and blue, 0 to 255.

    Args:
        background: a name, such as ``"white"``; ``"#rrggbb"``; or three integers.

    Raises:
        ValueError: anything else.
    """
    from PIL import ImageColor

    found: tuple[Any, ...]
    if isinstance(background, str):
        try:
            found = ImageColor.getrgb(background)
        except ValueError:
            found = ()
    else:
        found = tuple(background) if isinstance(background, list | tuple | np.ndarray) else ()
    whole = all(is_integer(level) and 0 <= level <= 255 for level in found)
    if len(found) != 3 or not whole:
        raise ValueError(
            "background must be a colour: white, #rrggbb, or (red, green, blue) of 0 to 255; got "
            f"{background!r}"
        )
    return int(found[0]), int(found[1]), int(found[2])


def _png_depth(header: bytes) -> int:
    """Bits a channel of a PNG, by its first chunk."""
    if not header.startswith(b"\x89PNG\r\n\x1a\n") or len(header) < HEADER:
        return 8
    return header[24] if header[24] in GREYS else 8


def _scale_transparent_colour(image: Image.Image, depth: int) -> None:
    """Let the one transparent colour be written as the pixels are.

    Pillow spreads grey of fewer than 8 bits over 0 to 255, but not the grey that a PNG names as
    transparent. Of that number only the bits of a channel count.
    """
    colour = image.info.get("transparency")
    most = 2**depth - 1
    if depth > 8 or image.mode not in ("1", "L", "RGB"):
        return
    if isinstance(colour, int):
        image.info["transparency"] = (colour & most) * (255 // most)
    elif isinstance(colour, tuple):
        image.info["transparency"] = tuple(level & most for level in colour)


def one_line(error: BaseException | str) -> str:
    """What an error or warning says, in one line of at most 200 characters."""
    text = " ".join(str(error).split())
    return text[:REASON] or type(error).__name__
