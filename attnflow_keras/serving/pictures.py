"""PNG images in requests and responses."""

import base64
import io
import math
from typing import Any

import numpy as np
from fastapi import Response
from fastapi.responses import JSONResponse
from PIL import Image

from attnflow_keras.data.pictures import (
    PictureError,
    TooLargeError,
    TransparencyError,
    WrongKindError,
    decode_picture,
)
from attnflow_keras.serving.limits import Limits, Refusal

# What a PNG may be, but for transparency, so that turning it into grey or RGB loses nothing. Label
# maps are grey.
MODES = {"L": ("L", "1"), "RGB": ("RGB", "L", "1", "P")}


def read_pngs(
    field: str,
    files: list[tuple[str, bytes]],
    shape: tuple[int, ...],
    limits: Limits,
    classes: bool = False,
    background: str | None = None,
) -> np.ndarray:
    """PNG files as uint8 ``(n, *shape)``.

    Args:
        field: what to call them in errors.
        files: their names and contents.
        shape: ``(h, w, c)`` that each must have.
        limits: their maximum number of pixels.
        classes: whether they are label maps, whose classes are the integers in the file.
        background: colour behind transparent pixels; None refuses images that have some.

    Raises:
        Refusal: one that is no PNG, or another one than was expected.
    """
    return np.stack(
        [
            _png(f"{field}[{i}]", content, shape, limits, classes, background)
            for i, (_, content) in enumerate(files)
        ]
    )


def _png(
    field: str,
    content: bytes,
    shape: tuple[int, ...],
    limits: Limits,
    classes: bool,
    background: str | None,
) -> np.ndarray:
    height, width, channels = shape
    mode = "L" if channels == 1 else "RGB"
    expected = f"a PNG of {width}x{height} pixels, {'grey' if mode == 'L' else 'RGB'}, 8 bits"
    try:
        # Its size is read first: a small file may hold an image that fills the memory.
        picture = decode_picture(io.BytesIO(content), field, ("PNG",), limits.pixels)
        image = picture.image
        kind = image.mode
        if kind in ("RGBA", "LA", "PA"):
            # Transparent pixels are looked for below; an opaque alpha channel says nothing.
            kind = "L" if not picture.coloured else kind.removesuffix("A")
        if image.size != (width, height) or kind not in MODES[mode]:
            got = f"{image.width}x{image.height} pixels, mode {image.mode}"
            raise Refusal(422, field, got, expected)
        return (picture.stored() if classes else picture.pixels(channels, background)).reshape(
            shape
        )
    except TooLargeError as error:
        most = f"at most {limits.pixels} pixels; {expected}"
        raise Refusal(413, field, error.reason, most) from error
    except WrongKindError as error:
        raise Refusal(415, field, f"{len(content)} bytes that are no PNG", expected) from error
    except TransparencyError as error:
        state = "state the colour behind transparent pixels (?background=white), or flatten it"
        more = "a label map must be opaque: flatten it" if classes else state
        got = "a PNG that has transparent pixels"
        raise Refusal(422, field, got, f"{expected}; {more}") from error
    except PictureError as error:
        raise Refusal(422, field, f"a PNG that can't be read: {error.reason}", expected) from error


def picture_response(images: np.ndarray, output: str, **more: Any) -> Response:
    """Images as one PNG with all of them row by row, or as JSON.

    Args:
        images: uint8 ``(n, h, w, c)``.
        output: ``"grid"``, or ``"list"`` for JSON with a base64 PNG of each.
        **more: further keys of the JSON.
    """
    if output == "list":
        encoded = [base64.b64encode(_encode(image)).decode() for image in images]
        return JSONResponse({"images": encoded, **more})
    n, height, width, channels = images.shape
    columns = math.ceil(math.sqrt(n))
    rows = math.ceil(n / columns)
    grid = np.zeros((rows * columns, height, width, channels), "uint8")
    grid[:n] = images
    grid = grid.reshape(rows, columns, height, width, channels).swapaxes(1, 2)
    sheet = grid.reshape(rows * height, columns * width, channels)
    return Response(_encode(sheet), media_type="image/png")


def _encode(image: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(content, format="PNG")
    return content.getvalue()
