"""A stack of numbers on a fine grid, on the ANS coder of ``constriction``.

The models of ``constriction`` have 24 bits, no symbol is less probable than 2^-24, and the grid has
more points. So a normal number is several: its cell, half to one standard deviation wide; the half
of it; five more binary digits of its place, since in half a cell the density is nearly exponential
and they are independent; and the rest of the place, which is uniform.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np

from attnflow_keras.coding.decisions import coder_library

# Cells to each side of the one with the mean. The outer two stand for all that is further out.
CELLS = 14
# Digits of a place that are not uniform.
DIGITS = 6
# Bits of a cell's width, at least and at most; uniform ones that are coded at once.
LEAST, MOST = DIGITS + 1, 40
CHUNK = 20
# Length of the number of cells beyond the outer one: each is half as probable as the one before.
LENGTHS = 64
# Less than these words may leave bits to the coder's state alone, which could not be put back.
RESERVE = 8


class StackEmptyError(RuntimeError):
    """Fewer bits on the stack than are to be taken from it."""


class Stack:
    """Integers to push and pop; popping from random bits draws, and pushing puts the bits back.

    Args:
        words: what is on it, uint32.
    """

    def __init__(self, words: np.ndarray) -> None:
        stream = coder_library().stream
        self._coder = stream.stack.AnsCoder(np.asarray(words, "uint32"))
        self._uniform = stream.model.Uniform()
        self._digit = stream.model.Bernoulli(perfect=False)
        self._cell = stream.model.QuantizedGaussian(-CELLS, CELLS - 1)
        halves = np.exp2(-np.arange(1.0, LENGTHS + 1)).astype("float32")
        self._length = stream.model.Categorical(halves, perfect=False)
        self.lowest = self.size

    @property
    def size(self) -> int:
        """Number of words."""
        return int(self._coder.num_words())

    def words(self) -> np.ndarray:
        """All that is on it, uint32."""
        return np.asarray(self._coder.get_compressed(), "<u4")

    def push_uniform(self, numbers: np.ndarray, bits: int) -> None:
        """Push integers from 0 to ``2 ** bits - 1``, of up to 20 bits."""
        sizes = np.full(numbers.size, 1 << bits, "int32")
        self._coder.encode_reverse(numbers.astype("int32"), self._uniform, sizes)

    def pop_uniform(self, count: int, bits: int) -> np.ndarray:
        """Pop what :meth:`push_uniform` pushed, int64 ``(count,)``."""
        return self._popped(self._uniform, np.full(count, 1 << bits, "int32"))

    def push_normal(self, numbers: np.ndarray, means: np.ndarray, deviations: np.ndarray) -> None:
        """Push integers as if they were rounded normal ones.

        Args:
            numbers: int64 ``(count,)``.
            means: float64 ``(count,)``.
            deviations: standard deviations, float64 ``(count,)``; from 128 on a number takes the
                bits that it should, and more below.

        Raises:
            FloatingPointError: means or deviations that are not finite.
        """
        bits, base, mean, deviation = _cells(means, deviations)
        cells = (numbers >> bits) - base
        places = numbers & ((1 << bits) - 1)
        self._push_rest(places, bits - DIGITS)
        digits = places >> (bits - DIGITS)
        each = (digits >> np.arange(DIGITS)[::-1, None]) & 1
        half, others = each[0].astype("int32"), each[1:].astype("int32")
        middle = cells + 0.5 * half - 0.25
        shares = _shares(middle, mean, deviation, range(2, DIGITS + 1))
        self._coder.encode_reverse(others.ravel(), self._digit, shares)
        self._coder.encode_reverse(half, self._digit, _shares(cells, mean, deviation, [1]))
        outer = np.clip(cells, -CELLS, CELLS - 1)
        for beyond in np.abs(cells - outer)[_is_outer(outer)][::-1].tolist():
            self._push_beyond(beyond)
        self._coder.encode_reverse(outer.astype("int32"), self._cell, mean, deviation)

    def pop_normal(self, means: np.ndarray, deviations: np.ndarray) -> np.ndarray:
        """Pop what :meth:`push_normal` pushed with the same means and deviations.

        Raises:
            StackEmptyError: too few bits.
            FloatingPointError: means or deviations that are not finite.
        """
        bits, base, mean, deviation = _cells(means, deviations)
        cells = self._popped(self._cell, mean, deviation)
        for i in np.flatnonzero(_is_outer(cells)).tolist():
            cells[i] += np.sign(cells[i]) * self._pop_beyond()
        half = self._popped(self._digit, _shares(cells, mean, deviation, [1]))
        middle = cells + 0.5 * half - 0.25
        shares = _shares(middle, mean, deviation, range(2, DIGITS + 1))
        others = self._popped(self._digit, shares).reshape(DIGITS - 1, -1)
        digits = (half << (DIGITS - 1)) + (others << np.arange(DIGITS - 1)[::-1, None]).sum(axis=0)
        places = (digits << (bits - DIGITS)) + self._pop_rest(bits - DIGITS)
        return ((cells + base) << bits) + places

    def _push_rest(self, places: np.ndarray, bits: np.ndarray) -> None:
        """Push the last bits of places; there is one at least."""
        more = bits > CHUNK
        if more.any():
            high = (places[more] & ((1 << bits[more]) - 1)) >> CHUNK
            self._coder.encode_reverse(high.astype("int32"), self._uniform, _sizes(bits[more], 1))
        low = places & ((1 << np.minimum(bits, CHUNK)) - 1)
        self._coder.encode_reverse(low.astype("int32"), self._uniform, _sizes(bits, 0))

    def _pop_rest(self, bits: np.ndarray) -> np.ndarray:
        places = self._popped(self._uniform, _sizes(bits, 0))
        more = bits > CHUNK
        if more.any():
            places[more] += self._popped(self._uniform, _sizes(bits[more], 1)) << CHUNK
        return places

    def _push_beyond(self, number: int) -> None:
        """Push an integer of 0 or more: its length in bits, and those after the first."""
        length = number.bit_length()
        for start in range(0, length - 1, 16):
            count = min(16, length - 1 - start)
            self.push_uniform(np.array([(number >> start) & ((1 << count) - 1)]), count)
        self._coder.encode_reverse(length, self._length)

    def _pop_beyond(self) -> int:
        length = int(self._coder.decode(self._length))
        number = 1 << (length - 1) if length else 0
        for start in reversed(range(0, length - 1, 16)):
            count = min(16, length - 1 - start)
            number |= int(self.pop_uniform(1, count)[0]) << start
        return number

    def _popped(self, model: Any, *parameters: np.ndarray) -> np.ndarray:
        popped = np.asarray(self._coder.decode(model, *parameters), "int64")
        self.lowest = min(self.lowest, self.size)
        if self.lowest < RESERVE:
            raise StackEmptyError(f"{self.size} words are left of the stack")
        return popped


def _cells(means: np.ndarray, deviations: np.ndarray) -> tuple[np.ndarray, ...]:
    """Bits of each cell's width, the number of the mean's, and both moments in its units."""
    if not (np.isfinite(means).all() and np.isfinite(deviations).all()):
        raise FloatingPointError("the flow gives numbers that are not finite for these images")
    means = np.clip(means, -(2.0**61), 2.0**61)
    bits = np.clip(np.frexp(deviations)[1].astype("int64") - 1, LEAST, MOST)
    width = np.ldexp(1.0, bits)
    base = np.floor(means).astype("int64") >> bits
    # Cell k is [k - 1/2, k + 1/2] for the coder.
    mean = (means - np.ldexp(base.astype("float64"), bits) + 0.5) / width - 0.5
    deviation = np.clip(deviations / width, 1e-3, 2.0)
    return bits, base, mean, deviation


def _is_outer(cells: np.ndarray) -> np.ndarray:
    return (cells == -CELLS) | (cells == CELLS - 1)


def _shares(
    middle: np.ndarray, mean: np.ndarray, deviation: np.ndarray, digits: Iterable[int]
) -> np.ndarray:
    """Probability that digits are one, all numbers' first of them first.

    Near the middle of a part of a cell the density at v is in proportion to exp(-t v), and digit i
    of v, whose value is 2^-i, is one with the odds exp(-t 2^-i), whatever the others are.
    """
    tilt = np.clip((middle - mean) / np.square(deviation), -50.0, 50.0)
    return np.concatenate([1.0 / (1.0 + np.exp(tilt / 2.0**i)) for i in digits])


def _sizes(bits: np.ndarray, chunk: int) -> np.ndarray:
    """How many places a chunk of the bits tells apart."""
    return np.left_shift(1, np.clip(bits - CHUNK * chunk, 1, CHUNK)).astype("int32")
