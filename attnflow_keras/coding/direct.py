"""Coding of grey levels by their probabilities, which a flow gives without latents."""

from typing import Any, NamedTuple

import numpy as np

from attnflow_keras.coding.container import Header, batch_sizes
from attnflow_keras.coding.decisions import Coder, Reader, Writer


class Encoded(NamedTuple):
    """What a method makes of images.

    Args:
        words: of the coder, uint32.
        batches: see :class:`attnflow_keras.coding.Header`.
        noise_words: see there.
    """

    words: np.ndarray
    batches: tuple[int, ...] = ()
    noise_words: int = 0


class DirectMethod:
    """A range coder's words for images, batch by batch.

    Args:
        flow: one that the method is for.
    """

    def __init__(self, flow: Any) -> None:
        self.shape: tuple[int, int, int] = tuple(flow.image_shape)

    def code(self, coder: Coder, n: int, images: Any, report: Any) -> np.ndarray:
        """Encode n images or, without them, decode n; the same steps in both cases."""
        raise NotImplementedError

    def encode(self, images: np.ndarray, batch_size: int, report: Any) -> Encoded:
        """The words for images uint8 ``(n, h, w, c)``."""
        writer = Writer()
        done = 0
        for size in batch_sizes(len(images), batch_size):
            part = images[done : done + size]
            self.code(writer, size, part, self._after(done, report))
            done += size
        return Encoded(writer.words())

    def decode(self, words: np.ndarray, header: Header, report: Any) -> np.ndarray:
        """The images of these words."""
        images = np.empty((header.images, *self.shape), "uint8")
        reader = Reader(words)
        for part in header.parts:
            after = self._after(part.start, report)
            images[part] = self.code(reader, part.stop - part.start, None, after)
        return images

    def _after(self, images: int, report: Any) -> Any:
        """Progress of a batch, counted from the first image on."""
        before = images * int(np.prod(self.shape))
        return lambda done: report(before + done)
