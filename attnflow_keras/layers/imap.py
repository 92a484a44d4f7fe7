"""Invertible map attention (iMap)."""

from typing import Any

import keras
import numpy as np
from keras import ops

from attnflow_keras import backend
from attnflow_keras.bijectors import ShiftScale
from attnflow_keras.core.checks import check_choice, check_number
from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.layers.coupling import Coupling
from attnflow_keras.layers.masks import MASKS, make_mask
from attnflow_keras.layers.partition import MaskSplit
from attnflow_keras.ops.numerics import softplus
from attnflow_keras.ops.step_noise import StepNoise

Tensor = Any

BIASES = ("element", "channel")
POOLS = ("channel", "space", "none")
FORMS = ("stable", "paper")


@keras.saving.register_keras_serializable(package="attnflow_keras")
@records_arguments
class IMapAttention(Coupling):
    """Scale one half of the map by attention weights computed on the other half.

    With mask M (1 = identity), ``x1 = M h`` and ``x2 = (1 - M) h`` (paper, equations 4 to 7, with
    the determinant taken in the direction it is needed):

    * attention ``a = pool(tanh(conv1x1(x1)))``, one value per position (mean over the channels)
      or per channel (mean over the positions);
    * ``y1 = x1 g(b)``, ``y2 = x2 g(a)`` with ``g(a) = lo + (2 - 2 lo) sigmoid(a)``;
    * ``log|det| = sum_{M=1} log g(b) + sum_{M=0} log g(a)``.

    ``g(0) = 1``: the layer starts near the identity, and each weight lies in (lo, 2 - lo), so
    that the inverse amplifies by at most ``1 / lo``.

    ``form="paper"`` is the layer as printed: no tanh and ``g = sigmoid``. It is invertible for
    every finite ``a``, but the inverse, which divides by ``sigmoid(a)``, has no bound: in float32
    the input is lost where a falls below -88. It also halves the map at initialization.

    With ``mask="spatial"`` and ``pool="channel"`` all channels of a transformed position are
    hidden from the attention, which is then a constant that does not depend on the data.

    >>> layer = layers.IMapAttention(mask="channel")
    >>> x = np.ones((2, 4, 4, 6), "float32")
    >>> y, log_det = layer(x)
    >>> tuple(y.shape), tuple(log_det.shape)
    ((2, 4, 4, 6), (2,))

    Args:
        mask: ``"spatial"``, ``"channel"``, ``"channel_alternating"``, ``"random"`` or
            ``"spatial_channel"``.
        form: ``"stable"`` or ``"paper"``.
        pool: dimension that the attention is averaged over: ``"channel"``, for one weight per
            position, computed from that position only, or ``"space"`` (the paper's footnote 5),
            for one weight per channel, which links all positions. ``"none"`` gives each element
            its own weight: a plain scale coupling with the same mask and parameters, as a control
            for attention.
        floor: ``lo``, the smallest attention weight, in (0, 1); no effect in the paper's form.
        bias: ``"element"``, one ``b`` per identity element (fixes the map's size), or
            ``"channel"``, one per channel.
        seed: seed of the random mask.
        **kwargs: arguments of :class:`FlowLayer`.
    """

    def __init__(
        self,
        mask: str = "spatial_channel",
        form: str = "stable",
        pool: str = "channel",
        floor: float = 0.05,
        bias: str = "element",
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        check_choice("mask", mask, MASKS)
        check_choice("form", form, FORMS)
        check_choice("pool", pool, POOLS)
        check_number("floor", floor, "(0, 1)")
        check_choice("bias", bias, BIASES)
        self.mask = mask
        self.form = form
        self.pool = pool
        self.floor = floor
        self.bias = bias
        self.seed = seed
        self.any_size = bias == "channel"

    @property
    def caveat(self) -> str | None:
        if self.form == "paper":
            return (
                "form='paper' divides by a sigmoid that nothing bounds; in float32 the inverse "
                "loses its input where a logit falls below -88"
            )
        return None

    def build_map(self, shape: tuple[int, int, int]) -> None:
        channels = shape[-1]
        identity = int(self.mask_for(shape).sum())
        self.kernel = self.add_weight(
            (channels + self.condition_channels, channels),
            keras.initializers.RandomNormal(stddev=0.05),
            name="kernel",
            autocast=False,
        )
        self.offset = self.add_weight((channels,), "zeros", name="offset", autocast=False)
        self.identity_logit = self.add_weight(
            (identity if self.bias == "element" else channels,),
            "zeros",
            name="identity_logit",
            autocast=False,
        )

    def mask_for(self, shape: tuple[int, int, int]) -> np.ndarray:
        """The mask for maps of this shape, ``(h, w, c)``."""
        return make_mask(self.mask, shape, self.seed)

    def partition(self, shape: tuple[int, int, int]) -> MaskSplit:
        return MaskSplit(self.mask_for(shape))

    def attention(self, identity: Tensor, condition: Tensor | None) -> Tensor:
        """Logits ``a``, by pool ``(n, h, w, 1)``, ``(n, 1, 1, c)`` or ``(n, h, w, c)``."""
        inputs = identity if condition is None else ops.concatenate([identity, condition], axis=-1)
        mapped = ops.matmul(inputs, self.kernel) + self.offset
        if self.form == "stable":
            mapped = backend.tanh(mapped)
        if self.pool == "none":
            return mapped
        return backend.mean(mapped, axis=-1 if self.pool == "channel" else (1, 2), keepdims=True)

    def transformed_bijector(
        self, identity: Tensor, condition: Tensor | None, noise: StepNoise | None = None
    ) -> ShiftScale:
        log_weight = self._log_gate(self.attention(identity, condition))
        transformed = ops.cast(1.0 - self.mask_for(tuple(identity.shape[1:])), identity.dtype)
        return ShiftScale(None, log_weight * transformed)

    def identity_bijector(self, shape: tuple[int, int, int]) -> ShiftScale:
        mask = self.mask_for(shape)
        logits = ops.convert_to_tensor(self.identity_logit)
        if self.bias == "element":
            # Each identity element reads its own entry; the others read a zero at the end.
            places = np.where(mask.ravel() == 1, np.cumsum(mask.ravel()) - 1, mask.sum())
            padded = ops.concatenate([logits, ops.zeros((1,), dtype=logits.dtype)])
            logits = ops.reshape(ops.take(padded, places.astype("int32")), (1, *shape))
        log_weight = self._log_gate(logits) * ops.cast(mask[None], logits.dtype)
        return ShiftScale(None, log_weight)

    def _log_gate(self, logit: Tensor) -> Tensor:
        if self.form == "paper":
            return -softplus(-logit)
        return ops.log(self.floor + (2.0 - 2.0 * self.floor) * ops.sigmoid(logit))
