"""Latents on the stack, under the priors of a flow."""

from typing import Any

import numpy as np
from keras import ops

from attnflow_keras.coding.layer_steps import UnsupportedLayerError
from attnflow_keras.coding.local import UNIT
from attnflow_keras.coding.network import Network
from attnflow_keras.coding.stack import Stack
from attnflow_keras.priors import GaussianPrior, LearnedTopPrior, StandardPrior

Shape = tuple[int, int, int]


class PriorStep:
    """Latents under a normal prior, given the part of the map that goes on.

    Args:
        prior: a Gaussian or standard prior.
        shape: ``(h, w, c)`` of the latents.
        kept: ``(h, w, c)`` of the part that goes on.
        flow: the flow, for its compiled functions.

    Raises:
        UnsupportedLayerError: another prior.
    """

    def __init__(self, prior: Any, shape: Shape, kept: Shape, flow: Any) -> None:
        if not isinstance(prior, GaussianPrior | LearnedTopPrior | StandardPrior):
            raise UnsupportedLayerError(
                f"{type(prior).__name__} is none of the priors that it knows"
            )
        self._shape = shape
        self._prior = prior
        self._moments: Any = None
        self._network: Any = None
        if prior.condition_channels:
            self._network = Network(flow, kept).compiled(self._given)

    def push(self, stack: Stack, z: np.ndarray, kept: np.ndarray) -> None:
        """Push latents ``(n, values)``."""
        stack.push_normal(z.reshape(-1), *self._of(kept))

    def pop(self, stack: Stack, kept: np.ndarray) -> np.ndarray:
        """Pop what :meth:`push` pushed."""
        return stack.pop_normal(*self._of(kept)).reshape(len(kept), -1)

    def _of(self, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Means and standard deviations of all latents, on the grid."""
        shift, log_scale = self._network(kept) if self._network else self._constant()
        shape = (len(kept), *self._shape)
        mean, deviation = -UNIT * shift, UNIT * np.exp(-log_scale)
        return np.broadcast_to(mean, shape).ravel(), np.broadcast_to(deviation, shape).ravel()

    def _given(self, kept: Any) -> tuple[Any, Any]:
        bijector = self._prior.bijector(kept)
        return bijector.shift, bijector.log_scale

    def _constant(self) -> tuple[np.ndarray, np.ndarray]:
        if self._moments is None:
            if isinstance(self._prior, StandardPrior):
                parts = [np.zeros(1), np.zeros(1)]
            else:
                bijector = self._prior.bijector()
                parts = [
                    np.asarray(ops.convert_to_numpy(part), "float64")
                    for part in (bijector.shift, bijector.log_scale)
                ]
            self._moments = parts[0], parts[1]
        return self._moments
