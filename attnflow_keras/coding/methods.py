"""How the images of a flow are coded: the choice, and what all ways have in common."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from attnflow_keras.coding.bits_back import BitsBack
from attnflow_keras.coding.causal import ValueByValue
from attnflow_keras.coding.container import Header
from attnflow_keras.coding.direct import Encoded
from attnflow_keras.coding.stages import StageByStage

Progress = Callable[[int], None]


class Method(Protocol):
    """One way to code the images of a flow."""

    # As the header of a file has it.
    name: str

    def __init__(self, flow: Any) -> None: ...

    @staticmethod
    def fits(flow: Any) -> bool:
        """Whether images of a flow can be coded so."""

    def encode(self, images: np.ndarray, batch_size: int, report: Progress) -> Encoded:
        """The coder's words for images uint8 ``(n, h, w, c)``."""

    def decode(self, words: np.ndarray, header: Header, report: Progress) -> np.ndarray:
        """The images of these words."""


METHODS: tuple[type[Method], ...] = (ValueByValue, StageByStage, BitsBack)


def method_of(flow: Any) -> Method:
    """How images are coded with a flow: the first of the ways that it allows.

    Raises:
        ValueError: a flow that takes a condition, or of a kind that there is no way for.
    """
    if flow.conditional:
        raise ValueError(f"flow must take no condition; got {flow.name!r}, which needs one")
    method = next((method for method in METHODS if method.fits(flow)), None)
    if method is None:
        raise ValueError(
            "flow must be a causal flow of one block without padding, such as "
            "attnflow-causal-mnist, or one of couplings, such as attnflow-coupling-mnist or "
            f"attnflow-imap-mnist; got {type(flow).__name__}: {BitsBack.reason_against(flow)}"
        )
    return method(flow)
