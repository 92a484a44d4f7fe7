"""Coding of grey levels from coarse to fine, by couplings that each change one stage."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from attnflow_keras import backend
from attnflow_keras.coding.conditionals import LEVELS, Mixture
from attnflow_keras.coding.decisions import Coder, code_levels
from attnflow_keras.coding.direct import DirectMethod
from attnflow_keras.layers import Chain, TransformerCoupling
from attnflow_keras.layers.refinement import refinement_stages
from attnflow_keras.priors import StandardPrior


class StageByStage(DirectMethod):
    """All values of a stage at once, given those of the coarser stages.

    A flow whose couplings change each value once, to a standard normal given values that nothing
    has changed, gives the probabilities of grey levels as a causal flow does, and the values of a
    stage are independent given the stages before it.

    Args:
        flow: a flow for which :meth:`fits`.
    """

    name = "stages"

    def __init__(self, flow: Any) -> None:
        super().__init__(flow)
        self._flow = flow
        # The last layer maps the coarsest stage.
        self._layers = flow.levels()[0].steps.steps()[::-1]
        self._parameters = [self._compiled(layer) for layer in self._layers]

    @staticmethod
    def fits(flow: Any) -> bool:
        """Whether images of a flow can be coded so."""
        levels = flow.levels()
        if len(levels) > 1 or not isinstance(levels[0].steps, Chain):
            return False
        steps = levels[0].steps.steps()
        refines = all(
            isinstance(layer, TransformerCoupling)
            and layer.kind == "refinement"
            and not layer.values.affine
            for layer in steps
        )
        return (
            refines
            and isinstance(levels[0].prior, StandardPrior)
            and flow.float_shape == flow.image_shape
            and [layer.stage for layer in steps]
            == list(range(int(refinement_stages(flow.float_shape).max()) + 1))
        )

    def code(self, coder: Coder, n: int, images: Any, report: Any) -> np.ndarray:
        levels = np.zeros((n, int(np.prod(self.shape))), "uint8")
        # What is not known yet is not seen either.
        known = np.zeros(levels.shape, self._flow.variable_dtype)
        wanted = None if images is None else images.reshape(n, -1)
        done = 0
        for layer, parameters in zip(self._layers, self._parameters, strict=True):
            places = layer.changed_places
            given = parameters(ops.convert_to_tensor(known.reshape(n, *self.shape)))
            of_images = None if wanted is None else wanted[:, places].reshape(-1)
            log_weights, means, log_scales = map(_rows, given)
            distribution = Mixture(log_weights, means, log_scales, layer.values.bins)
            coded = code_levels(distribution, coder, n * len(places), of_images)
            levels[:, places] = coded.reshape(n, -1)
            known[:, places] = (levels[:, places] + 0.5) / LEVELS - 0.5
            done += n * len(places)
            report(done)
        return levels.reshape(n, *self.shape)

    def _compiled(self, layer: Any) -> Callable[[Any], Any]:
        """From an image to the parameters of the distributions of the values that change."""

        def parameters(x: Any) -> tuple[Any, ...]:
            bijector = layer.bijectors_for(x)[0]
            return bijector.log_weights, bijector.means, bijector.log_scales

        if backend.runs_eagerly():
            return parameters
        like = np.zeros((1, *self.shape), self._flow.variable_dtype)
        return backend.compile_function(parameters, (like,), 1, False, self._flow)


def _rows(x: Any) -> np.ndarray:
    """``(n, 1, 1, k, m)`` as ``(k, n m)``, float64."""
    array = ops.convert_to_numpy(x).astype("float64")
    array = array.reshape(len(array), -1, array.shape[-1])
    return np.ascontiguousarray(array.transpose(1, 0, 2).reshape(array.shape[1], -1))
