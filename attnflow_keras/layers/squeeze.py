"""Layers that only move elements around."""

from typing import Any

import keras

from attnflow_keras import bijectors
from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.layers.flow_layer import FlowLayer


@keras.saving.register_keras_serializable(package="attnflow_keras")
@records_arguments
class Squeeze(FlowLayer):
    """``(h, w, c)`` to ``(h / factor, w / factor, c factor^2)``, channel-major.

    >>> layer = layers.Squeeze()
    >>> x = np.ones((2, 4, 4, 6), "float32")
    >>> y, log_det = layer(x)
    >>> tuple(y.shape), tuple(log_det.shape)
    ((2, 2, 2, 24), (2,))

    Args:
        factor: side of the cells that become channels.
        **kwargs: arguments of :class:`FlowLayer`.
    """

    def __init__(self, factor: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if factor < 2:
            raise ValueError(f"factor must be at least 2; got {factor}")
        self.factor = factor

    def build_map(self, shape: tuple[int, int, int]) -> None:
        self._check_sides(shape)

    def transform(self, x: Any, condition: Any, inverse: bool) -> tuple[Any, Any]:
        if not inverse:
            self._check_sides(tuple(x.shape[1:]))
        return super().transform(x, condition, inverse)

    def _check_sides(self, shape: tuple[int, int, int]) -> None:
        height, width, _ = shape
        if height % self.factor or width % self.factor:
            raise ValueError(
                f"{self.name}: a map of {height}x{width} can't be squeezed; both sides must be "
                f"divisible by {self.factor}"
            )

    def bijector(self, condition: Any = None) -> bijectors.Squeeze:
        return bijectors.Squeeze(self.factor)

    def output_map_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        height, width, channels = shape
        return height // self.factor, width // self.factor, channels * self.factor**2


@keras.saving.register_keras_serializable(package="attnflow_keras")
class FlipHalves(FlowLayer):
    """Swap the two halves of the channels, so that the next coupling transforms the other.

    >>> layer = layers.FlipHalves()
    >>> x = np.ones((2, 4, 4, 6), "float32")
    >>> y, log_det = layer(x)
    >>> tuple(y.shape), tuple(log_det.shape)
    ((2, 4, 4, 6), (2,))
    """

    def bijector(self, condition: Any = None) -> bijectors.FlipHalves:
        return bijectors.FlipHalves()
