"""Coding of images by flows of couplings, with local bits back."""

from typing import Any

import numpy as np

from attnflow_keras.coding.container import Header
from attnflow_keras.coding.direct import Encoded
from attnflow_keras.coding.flow_steps import FlowSteps
from attnflow_keras.coding.layer_steps import UnsupportedLayerError
from attnflow_keras.coding.stack import RESERVE, Stack, StackEmptyError

# Words that the first image is tried with, a value; it needs one or two.
TRIED = 4
# What is left of the stack by a batch that needs as much as the one before it.
SPARE = 0.1
KEY = 0x417474


class BitsBack:
    """All images on one stack, in batches that the stack has enough bits for.

    An image takes bits from the stack before it gives back more, so the first one starts on a
    stack of pseudorandom words. From then on images lend their bits to those after them: the
    batches grow with the stack, and these words are paid once.

    Args:
        flow: a flow for which :meth:`fits`.
    """

    name = "bits back"

    def __init__(self, flow: Any) -> None:
        self._steps = FlowSteps(flow)
        self._shape = tuple(flow.image_shape)
        self._float_shape = tuple(flow.float_shape)
        self._preprocess = flow.preprocess

    @staticmethod
    def fits(flow: Any) -> bool:
        """Whether images of a flow can be coded so."""
        return BitsBack.reason_against(flow) is None

    @staticmethod
    def reason_against(flow: Any) -> str | None:
        """Why images of a flow can't be coded so; None where they can."""
        try:
            FlowSteps(flow)
        except UnsupportedLayerError as error:
            return str(error)
        return None

    def encode(self, images: np.ndarray, batch_size: int, report: Any) -> Encoded:
        """The words for images uint8 ``(n, h, w, c)``, whose batches are powers of two."""
        levels = self._preprocess.expand(images).reshape(len(images), -1)
        count = self._first_need(levels[:1])
        words = noise_words(0, count)
        batches: list[int] = []
        done, wanted = 0, 1
        while done < len(levels):
            size = min(wanted, batch_size, len(levels) - done)
            size = 1 << (size.bit_length() - 1)
            stack = Stack(words)
            try:
                self._steps.encode(stack, levels[done : done + size])
            except StackEmptyError:
                if size > 1:
                    wanted = size // 2
                    continue
                more = max(count // 8, RESERVE)
                words = np.concatenate([noise_words(count, more), words])
                count += more
                continue
            need = (len(words) - stack.lowest) / size
            words = stack.words()
            wanted = max(1, int((1.0 - SPARE) * (len(words) - RESERVE) / need))
            batches.append(size)
            done += size
            report(done * (images.size // len(images)))
        return Encoded(words, tuple(batches), count)

    def decode(self, words: np.ndarray, header: Header, report: Any) -> np.ndarray:
        """The images of these words: the last batch first.

        Raises:
            ArithmeticError: damaged words.
            StackEmptyError: damaged words.
        """
        images = np.empty((header.images, *self._shape), "uint8")
        stack = Stack(words)
        done = 0
        for part in reversed(header.parts):
            n = part.stop - part.start
            levels = self._steps.decode(stack, n).reshape(n, *self._float_shape)
            images[part] = self._preprocess.reduce(levels)
            done += images[part].size
            report(done)
        if not np.array_equal(stack.words(), noise_words(0, header.noise_words)):
            raise ArithmeticError("the stack does not end as it began")
        return images

    def _first_need(self, image: np.ndarray) -> int:
        """Words that an image needs, a little more than on a stack that has enough of them."""
        enough = TRIED * image.size
        stack = Stack(noise_words(0, enough))
        try:
            self._steps.encode(stack, image)
        except StackEmptyError:
            return enough
        return int(1.02 * (enough - stack.lowest)) + RESERVE


def noise_words(first: int, count: int) -> np.ndarray:
    """Pseudorandom words, the same on every machine, uint32; the first one is on the top."""
    # Raw Philox output is stable between NumPy versions.
    raw = np.random.Philox(key=KEY).random_raw(first + count)[first:]
    return (raw >> np.uint64(32)).astype("uint32")[::-1]
