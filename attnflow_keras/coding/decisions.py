"""Grey levels as binary decisions, for the range coder of ``constriction``."""

from typing import Any, Protocol

import numpy as np

from attnflow_keras.coding.conditionals import LEVELS
from attnflow_keras.core.extras import install_command

# Less probability than this is no basis for a share of it.
NOTHING = 1e-300


def coder_library() -> Any:
    """``constriction``.

    Raises:
        ImportError: it is not installed; the message says how to.
    """
    try:
        import constriction
    except ImportError as error:
        raise ImportError(
            f"compression needs constriction: {install_command('compress')}"
        ) from error
    return constriction


class Coder(Protocol):
    """One direction of coding."""

    def decide(self, shares: np.ndarray, wanted: np.ndarray | None) -> np.ndarray:
        """Decisions ``(n,)``, bool, each True with the probability ``shares``."""


class Writer:
    """Encodes decisions."""

    def __init__(self) -> None:
        stream = coder_library().stream
        self._model = stream.model.Bernoulli(perfect=False)
        self._coder = stream.queue.RangeEncoder()

    def decide(self, shares: np.ndarray, wanted: np.ndarray | None) -> np.ndarray:
        """``wanted``, after it has been encoded."""
        assert wanted is not None
        self._coder.encode(wanted.astype("int32"), self._model, shares)
        return wanted

    def words(self) -> np.ndarray:
        """All that has been encoded, uint32."""
        return np.asarray(self._coder.get_compressed(), "<u4")


class Reader:
    """Decodes decisions.

    Args:
        words: what a :class:`Writer` gave.
    """

    def __init__(self, words: np.ndarray) -> None:
        stream = coder_library().stream
        self._model = stream.model.Bernoulli(perfect=False)
        self._coder = stream.queue.RangeDecoder(words.astype("uint32"))

    def decide(self, shares: np.ndarray, wanted: np.ndarray | None = None) -> np.ndarray:
        """The next decisions."""
        return np.asarray(self._coder.decode(self._model, shares), bool)


def code_levels(distribution: Any, coder: Coder, n: int, levels: Any = None) -> np.ndarray:
    """Encode grey levels ``(n,)`` or, without them, decode them.

    A level is eight decisions: whether it lies in the upper half of the levels that are left. The
    probability of that is the mass of the upper half over that of both, so all of the mass outside
    of the grey levels is shared out among them. Both directions evaluate the same points in the
    same order, and nothing else.

    Args:
        distribution: has ``cdf(edges)``.
        coder: a :class:`Writer` or :class:`Reader`.
        n: number of levels.
        levels: uint8 ``(n,)``, or None to decode.
    """
    low = np.zeros(n, "int64")
    below, above = distribution.cdf(low), distribution.cdf(low + LEVELS)
    width = LEVELS
    while width > 1:
        width //= 2
        middle = low + width
        at_middle = distribution.cdf(middle)
        mass = above - below
        share = np.where(mass > NOTHING, (above - at_middle) / np.maximum(mass, NOTHING), 0.5)
        share = np.clip(share, 0.0, 1.0)
        upper = coder.decide(share, None if levels is None else levels >= middle)
        low = np.where(upper, middle, low)
        below = np.where(upper, at_middle, below)
        above = np.where(upper, above, at_middle)
    return low.astype("uint8")
