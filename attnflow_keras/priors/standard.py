"""The prior that changes nothing."""

from typing import Any

import keras

from attnflow_keras.bijectors.base import per_sample
from attnflow_keras.layers.flow_layer import FlowLayer

Tensor = Any


@keras.saving.register_keras_serializable(package="attnflow_keras")
class StandardPrior(FlowLayer):
    """``eps = z``: the latents are N(0, I) without a further map (SRFlow's top prior).

    >>> prior = priors.StandardPrior()
    >>> z = np.ones((2, 4, 4, 6), "float32")
    >>> eps, log_det = prior(z)
    >>> tuple(eps.shape), tuple(log_det.shape)
    ((2, 4, 4, 6), (2,))

    Args are those of :class:`FlowLayer`.
    """

    def transform(self, x: Tensor, condition: Any, inverse: bool) -> tuple[Tensor, Tensor]:
        return x, per_sample(keras.ops.zeros((), dtype=x.dtype), x)
