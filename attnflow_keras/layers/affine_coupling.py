"""Affine coupling."""

from typing import Any

import keras

from attnflow_keras.bijectors import ShiftScale
from attnflow_keras.core.checks import check_choice, check_number
from attnflow_keras.layers.coupling import NetworkCoupling
from attnflow_keras.networks.conditioner import Conditioner
from attnflow_keras.ops.numerics import check_scale_floor, sigmoid_log_scale, soft_clamp
from attnflow_keras.ops.step_noise import StepNoise

Tensor = Any

SCALES = ("exp", "sigmoid")


@keras.saving.register_keras_serializable(package="attnflow_keras")
class AffineCoupling(NetworkCoupling):
    """``y_a = (x_a + shift(x_b)) * scale(x_b)``, ``y_b = x_b`` (RealNVP, Glow).

    >>> layer = layers.AffineCoupling(networks.GatedConvNet(width=8))
    >>> x = np.ones((2, 4, 4, 6), "float32")
    >>> y, log_det = layer(x)
    >>> tuple(y.shape), tuple(log_det.shape)
    ((2, 4, 4, 6), (2,))

    Args:
        conditioner: the network for shift and scale, 2 outputs per transformed channel.
        log_scale_bound: soft bound of the log-scale; no effect on a sigmoid.
        scale: ``"exp"``, or ``"sigmoid"`` for SRFlow's ``sigmoid(raw + 2) + 1e-4``.
        scale_floor: smallest scale of a sigmoid. The inverse divides by it: with many couplings and
            1e-4, inputs unlike the training data can grow without bound.
        **kwargs: arguments of :class:`FlowLayer`.
    """

    def __init__(
        self,
        conditioner: Conditioner,
        log_scale_bound: float = 2.0,
        scale: str = "exp",
        scale_floor: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(conditioner, **kwargs)
        check_number("log_scale_bound", log_scale_bound, "(0, inf)")
        check_choice("scale", scale, SCALES)
        self.log_scale_bound = log_scale_bound if scale == "exp" else None
        self._bound = log_scale_bound
        if scale_floor and scale != "sigmoid":
            raise ValueError(f"scale_floor is for scale='sigmoid'; got {scale_floor}")
        self.scale = scale
        self.scale_floor = check_scale_floor(scale_floor)

    def parameters_per_element(self) -> int:
        return 2

    def transformed_bijector(
        self, identity: Tensor, condition: Tensor | None, noise: StepNoise | None = None
    ) -> ShiftScale:
        raw = self.run_conditioner(identity, condition, noise)
        shift, raw_scale = keras.ops.split(raw, 2, axis=-1)
        if self.scale == "sigmoid":
            return ShiftScale(shift, sigmoid_log_scale(raw_scale, self.scale_floor))
        return ShiftScale(shift, soft_clamp(raw_scale, self._bound))

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "log_scale_bound": self._bound}
        if self.scale_floor:
            config["scale_floor"] = self.scale_floor
        return {**config, "scale": self.scale} if self.scale != "exp" else config
