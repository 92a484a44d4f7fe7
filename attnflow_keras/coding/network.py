"""Networks of a flow on maps of integers, the points of a grid."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from attnflow_keras import backend
from attnflow_keras.coding.local import to_floats


class Network:
    """Compiled functions of maps of one shape.

    Encoder and decoder call the same compiled function on equal arrays.

    Args:
        flow: the flow whose variables they read.
        shape: ``(h, w, c)`` of the maps.
    """

    def __init__(self, flow: Any, shape: tuple[int, int, int]) -> None:
        self._flow = flow
        self._shape = shape

    def compiled(self, function: Callable[[Any], tuple[Any, ...]]) -> Callable[[Any], Any]:
        """From maps int64 ``(n, values)`` to the outputs of a function of tensors, float64."""
        dtype = self._flow.variable_dtype
        compiled: list[Callable[[Any], Any]] = []

        def run(numbers: np.ndarray) -> list[np.ndarray]:
            x = to_floats(numbers).astype(dtype).reshape(-1, *self._shape)
            if not compiled:
                eager = backend.runs_eagerly()
                compiled.append(
                    function
                    if eager
                    else backend.compile_function(function, (x,), 1, False, self._flow)
                )
            outputs = compiled[0](ops.convert_to_tensor(x))
            return [np.asarray(ops.convert_to_numpy(part), "float64") for part in outputs]

        return run
