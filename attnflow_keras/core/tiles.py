"""Large images in overlapping tiles."""

from collections.abc import Callable
from typing import Any

import numpy as np

from attnflow_keras.core import noise
from attnflow_keras.core.checks import check_integer


def check_tiles(tile: int, overlap: int, step: int) -> None:
    """Raise ValueError unless tiles and their overlap are multiples of ``step`` that fit."""
    check_integer("tile", tile)
    check_integer("overlap", overlap, 0)
    if tile % step or overlap % step:
        raise ValueError(f"tile and overlap must be divisible by {step}; got {tile} and {overlap}")
    if 2 * overlap > tile:
        raise ValueError(f"overlap must be at most half of tile={tile}; got {overlap}")


def draw_in_tiles(
    flow: Any,
    picture: np.ndarray,
    temperature: float,
    seed: int | None,
    overlap: int,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Draw for one condition tile by tile, and blend the tiles where they overlap.

    Tiles read the latents of the whole image at their place, so that two of them agree in what they
    share but for what lies beyond their borders.

    Args:
        flow: a conditional flow, for conditions of a tile's size: ``SRFlow``, or a flow of photos
            given label maps, which are as large as the photos (scale 1).
        picture: low-resolution image, uint8 ``(h, w, c)``, or label map ``(h, w)``; at least as
            large as a tile.
        temperature: standard deviation of the latents.
        seed: their seed.
        overlap: how far neighbouring tiles overlap, in elements of the low-resolution image.
        progress: called with the number of tiles done and of all.

    Returns:
        uint8 ``(scale h, scale w, c)``.
    """
    height, width = picture.shape[:2]
    tall, wide = flow.condition_shape[:2]
    scale, channels = getattr(flow, "scale", 1), flow.image_shape[-1]
    rows, columns = starts(height, tall, overlap), starts(width, wide, overlap)
    shapes: list[tuple[int, ...]] = [
        (height * h // tall, width * w // wide, c) for h, w, c in flow.latent_shapes
    ]
    latents = noise.draw_latents(1, shapes, temperature, seed)
    total = np.zeros((height * scale, width * scale, channels))
    weights = np.zeros((*total.shape[:2], 1))
    window = ramp(tall, overlap, scale)[:, None] * ramp(wide, overlap, scale)[None]
    places = [(top, left) for top in rows for left in columns]
    for number, (top, left) in enumerate(places, start=1):
        part = [
            z[:, top * h // tall :, left * w // wide :][:, :h, :w]
            for z, (h, w, _) in zip(latents, flow.latent_shapes, strict=True)
        ]
        crop = picture[None, top : top + tall, left : left + wide]
        x = np.asarray(flow.decode(tuple(part), crop))[0]
        area = (
            slice(top * scale, (top + tall) * scale),
            slice(left * scale, (left + wide) * scale),
        )
        total[area] += x * window[..., None]
        weights[area] += window[..., None]
        if progress is not None:
            progress(number, len(places))
    if not np.isfinite(total).all():
        raise ValueError(
            f"drawing at temperature={temperature} gave pixels that are not finite: the "
            "temperature is too high, the condition is unlike those of the training data, or the "
            "weights are damaged"
        )
    return noise.quantize(total / weights)


def starts(side: int, tile: int, overlap: int) -> list[int]:
    """First elements of the tiles of one axis; the last one ends with the image."""
    if side <= tile:
        return [0]
    last = side - tile
    return [*range(0, last, tile - overlap), last]


def ramp(size: int, overlap: int, scale: int) -> np.ndarray:
    """Weights of a tile along one axis of the large image, rising at both ends."""
    length = size * scale
    edge = np.minimum(np.arange(length) + 0.5, length - np.arange(length) - 0.5)
    return np.minimum(1.0, edge / max(overlap * scale, 1))
