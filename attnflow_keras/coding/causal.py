"""Coding of grey levels one after the other, by a causal flow."""

from typing import Any

import numpy as np

from attnflow_keras.coding.conditionals import Conditionals, Networks, is_causal
from attnflow_keras.coding.decisions import Coder, code_levels
from attnflow_keras.coding.direct import DirectMethod
from attnflow_keras.core.completion import value_order


class ValueByValue(DirectMethod):
    """Each value of an image given those before it.

    Args:
        flow: a causal flow of one block.
    """

    name = "values"

    def __init__(self, flow: Any) -> None:
        super().__init__(flow)
        self._networks = Networks(flow)
        layer = self._networks.layer
        order = value_order(layer.tokens.shape, layer.patch, layer.order)
        # Where each value of the tokens is in a flat image.
        self._places = order.reshape(layer.tokens.tokens, layer.tokens.values)

    @staticmethod
    def fits(flow: Any) -> bool:
        """Whether images of a flow can be coded so."""
        return is_causal(flow)

    def code(self, coder: Coder, n: int, images: Any, report: Any) -> np.ndarray:
        given = Conditionals(self._networks, n)
        levels = np.zeros((n, given.tokens, given.values), "uint8")
        wanted = None if images is None else images.reshape(n, -1)[:, self._places]
        for t in range(given.tokens):
            given.begin(t)
            for i in range(given.values):
                of_images = None if wanted is None else wanted[:, t, i]
                levels[:, t, i] = code_levels(given.distribution(i), coder, n, of_images)
                given.tell(i, levels[:, t, i])
            report(n * (t + 1) * given.values)
        coded = np.empty((n, levels[0].size), "uint8")
        coded[:, self._places] = levels
        return coded.reshape(n, *self.shape)
