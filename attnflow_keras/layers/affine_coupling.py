"""Affine coupling."""

from typing import Any

import keras

from attnflow_keras.bijectors import ShiftScale
from attnflow_keras.layers.coupling import NetworkCoupling
from attnflow_keras.numerics import soft_clamp

Tensor = Any


@keras.saving.register_keras_serializable(package="attnflow_keras")
class AffineCoupling(NetworkCoupling):
    """``y_a = (x_a + shift(x_b)) * exp(log_scale(x_b))``, ``y_b = x_b`` (RealNVP, Glow).

    Args:
        conditioner: the network for shift and log-scale, 2 outputs a moved channel.
        log_scale_bound: soft bound of the log-scale.
        **kwargs: arguments of :class:`FlowLayer`.
    """

    def __init__(
        self, conditioner: keras.layers.Layer, log_scale_bound: float = 2.0, **kwargs: Any
    ) -> None:
        super().__init__(conditioner, **kwargs)
        if log_scale_bound <= 0:
            raise ValueError(f"log_scale_bound must be positive; got {log_scale_bound}")
        self.log_scale_bound = log_scale_bound

    def parameters_per_element(self) -> int:
        return 2

    def moved_bijector(self, kept: Tensor, condition: Tensor | None) -> ShiftScale:
        raw = self.run_conditioner(kept, condition)
        shift, log_scale = keras.ops.split(raw, 2, axis=-1)
        return ShiftScale(shift, soft_clamp(log_scale, self.log_scale_bound))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "log_scale_bound": self.log_scale_bound}
