"""Invertible 1x1 convolution."""

from typing import Any

import keras
import numpy as np
from keras import ops
from scipy.linalg import lu

from attnflow_keras.bijectors import ChannelMatmul
from attnflow_keras.core.checks import check_choice
from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.layers.flow_layer import FlowLayer
from attnflow_keras.ops.numerics import inverse_soft_clamp, soft_clamp

LAYOUTS = ("full_lu", "packed")
INITS = ("orthogonal", "identity")
LOG_DIAG_BOUND = 8.0


@keras.saving.register_keras_serializable(package="attnflow_keras")
@records_arguments
class InvertibleConv1x1(FlowLayer):
    """``y = P L U x`` at every position (Glow, arXiv:1807.03039, section 3.2).

    P and the signs of U's diagonal are fixed and saved; log|diagonal| is softly bounded by
    +-8, so that the determinant can't reach zero.

    >>> layer = layers.InvertibleConv1x1(layout="packed", seed=1)
    >>> x = np.ones((2, 4, 4, 6), "float32")
    >>> y, log_det = layer(x)
    >>> tuple(y.shape), tuple(log_det.shape)
    ((2, 4, 4, 6), (2,))

    Args:
        layout: ``"full_lu"`` keeps L, U and log|diagonal| in full arrays (2 c^2 + c
            parameters, as mAR-SCF and Full-Glow count them), ``"packed"`` keeps all three in
            one matrix (c^2).
        init: ``"orthogonal"``, a random rotation, or ``"identity"``.
        seed: seed of the random rotation.
        **kwargs: arguments of :class:`FlowLayer`.
    """

    log_scale_bound = LOG_DIAG_BOUND

    def __init__(
        self,
        layout: str = "full_lu",
        init: str = "orthogonal",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choice("layout", layout, LAYOUTS)
        check_choice("init", init, INITS)
        self.layout = layout
        self.init = init
        self.seed = seed

    def build_map(self, shape: tuple[int, int, int]) -> None:
        channels = shape[-1]
        start = np.eye(channels)
        if self.init == "orthogonal":
            start = random_rotation(channels, self.seed)
        permutation, lower, upper = lu(start)
        diagonal = np.diag(upper)
        raw = np.asarray(inverse_soft_clamp(np.log(np.abs(diagonal)), LOG_DIAG_BOUND))
        self.permutation = self._fixed("permutation", permutation)
        self.sign = self._fixed("sign", np.sign(diagonal))
        if self.layout == "full_lu":
            self.lower = self._trained("lower", np.tril(lower, -1))
            self.upper = self._trained("upper", np.triu(upper, 1))
            self.log_diag = self._trained("log_diag", raw)
        else:
            packed = np.tril(lower, -1) + np.triu(upper, 1) + np.diag(raw)
            self.packed = self._trained("packed", packed)

    def bijector(self, condition: Any = None) -> ChannelMatmul:
        channels = self.map_shape[-1]
        below = ops.cast(np.tril(np.ones((channels, channels)), -1), self.variable_dtype)
        identity = ops.cast(np.eye(channels), self.variable_dtype)
        if self.layout == "full_lu":
            lower, upper, raw = (
                ops.convert_to_tensor(v) for v in (self.lower, self.upper, self.log_diag)
            )
        else:
            lower = upper = ops.convert_to_tensor(self.packed)
            raw = ops.sum(lower * identity, axis=0)
        return ChannelMatmul(
            permutation=ops.convert_to_tensor(self.permutation),
            lower=lower * below + identity,
            strict_upper=upper * ops.transpose(below),
            sign=ops.convert_to_tensor(self.sign),
            log_abs_diag=soft_clamp(raw, LOG_DIAG_BOUND),
        )

    def _fixed(self, name: str, value: np.ndarray) -> Any:
        return self._weight(name, value, trainable=False)

    def _trained(self, name: str, value: np.ndarray) -> Any:
        return self._weight(name, value, trainable=True)

    def _weight(self, name: str, value: np.ndarray, trainable: bool) -> Any:
        return self.add_weight(
            value.shape,
            lambda shape, dtype: ops.convert_to_tensor(value, dtype=dtype),
            name=name,
            trainable=trainable,
            autocast=False,
        )


def random_rotation(channels: int, seed: int) -> np.ndarray:
    """A random orthogonal matrix, float64 ``(c, c)``."""
    rng = np.random.Generator(np.random.Philox(key=seed))
    return np.linalg.qr(rng.normal(size=(channels, channels)))[0]
