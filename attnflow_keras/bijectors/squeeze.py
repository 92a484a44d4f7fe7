"""Trade resolution for channels."""

from typing import Any

from keras import ops

from attnflow_keras.bijectors.base import FlowBijector, per_sample

Tensor = Any


class Squeeze(FlowBijector):
    """``(h, w, c)`` to ``(h / f, w / f, c f^2)``, channel-major as in Glow's reference code.

    Output channel ``c f^2 + dy f + dx`` holds channel ``c`` at offset ``(dy, dx)`` of each
    cell, which differs from the order of ``space_to_depth``.

    >>> squeeze = bijectors.Squeeze(factor=2)
    >>> y, log_det = squeeze.forward_and_log_det(np.zeros((2, 4, 4, 3), "float32"))
    >>> tuple(y.shape)
    (2, 2, 2, 12)

    Args:
        factor: side ``f`` of the cells.
        name: name of the bijector.
    """

    def __init__(self, factor: int = 2, name: str = "squeeze") -> None:
        self.factor = factor
        super().__init__(name=name, factor=factor)

    def forward_and_log_det(self, x: Tensor) -> tuple[Tensor, Tensor]:
        f = self.factor
        n, h, w, c = ops.shape(x)
        y = ops.reshape(x, (n, h // f, f, w // f, f, c))
        y = ops.transpose(y, (0, 1, 3, 5, 2, 4))
        return ops.reshape(y, (n, h // f, w // f, c * f * f)), _zeros(x)

    def inverse_and_log_det(self, y: Tensor) -> tuple[Tensor, Tensor]:
        f = self.factor
        n, h, w, c = ops.shape(y)
        x = ops.reshape(y, (n, h, w, c // (f * f), f, f))
        x = ops.transpose(x, (0, 1, 4, 2, 5, 3))
        return ops.reshape(x, (n, h * f, w * f, c // (f * f))), _zeros(y)


class FlipHalves(FlowBijector):
    """Swap the two halves of the channels ("tuple flip").

    >>> flip = bijectors.FlipHalves()
    >>> y, log_det = flip.forward_and_log_det(np.arange(4, dtype="float32").reshape(1, 1, 1, 4))
    >>> np.array(y).ravel().tolist()
    [2.0, 3.0, 0.0, 1.0]

    Args:
        name: name of the bijector.
    """

    def __init__(self, name: str = "flip_halves") -> None:
        super().__init__(name=name)

    def forward_and_log_det(self, x: Tensor) -> tuple[Tensor, Tensor]:
        half = x.shape[-1] // 2
        return ops.concatenate([x[..., half:], x[..., :half]], axis=-1), _zeros(x)

    def inverse_and_log_det(self, y: Tensor) -> tuple[Tensor, Tensor]:
        half = y.shape[-1] - y.shape[-1] // 2
        return ops.concatenate([y[..., half:], y[..., :half]], axis=-1), _zeros(y)


def _zeros(x: Tensor) -> Tensor:
    return per_sample(ops.zeros((), dtype=x.dtype), x)
