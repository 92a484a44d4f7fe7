"""Large pictures in overlapping tiles."""

from collections.abc import Callable
from typing import Any

import numpy as np

from attnflow_keras import noise


def restore_in_tiles(
    flow: Any,
    picture: np.ndarray,
    temperature: float,
    seed: int | None,
    tile: int,
    overlap: int,
    progress: Callable[[int, int], None] | None = None,
) -> np.ndarray:
    """Restore one picture tile by tile, and blend the tiles where they overlap.

    Tiles read the latents of the whole picture at their place, so that two of them agree in what
    they share but for what lies beyond their borders.

    Args:
        flow: a flow with ``at_size``, such as ``SRFlow``.
        picture: small picture, uint8 ``(h, w, c)``.
        temperature: standard deviation of the latents.
        seed: their seed.
        tile: side of a tile of the small picture.
        overlap: how far neighbouring tiles overlap, in elements of the small picture.
        progress: called with the number of tiles done and of all.

    Returns:
        uint8 ``(scale h, scale w, c)``.
    """
    step = flow.side_multiple // flow.scale
    for name, value, least in (("tile", tile, 1), ("overlap", overlap, 0)):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name} must be an integer of at least {least}; got {value!r}")
    if tile % step or overlap % step:
        raise ValueError(f"tile and overlap must be divisible by {step}; got {tile} and {overlap}")
    if 2 * overlap > tile:
        raise ValueError(f"overlap must be at most half of tile={tile}; got {overlap}")
    height, width, channels = picture.shape
    missing = ((0, -height % step), (0, -width % step), (0, 0))
    padded = np.pad(picture, missing, mode="symmetric")
    rows, columns = (starts(side, tile, overlap) for side in padded.shape[:2])
    tall, wide = min(tile, padded.shape[0]), min(tile, padded.shape[1])
    small = flow.at_size(tall * flow.scale, wide * flow.scale)
    # Of the whole picture, for every map of latents: elements a small picture's element.
    ratios = [(shape[0] / tall, shape[1] / wide) for shape in small.latent_shapes]
    shapes: list[tuple[int, ...]] = [
        (round(padded.shape[0] * r), round(padded.shape[1] * c), shape[2])
        for (r, c), shape in zip(ratios, small.latent_shapes, strict=True)
    ]
    latents = noise.draw_latents(1, shapes, temperature, seed)
    total = np.zeros((padded.shape[0] * flow.scale, padded.shape[1] * flow.scale, channels))
    weights = np.zeros((*total.shape[:2], 1))
    window = ramp(tall, overlap, flow.scale)[:, None] * ramp(wide, overlap, flow.scale)[None]
    places = [(top, left) for top in rows for left in columns]
    for number, (top, left) in enumerate(places, start=1):
        part = [
            z[
                :,
                round(top * r) : round(top * r) + shape[0],
                round(left * c) : round(left * c) + shape[1],
            ]
            for z, (r, c), shape in zip(latents, ratios, small.latent_shapes, strict=True)
        ]
        crop = padded[None, top : top + tall, left : left + wide]
        x = np.asarray(small.decode(tuple(part), crop))[0]
        area = (
            slice(top * flow.scale, (top + tall) * flow.scale),
            slice(left * flow.scale, (left + wide) * flow.scale),
        )
        total[area] += x * window[..., None]
        weights[area] += window[..., None]
        if progress is not None:
            progress(number, len(places))
    whole = noise.quantize(total / weights)
    return whole[: height * flow.scale, : width * flow.scale]


def starts(side: int, tile: int, overlap: int) -> list[int]:
    """First elements of the tiles of one axis; the last one ends with the picture."""
    if side <= tile:
        return [0]
    last = side - tile
    return [*range(0, last, tile - overlap), last]


def ramp(size: int, overlap: int, scale: int) -> np.ndarray:
    """Weights of a tile's elements along one axis of the large picture, rising at both ends."""
    length = size * scale
    edge = np.minimum(np.arange(length) + 0.5, length - np.arange(length) - 0.5)
    return np.minimum(1.0, edge / max(overlap * scale, 1))
