"""High-resolution images in overlapping tiles."""

from collections.abc import Callable
from typing import Any

import numpy as np

from attnflow_keras.core import noise
from attnflow_keras.core.checks import check_integer

Progress = Callable[[int, int], None]

# Of a low-resolution image, unless the user gives others.
TILE, OVERLAP = 32, 4


def check_tiles(tile: int, overlap: int, step: int) -> None:
    """Raise ValueError unless tiles and their overlap are multiples of ``step`` that fit."""
    check_integer("tile", tile)
    check_integer("overlap", overlap, 0)
    if tile % step or overlap % step:
        raise ValueError(f"tile and overlap must be divisible by {step}; got {tile} and {overlap}")
    if 2 * overlap > tile:
        raise ValueError(f"overlap must be at most half of tile={tile}; got {overlap}")


def draw(
    model: Any,
    condition: np.ndarray,
    n: int,
    temperature: float,
    seed: int | None,
    tile: int | None,
    overlap: int | None,
    progress: Progress | None,
) -> np.ndarray:
    """Images for one condition of any size, at once where the model can, else in tiles.

    Args:
        model: a conditional ``ImageModel``, whose condition is a map.
        condition: one low-resolution image or label map, ``(h, w)`` or ``(h, w, c)``.
        n: number of images.
        temperature: standard deviation of the latents.
        seed: seed of the latents; image i in tiles has ``seed + i``.
        tile: side of a tile of the condition, None for the model's own.
        overlap: how far neighbouring tiles overlap, in elements of the condition.
        progress: called with the number of tiles done and of all.

    Returns:
        uint8 ``(n, scale h, scale w, c)``.
    """
    kind = model.condition_kind
    n = check_integer("n", n)
    size, own = condition.shape[:2], tuple(kind.shape[:2])
    check_integer("tile", tile, none=True)
    if tile is None:
        tile = TILE if model.any_size else min(own)
    elif not model.any_size and tile != min(own):
        raise ValueError(f"tile must be {min(own)}, the model's fixed size; got {tile!r}")
    if (max(size) <= tile) if model.any_size else (size == own):
        images = model.sample(n, condition[None], temperature=temperature, seed=seed)
        if progress is not None:
            progress(1, 1)
        return images
    step = max(1, model.side_multiple // kind.scale)
    if overlap is None:
        # Of label maps, whose neighbourhoods say less, more.
        most = tile // 4 if kind.scale == 1 else min(OVERLAP, tile // 2)
        overlap = most // step * step
    check_tiles(tile, overlap, step)
    least = (0, 0) if model.any_size else own
    missing = [max(least[i] - side, -side % step) for i, side in enumerate(size)]
    pads = [*((0, more) for more in missing), *[(0, 0)] * (condition.ndim - 2)]
    padded = np.pad(condition, pads, mode="symmetric")
    if model.any_size:
        height, width = (kind.scale * min(tile, side) for side in padded.shape[:2])
        model = model._sized((height, width))
    seeds = [None if seed is None else seed + i for i in range(n)]
    images = np.stack(
        [draw_in_tiles(model, padded, temperature, one, overlap, progress) for one in seeds]
    )
    return images[:, : kind.scale * size[0], : kind.scale * size[1]]


def draw_in_tiles(
    model: Any,
    picture: np.ndarray,
    temperature: float,
    seed: int | None,
    overlap: int,
    progress: Progress | None = None,
) -> np.ndarray:
    """Draw for one condition tile by tile, and blend the tiles where they overlap.

    Tiles read the latents of the whole image at their place, so that two of them agree in what
    they share but for what lies beyond their borders.

    Args:
        model: a conditional ``ImageModel``, for conditions of a tile's size.
        picture: the condition, at least as large as a tile.
        temperature: standard deviation of the latents.
        seed: their seed.
        overlap: how far neighbouring tiles overlap, in elements of the condition.
        progress: called with the number of tiles done and of all.

    Returns:
        uint8 ``(scale h, scale w, c)``.
    """
    if model.float_shape != model.image_shape:
        raise ValueError(
            "a condition of another size than the model's own needs a model without preprocess; "
            f"got {picture.shape[0]}x{picture.shape[1]}"
        )
    height, width = picture.shape[:2]
    kind = model.condition_kind
    tall, wide = kind.shape[:2]
    scale, channels = kind.scale, model.image_shape[-1]
    rows, columns = starts(height, tall, overlap), starts(width, wide, overlap)
    shapes: list[tuple[int, ...]] = [
        (height * h // tall, width * w // wide, c) for h, w, c in model.latent_shapes
    ]
    latents = noise.draw_latents(1, shapes, temperature, seed)
    total = np.zeros((height * scale, width * scale, channels))
    weights = np.zeros((*total.shape[:2], 1))
    window = ramp(tall, overlap, scale)[:, None] * ramp(wide, overlap, scale)[None]
    places = [(top, left) for top in rows for left in columns]
    for number, (top, left) in enumerate(places, start=1):
        part = [
            z[:, top * h // tall :, left * w // wide :][:, :h, :w]
            for z, (h, w, _) in zip(latents, model.latent_shapes, strict=True)
        ]
        crop = picture[None, top : top + tall, left : left + wide]
        x = np.asarray(model.decode(tuple(part), crop))[0]
        area = (
            slice(top * scale, (top + tall) * scale),
            slice(left * scale, (left + wide) * scale),
        )
        total[area] += x * window[..., None]
        weights[area] += window[..., None]
        if progress is not None:
            progress(number, len(places))
    noise.check_sampled(total, temperature)
    return noise.quantize(total / weights)


def starts(side: int, tile: int, overlap: int) -> list[int]:
    """First elements of the tiles of one axis; the last one ends with the image."""
    if side <= tile:
        return [0]
    last = side - tile
    return [*range(0, last, tile - overlap), last]


def ramp(size: int, overlap: int, scale: int) -> np.ndarray:
    """Weights of a tile's elements along one axis of the large image, rising at both ends."""
    length = size * scale
    edge = np.minimum(np.arange(length) + 0.5, length - np.arange(length) - 0.5)
    return np.minimum(1.0, edge / max(overlap * scale, 1))
