"""The logit of float images, at the front of a flow."""

from typing import Any

import keras

from attnflow_keras import bijectors
from attnflow_keras.core.checks import check_number
from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.layers.flow_layer import FlowLayer


@keras.saving.register_keras_serializable(package="attnflow_keras")
@records_arguments
class Logit(FlowLayer):
    """``logit(margin + (1 - 2 margin) (x + 1/2))`` of float images (RealNVP, arXiv:1605.08803).

    It gives grey levels at the ends of the range, such as a dark background, as much space as those
    in the middle. Outside [-1/2, 1/2] the function is continued linearly.

    >>> layer = layers.Logit(margin=0.05)
    >>> y, log_det = layer(np.full((2, 4, 4, 1), 0.5, "float32"))
    >>> round(float(y[0, 0, 0, 0]), 3)
    2.944

    Args:
        margin: margin at each end of [0, 1], in (0, 1/2).
        **kwargs: arguments of :class:`FlowLayer`.
    """

    def __init__(self, margin: float = 0.05, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.margin = check_number("margin", margin, "(0, 0.5)")

    def transform(self, x: Any, condition: Any, inverse: bool) -> tuple[Any, Any]:
        bijector = bijectors.Logit(self.margin)
        return bijector.inverse_and_log_det(x) if inverse else bijector.forward_and_log_det(x)
