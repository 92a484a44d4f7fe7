"""Affine injector: the condition moves every element."""

from typing import Any

import keras

from attnflow_keras.bijectors import FlowBijector, ShiftScale
from attnflow_keras.layers.conditioner import ConditionedLayer
from attnflow_keras.networks.conditioner import Conditioner
from attnflow_keras.ops.numerics import check_scale_floor, sigmoid_log_scale
from attnflow_keras.ops.step_noise import StepNoise

Tensor = Any


@keras.saving.register_keras_serializable(package="attnflow_keras")
class AffineInjector(ConditionedLayer):
    """``y = (x + shift(c)) * scale(c)`` for a condition c (SRFlow, arXiv:2006.14200, section 3.4).

    ``scale = sigmoid(raw + 2) + 1e-4``, so that the inverse amplifies by 10,000 at most.

    >>> layer = layers.AffineInjector(networks.ActNormConvNet(width=8), condition_channels=3)
    >>> x = np.ones((2, 4, 4, 6), "float32")
    >>> y, log_det = layer(x, condition=np.zeros((2, 4, 4, 3), "float32"))
    >>> tuple(y.shape), tuple(log_det.shape)
    ((2, 4, 4, 6), (2,))

    Args:
        conditioner: the network for shift and scale on the condition, 2 outputs per channel.
        scale_floor: smallest scale, see :class:`AffineCoupling`.
        **kwargs: arguments of :class:`ConditionerLayer`; ``condition_channels`` must be given.
    """

    def __init__(self, conditioner: Conditioner, scale_floor: float = 0.0, **kwargs: Any) -> None:
        super().__init__(conditioner, **kwargs)
        self.scale_floor = check_scale_floor(scale_floor)

    def build_map(self, shape: tuple[int, int, int]) -> None:
        self.build_conditioner((*shape[:2], self.condition_channels), 2 * shape[-1])

    def bijector(self, condition: Any = None, noise: StepNoise | None = None) -> FlowBijector:
        raw = self.conditioner_output(condition, noise)
        shift, raw_scale = keras.ops.split(raw, 2, axis=-1)
        return ShiftScale(shift, sigmoid_log_scale(raw_scale, self.scale_floor))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {**config, "scale_floor": self.scale_floor} if self.scale_floor else config
