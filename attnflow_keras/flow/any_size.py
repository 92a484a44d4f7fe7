"""Flows whose weights are free of the size of the images."""

from typing import Any

import numpy as np

from attnflow_keras.core import arrays
from attnflow_keras.core.image_map import ImageMap
from attnflow_keras.core.noise import check_is_count

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


class AnySize(ImageMap):
    """A conditional flow for images of any size.

    The flow is built for one size. For a condition of another one, its methods work on a copy
    for that size with the current weights.
    """

    any_size = True

    # What the flow provides.
    scale: int
    clone: Any
    jit: bool
    get_weights: Any
    _copies: SizeCopies
    _side_multiple: int

    @property
    def side_multiple(self) -> int:
        """What the sides of high-resolution images must be divisible by."""
        return self._side_multiple

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
        return self.clone(image_shape=(int(height), int(width), self.image_shape[-1]))

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
        check_is_count(n)
        condition = self._checked(condition)
        if isinstance(condition, tuple):
            return super().sample(n, condition, *args, **options)  # type: ignore[misc]
        height, width = condition.shape[1:3]
        multiple = self.side_multiple // self.scale
        missing = (-height % multiple, -width % multiple)
        if any(missing):
            pads = ((0, 0), (0, missing[0]), (0, missing[1]), (0, 0))
            condition = np.pad(np.asarray(condition), pads, mode="symmetric")
        x = super().sample(n, condition, *args, **options)  # type: ignore[misc]
        return x[:, : height * self.scale, : width * self.scale]

    def _check_pair(self, image: Any, condition: Any) -> None:
        """Raise ValueError unless images are as large as their conditions ask for."""
        size, shape = self._size_of(condition), arrays.shape_of(image)
        if len(shape) == 4 and shape[1:3] != size:
            raise ValueError(
                f"images must be {self.scale} times as large as their condition, "
                f"{size[0]}x{size[1]}; got {shape[1]}x{shape[2]}"
            )

    def _sized_for(self, condition: Any, images: Any = None) -> Any:
        if images is not None:
            self._check_pair(images, condition)
        return self._sized(self._size_of(condition))

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
            flow.set_weights(self.get_weights())
        flow.jit = self.jit
        copies[size] = flow
        return flow

    def _size_of(self, condition: Any) -> tuple[int, int]:
        """Height and width of the high-resolution images that a condition belongs to."""
        # The first map is that of the first level, half as large as the image.
        features = isinstance(condition, tuple)
        height, width = arrays.shape_of(condition[0] if features else condition)[1:3]
        factor = 2 if features else self.scale
        return factor * int(height), factor * int(width)
