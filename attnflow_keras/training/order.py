"""Data order and augmentation as functions of the seed and the step."""

import itertools
from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

import numpy as np

from attnflow_keras.core import noise
from attnflow_keras.core.checks import check_choice
from attnflow_keras.data.augment import AUGMENTATIONS

SHUFFLE = 1000  # stream of the first pass; each pass over the data has its own
ALONE = (0, 1)
ALL = slice(None)


class OrderedImages:
    """Batches of an endless, reshuffled stream of images.

    Step t takes the images t B to (t + 1) B - 1 of the stream, which is one permutation of the data
    after another. Iteration starts at ``start_step`` and never ends, so a run that starts there
    continues exactly where another one stopped.

    Args:
        images: uint8 ``(n, h, w, c)``.
        batch_size: images per batch.
        seed: seed of the order.
        start_step: first step of an iteration.
        augment: name of an augmentation, see :mod:`attnflow_keras.data.augment`, or None.
        share: number of this process and of all processes, each of which iterates over its own part
            of every batch.
    """

    def __init__(
        self,
        images: np.ndarray,
        batch_size: int,
        seed: int,
        start_step: int = 0,
        augment: str | None = None,
        share: tuple[int, int] = ALONE,
    ) -> None:
        check_choice("augment", augment, (None, *AUGMENTATIONS))
        self.images = images
        self.batch_size = batch_size
        self.seed = seed
        self.start_step = start_step
        self.augment = augment
        self.share = share
        self._order: dict[int, np.ndarray] = {}

    def __iter__(self) -> Iterator[tuple[np.ndarray]]:
        # A generator, because Keras shuffles and reads ahead in anything that has a length.
        for step in itertools.count(self.start_step):
            yield (self.batch(step, own_rows(self.batch_size, self.share)),)

    def batch(self, step: int, part: slice = ALL) -> np.ndarray:
        """The images of one step, or a part of them."""
        count = len(self.images)
        stream = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        rows = np.empty_like(stream)
        for number in np.unique(stream // count):
            inside = stream // count == number
            rows[inside] = self._pass(int(number))[stream[inside] % count]
        if self.augment is None:
            return self.images[rows[part]]
        # An image's draws depend on its place in the batch.
        return AUGMENTATIONS[self.augment](self.images[rows], self.seed, step)[part]

    def _pass(self, number: int) -> Any:
        if number not in self._order:
            rng = noise.generator(self.seed, SHUFFLE + number)
            self._order = {number: rng.permutation(len(self.images))}
        return self._order[number]


@runtime_checkable
class Source(Protocol):
    """Training data that is sampled rather than stored, such as crops of a large image."""

    def __len__(self) -> int:
        """Nominal number of images, for messages."""

    def draw(self, count: int, seed: int, step: int) -> Any:
        """A batch, a function of the seed and the step alone: images or a dict of arrays."""

    def fingerprint(self) -> dict[str, Any]:
        """Identifies the source, as JSON."""


class DrawnImages:
    """Batches of a :class:`Source`, as :class:`OrderedImages` gives those of an array.

    Args:
        source: the source.
        batch_size: images per batch.
        seed: seed of the draws.
        start_step: first step of an iteration.
        share: as for :class:`OrderedImages`.
    """

    def __init__(
        self,
        source: Source,
        batch_size: int,
        seed: int,
        start_step: int = 0,
        share: tuple[int, int] = ALONE,
    ) -> None:
        self.source = source
        self.batch_size = batch_size
        self.seed = seed
        self.start_step = start_step
        self.share = share

    def __iter__(self) -> Iterator[tuple[Any]]:
        rows = own_rows(self.batch_size, self.share)
        for step in itertools.count(self.start_step):
            batch = self.batch(step)
            part = (
                {key: value[rows] for key, value in batch.items()}
                if isinstance(batch, dict)
                else batch[rows]
            )
            yield (part,)

    def batch(self, step: int) -> Any:
        """The batch of one step."""
        return self.source.draw(self.batch_size, self.seed, step)


def own_rows(count: int, share: tuple[int, int]) -> slice:
    """The rows out of ``count`` of a process, by its number and that of all."""
    number, processes = share
    return slice(number * count // processes, (number + 1) * count // processes)


def batches(
    data: Any,
    batch_size: int,
    seed: int,
    start_step: int = 0,
    augment: str | None = None,
    share: tuple[int, int] = ALONE,
) -> OrderedImages | DrawnImages:
    """The endless stream of batches of an array of images or of a :class:`Source`.

    Raises:
        ValueError: an unknown augmentation, or one for a source that has no method ``augmented``.
    """
    if isinstance(data, Source):
        check_choice("augment", augment, (None, *AUGMENTATIONS))
        if augment is not None:
            if not hasattr(data, "augmented"):
                raise ValueError(
                    "augment is for images and for super-resolution; got "
                    f"augment={augment!r} and a {type(data).__name__}"
                )
            data = data.augmented(augment)
        return DrawnImages(data, batch_size, seed, start_step, share)
    return OrderedImages(data, batch_size, seed, start_step, augment, share)
