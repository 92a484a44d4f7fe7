"""Flows whose weights are free of the size of the images."""

from collections.abc import Callable
from typing import Any

import numpy as np

from attnflow_keras.core.checks import check_integer
from attnflow_keras.core.tiles import check_tiles, draw_in_tiles
from attnflow_keras.flow import inputs as checks

Tensor = Any

# Compiled functions are kept for so many other sizes.
KEPT = 4


class SizeCopies:
    """Flows of other sizes, by size; a plain object, so that Keras tracks none of them."""

    def __init__(self) -> None:
        self.by_size: dict[tuple[int, int], Any] = {}

    def __deepcopy__(self, memo: dict) -> "SizeCopies":
        return SizeCopies()

    def __reduce__(self) -> Any:
        return SizeCopies, ()


class AnySizeMixin:
    """Public methods of a conditional flow for images of any size.

    The flow is built for one size. For a condition of another one, these methods work on a copy for
    that size with the current weights.
    """

    # What the flow provides.
    image_shape: tuple[int, int, int]
    condition_shape: tuple[int, ...] | None
    latent_shapes: tuple[tuple[int, int, int], ...]
    scale: int
    side_multiple: int
    _copies: SizeCopies

    def at_size(self, height: int, width: int) -> Any:
        """The same flow for images of another size, with a copy of the weights.

        Args:
            height: height of the high-resolution images.
            width: their width. Both must be divisible by :attr:`side_multiple`.
        """
        wrong = [side for side in (height, width) if side < 1 or side % self.side_multiple]
        if wrong:
            raise ValueError(
                f"height and width must be divisible by {self.side_multiple}; got {height} and "
                f"{width}"
            )
        shape = [int(height), int(width), self.image_shape[-1]]
        config = self.get_config()  # type: ignore[attr-defined]
        flow = type(self).from_config({**config, "image_shape": shape})  # type: ignore[attr-defined]
        flow.set_weights(self.get_weights())  # type: ignore[attr-defined]
        return flow

    def encode(self, x: Any, condition: Any = None, *args: Any, **options: Any) -> Any:
        return self._for(condition, "encode")(x, condition, *args, **options)

    def decode(self, latents: Any, condition: Any = None, *args: Any, **options: Any) -> Any:
        return self._for(condition, "decode")(latents, condition, *args, **options)

    def log_prob(self, images: Any, condition: Any = None, *args: Any, **options: Any) -> Any:
        self._check_ratio(images, condition)
        return self._for(condition, "log_prob")(images, condition, *args, **options)

    def bits_per_dim(self, images: Any, condition: Any = None, *args: Any, **options: Any) -> Any:
        self._check_ratio(images, condition)
        return self._for(condition, "bits_per_dim")(images, condition, *args, **options)

    def sample(
        self, n: int | None = None, condition: Any = None, *args: Any, **options: Any
    ) -> np.ndarray:
        """As :meth:`Flow.sample`; a condition whose sides don't fit the flow is padded.

        Args:
            n: number of images; that of the conditions if not given. With one condition it may
                be any number: so many restorations of it.
            condition: low-resolution images, uint8 ``(m, h, w, c)``, or their features.
            *args: as in :meth:`Flow.sample`.
            **options: as in :meth:`Flow.sample`.

        Returns:
            uint8 ``(n, scale h, scale w, c)``.
        """
        if condition is None or isinstance(condition, tuple):
            return self._for(condition, "sample")(n, condition, *args, **options)
        self._check_pictures(condition)  # type: ignore[attr-defined]
        height, width = condition.shape[1:3]
        multiple = self.side_multiple // self.scale
        missing = (-height % multiple, -width % multiple)
        if not any(missing):
            return self._for(condition, "sample")(n, condition, *args, **options)
        pads = ((0, 0), (0, missing[0]), (0, missing[1]), (0, 0))
        padded = np.pad(np.asarray(condition), pads, mode="symmetric")
        x = self._for(padded, "sample")(n, padded, *args, **options)
        return x[:, : height * self.scale, : width * self.scale]

    def restore(
        self,
        picture: np.ndarray,
        n: int = 1,
        temperature: float = 0.8,
        seed: int | None = None,
        tile: int = 32,
        overlap: int = 4,
        progress: Callable[[int, int], None] | None = None,
    ) -> np.ndarray:
        """Restorations of one low-resolution image of any size, in tiles if it is large.

        Args:
            picture: uint8 ``(h, w, c)``.
            n: number of restorations.
            temperature: standard deviation of the latents.
            seed: seed of the latents; restoration i of an image in tiles has ``seed + i``.
            tile: side of a tile of the low-resolution image; smaller images are restored at once.
            overlap: how far neighbouring tiles overlap, in elements of the low-resolution image.
            progress: called with the number of tiles done and of all.

        Returns:
            uint8 ``(n, scale h, scale w, c)``.

        Raises:
            ValueError: anything but one image of the flow's channels, or a wrong number.
        """
        picture, channels = np.asarray(picture), self.image_shape[-1]
        if picture.ndim != 3 or picture.shape[-1] != channels or picture.dtype != np.uint8:
            hint = "; sample takes several at once" if picture.ndim == 4 else ""
            raise ValueError(
                f"picture must be one low-resolution image, uint8 (h, w, {channels}); got "
                f"{picture.dtype} of shape {picture.shape}{hint}"
            )
        n = check_integer("n", n)
        if max(picture.shape[:2]) <= tile:
            at_once = self.sample(n, picture[None], temperature=temperature, seed=seed)
            if progress is not None:
                progress(1, 1)
            return at_once
        step = self.side_multiple // self.scale
        padded = np.pad(
            picture, [*((0, -side % step) for side in picture.shape[:2]), (0, 0)], mode="symmetric"
        )
        check_tiles(tile, overlap, step)
        sides = [self.scale * min(tile, side) for side in padded.shape[:2]]
        flow = self._sized((sides[0], sides[1]))
        seeds = [None if seed is None else seed + i for i in range(n)]
        restored = [
            draw_in_tiles(flow, padded, temperature, one, overlap, progress) for one in seeds
        ]
        height, width = (self.scale * side for side in picture.shape[:2])
        return np.stack(restored)[:, :height, :width]

    def _check_pair(self, image: Any, condition: Any) -> None:
        self._check_ratio(image, condition)

    def _check_ratio(self, images: Any, condition: Any) -> None:
        checks.check_array("images", images)
        self._check_condition(condition)  # type: ignore[attr-defined]
        size, shape = self._size_of(condition), tuple(getattr(images, "shape", np.shape(images)))
        if len(shape) == 4 and shape[1:3] != size:
            raise ValueError(
                f"images must be {self.scale} times as large as their condition, "
                f"{size[0]}x{size[1]}; got {shape[1]}x{shape[2]}"
            )

    def _for(self, condition: Any, method: str) -> Any:
        """A method of the flow for the size of a condition."""
        self._check_condition(condition)  # type: ignore[attr-defined]
        size = self._size_of(condition)
        own = size == self.image_shape[:2]
        return getattr(super(), method) if own else getattr(self._sized(size), method)

    def _sized(self, size: tuple[int, int]) -> Any:
        """The flow for images of this size, with the current weights; cached."""
        if size == self.image_shape[:2]:
            return self
        copies = self._copies.by_size
        flow = copies.pop(size, None)
        if flow is None:
            flow = self.at_size(*size)
            while len(copies) >= KEPT:
                copies.pop(next(iter(copies)))
        else:
            flow.set_weights(self.get_weights())  # type: ignore[attr-defined]
        flow.jit = self.jit  # type: ignore[attr-defined]
        copies[size] = flow
        return flow

    def _size_of(self, condition: Any) -> tuple[int, int]:
        """Height and width of the high-resolution images that a condition belongs to."""
        if isinstance(condition, tuple):
            # The first map is that of the first level, half as large as the image.
            height, width = condition[0].shape[1:3]
            return 2 * int(height), 2 * int(width)
        self._check_pictures(condition)  # type: ignore[attr-defined]
        height, width = condition.shape[1:3]
        return self.scale * int(height), self.scale * int(width)
