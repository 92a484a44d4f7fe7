"""The paper's conditioner: gated convolutions and self-attention."""

from typing import Any

import keras
import numpy as np
from keras import ops

from attnflow_keras import backend
from attnflow_keras.core.checks import check_integer, check_number
from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.networks.conditioner import Conditioner
from attnflow_keras.networks.weight_norm import WeightNormConv2D
from attnflow_keras.ops.step_noise import StepNoise, dropped

Tensor = Any


@keras.saving.register_keras_serializable(package="attnflow_keras")
@records_arguments
class GatedAttentionNet(Conditioner):
    """Residual network of gated convolutions and self-attention (Flow++, mAR-SCF).

    ``conv3x3``, then ``blocks`` times a gated convolution and a gated attention over all
    positions, each added to its input and followed by a layer normalization over channels, then
    ``conv3x3`` to ``out_channels``. All convolutions and linear maps are weight-normalized. It
    runs in the policy's compute dtype.

    >>> network = networks.GatedAttentionNet(width=8, blocks=1, heads=2, out_channels=4)
    >>> tuple(network(np.zeros((2, 4, 4, 6), "float32")).shape)
    (2, 4, 4, 4)

    Args:
        width: channels of the hidden maps; even and divisible by ``heads``.
        blocks: number of pairs of gated convolution and attention.
        heads: heads of the self-attention.
        dropout: rate in training, of whole channels in the gated convolutions and of weights
            in the attention.
        out_channels: channels of the output; a coupling sets it before it builds the network.
        out_scale: factor of the start of the last convolution; 1 is mAR-SCF's, 0.1 Flow++'s.
        **kwargs: arguments of ``keras.layers.Layer``.
    """

    def __init__(
        self,
        width: int = 96,
        blocks: int = 10,
        heads: int = 4,
        dropout: float = 0.2,
        out_channels: int | None = None,
        out_scale: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(out_channels, **kwargs)
        self.width = check_integer("width", width)
        self.blocks = check_integer("blocks", blocks, 0)
        self.heads = check_integer("heads", heads)
        if width % heads or width % 2:
            raise ValueError(
                f"width must be even and divisible by heads; got width={width}, heads={heads}"
            )
        self.dropout = check_number("dropout", dropout, "[0, 1)")
        self.out_scale = out_scale

    def build_network(self, shape: Any) -> None:
        width = self.width
        self._conv("conv_in", shape[-1], width, 3)
        for i in range(self.blocks):
            self._conv(f"spatial_{i}", 2 * width, width, 3)
            self._conv(f"gate_{i}", 2 * width, 2 * width, 1)
            self._norm(f"norm_{i}")
            self._conv(f"projection_{i}", width, 3 * width, 1, use_bias=False)
            self._conv(f"attention_gate_{i}", width, 2 * width, 1)
            self._norm(f"attention_norm_{i}")
        self._conv("conv_out", width, self.out_channels, 3, scale=self.out_scale)

    @property
    def takes_noise(self) -> bool:
        return self.dropout > 0

    def call(self, x: Tensor, noise: StepNoise | None = None) -> Tensor:
        h = self.conv_in(x)
        code = ops.cast(position_code(int(x.shape[1]), int(x.shape[2]), self.width), h.dtype)
        for i in range(self.blocks):
            h = getattr(self, f"norm_{i}")(h + self._convolve(i, h, noise))
            h = getattr(self, f"attention_norm_{i}")(h + self._attend(i, h, code, noise))
        return self.conv_out(h)

    def _convolve(self, i: int, h: Tensor, noise: StepNoise | None) -> Tensor:
        inner = concat_elu(getattr(self, f"spatial_{i}")(concat_elu(h)))
        n, _, _, channels = ops.shape(inner)
        inner = dropped(inner, self.dropout, noise, (n, 1, 1, channels))
        return _gated(getattr(self, f"gate_{i}")(inner))

    def _attend(self, i: int, h: Tensor, code: Tensor, noise: StepNoise | None) -> Tensor:
        n, height, width, _ = ops.shape(h)
        size = self.width // self.heads
        projected = getattr(self, f"projection_{i}")(h + code)
        projected = ops.reshape(projected, (n, height * width, 3, self.heads, size))
        key, value, query = ops.unstack(ops.transpose(projected, (2, 0, 3, 1, 4)), 3)
        scores = ops.matmul(query * size**-0.5, ops.transpose(key, (0, 1, 3, 2)))
        weights = ops.softmax(scores, axis=-1)
        weights = dropped(weights, self.dropout, noise)
        mixed = ops.transpose(ops.matmul(weights, value), (0, 2, 1, 3))
        mixed = ops.reshape(mixed, (n, height, width, self.width))
        return _gated(getattr(self, f"attention_gate_{i}")(mixed))

    def _conv(self, name: str, inputs: Any, filters: int, kernel: int, **options: Any) -> None:
        layer = WeightNormConv2D(filters, kernel, dtype=self.dtype_policy, name=name, **options)
        layer.build((None, None, None, inputs))
        setattr(self, name, layer)

    def _norm(self, name: str) -> None:
        layer = backend.LayerNormalization(epsilon=1e-5, dtype=self.dtype_policy, name=name)
        layer.build((None, None, None, self.width))
        setattr(self, name, layer)


def concat_elu(x: Tensor) -> Tensor:
    """``elu([x, -x])``, twice the channels."""
    return ops.elu(ops.concatenate([x, -x], axis=-1))


def position_code(height: int, width: int, channels: int) -> np.ndarray:
    """Sines and cosines of the row-major position, float64 ``(height, width, channels)``.

    ``channels / 2`` timescales from 1 to 10,000 in geometric progression, all sines first.
    """
    half = channels // 2
    timescale = 1e4 ** (np.arange(half) / max(half - 1, 1))
    angle = np.arange(height * width)[:, None] / timescale
    code = np.concatenate([np.sin(angle), np.cos(angle)], axis=1)
    return code.reshape(height, width, channels)


def _gated(pair: Tensor) -> Tensor:
    value, gate = ops.split(pair, 2, axis=-1)
    return value * ops.sigmoid(gate)
