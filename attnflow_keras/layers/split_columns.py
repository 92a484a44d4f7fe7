"""Columns as channels, for couplings of even and odd columns."""

from typing import Any

import keras

from attnflow_keras import bijectors
from attnflow_keras.core.checks import check_flag
from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.layers.flow_layer import FlowLayer


@keras.saving.register_keras_serializable(package="attnflow_keras")
@records_arguments
class SplitColumns(FlowLayer):
    """``(h, w, c)`` to ``(h, w / 2, 2 c)``: even columns become the first half of the channels.

    A coupling of channel halves after it is one of even and odd columns (Flow++).

    >>> layer = layers.SplitColumns()
    >>> y, log_det = layer(np.ones((2, 4, 4, 3), "float32"))
    >>> tuple(y.shape), tuple(log_det.shape)
    ((2, 4, 2, 6), (2,))

    Args:
        merge: the other way round, ``(h, w, 2 c)`` to ``(h, 2 w, c)``.
        **kwargs: arguments of :class:`FlowLayer`.
    """

    def __init__(self, merge: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.merge = check_flag("merge", merge)

    def build_map(self, shape: tuple[int, int, int]) -> None:
        what, size = ("channels", shape[2]) if self.merge else ("columns", shape[1])
        if size % 2:
            raise ValueError(f"{self.name}: the number of {what} must be even; got {size}")

    def transform(self, x: Any, condition: Any, inverse: bool) -> tuple[Any, Any]:
        if not self.merge and not inverse:
            self.build_map(tuple(x.shape[1:]))
        bijector = bijectors.SplitColumns()
        if inverse != self.merge:
            return bijector.inverse_and_log_det(x)
        return bijector.forward_and_log_det(x)

    def output_map_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        height, width, channels = shape
        if self.merge:
            return height, 2 * width, channels // 2
        return height, width // 2, 2 * channels
