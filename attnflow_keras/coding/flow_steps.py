"""Bits-back coding through all levels of a flow."""

from typing import Any

import numpy as np

from attnflow_keras.coding.layer_steps import UnsupportedLayerError, steps_of
from attnflow_keras.coding.local import LEVEL_BITS, UNIT_BITS
from attnflow_keras.coding.prior_steps import PriorStep
from attnflow_keras.coding.stack import Stack
from attnflow_keras.flow.flow import Flow


class FlowSteps:
    """Images of a flow on a stack.

    Args:
        flow: a flow without condition.

    Raises:
        UnsupportedLayerError: a flow with layers or noise that there are no steps for.
    """

    def __init__(self, flow: Any) -> None:
        if type(flow).traced_dequantized is not Flow.traced_dequantized:
            raise UnsupportedLayerError(f"{type(flow).__name__} may draw noise given the image")
        if flow.multi_scale.shift is not None:
            raise UnsupportedLayerError("it maps the difference from another image")
        self.values = int(np.prod(flow.float_shape))
        self._levels: list[Any] = []
        shape = flow.float_shape
        levels = flow.levels()
        for i, (layer, prior) in enumerate(levels):
            step = steps_of(layer, shape, flow)
            height, width, channels = shape = layer.output_map_shape(shape)
            if prior is not None:
                # The first half of the channels goes on, see MultiScale.
                count = channels // 2 if i < len(levels) - 1 else 0
                goes_on = np.broadcast_to(np.arange(channels) < count, shape).reshape(-1)
                kept = (height, width, count)
                prior = PriorStep(prior, (height, width, channels - count), kept, flow)
                self._levels.append((step, prior, goes_on))
                shape = kept
            else:
                self._levels.append((step, None, None))

    def encode(self, stack: Stack, levels: np.ndarray) -> None:
        """Push grey levels ``(n, values)``, uint8; their noise is popped."""
        noise = stack.pop_uniform(levels.size, LEVEL_BITS).reshape(levels.shape)
        x = (levels.astype("int64") << LEVEL_BITS) + noise - (1 << (UNIT_BITS - 1))
        for step, prior, goes_on in self._levels:
            x = step.encode(stack, x)
            if prior is not None:
                z, x = x[:, ~goes_on], x[:, goes_on]
                prior.push(stack, z, x)

    def decode(self, stack: Stack, n: int) -> np.ndarray:
        """Pop n images; undoes :meth:`encode`.

        Raises:
            ArithmeticError: values that are no grey levels, since the data are damaged.
        """
        x = np.zeros((n, 0), "int64")
        for step, prior, goes_on in reversed(self._levels):
            if prior is not None:
                z = prior.pop(stack, x)
                both = np.empty((n, len(goes_on)), "int64")
                both[:, goes_on], both[:, ~goes_on] = x, z
                x = both
            x = step.decode(stack, x)
        x = x + (1 << (UNIT_BITS - 1))
        levels = x >> LEVEL_BITS
        if levels.min() < 0 or levels.max() > 255:
            raise ArithmeticError("values outside of the range of grey levels")
        stack.push_uniform((x & ((1 << LEVEL_BITS) - 1)).reshape(-1), LEVEL_BITS)
        return levels.astype("uint8")
