"""Channel-autoregressive prior as an invertible layer to standardized latents."""

from typing import Any

import keras
from keras import ops

from attnflow_keras.bijectors import ChannelAutoregressive
from attnflow_keras.bijectors.base import value_range
from attnflow_keras.layers.flow_layer import FlowLayer
from attnflow_keras.networks.conv_lstm import ConvLSTM
from attnflow_keras.networks.initializers import fan_in_uniform
from attnflow_keras.ops.channels_last import conv2d
from attnflow_keras.ops.numerics import check_input_bound, clipped, soft_clamp

Tensor = Any

LOG_SD_BOUND = 5.0
CONDITION_MAPS = 4


@keras.saving.register_keras_serializable(package="attnflow_keras")
class AutoregressivePrior(FlowLayer):
    """``eps_t = (z_t - mean_t) exp(-log_sd_t)``, channel t given the channels before it.

    The multi-scale autoregressive prior of mAR-SCF (arXiv:2003.03891, section 3.2): a ConvLSTM
    reads the channels in order, together with four maps computed by two 5x5 convolutions from the
    channels that continue (the condition), if there are any. The likelihood needs all channels
    at once; the inverse, which samples use, goes channel by channel. The log-sd is softly
    bounded by +-5.

    >>> prior = priors.AutoregressivePrior(width=4, depth=1)
    >>> z = np.ones((2, 4, 4, 6), "float32")
    >>> eps, log_det = prior(z)
    >>> tuple(eps.shape), tuple(log_det.shape)
    ((2, 4, 4, 6), (2,))

    Args:
        width: channels of the ConvLSTM.
        depth: its layers.
        kernel_size: side of its kernels and of the embedding's, odd.
        dilation: dilation of the ConvLSTM's kernels.
        input_bound: the convolutions see the condition cut at +-input_bound; None for no bound,
            or for the flow's, see :class:`Flow`.
        **kwargs: arguments of :class:`FlowLayer`.
    """

    def __init__(
        self,
        width: int = 32,
        depth: int = 3,
        kernel_size: int = 3,
        dilation: int = 1,
        input_bound: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.input_bound = check_input_bound(input_bound)
        # Its output decides the latents directly, so it works in the variable dtype.
        self.lstm = ConvLSTM(
            width, depth, kernel_size, dilation, dtype=self.variable_dtype, name="lstm"
        )

    def build_map(self, shape: tuple[int, int, int]) -> None:
        lstm = self.lstm
        inputs = 1
        if self.condition_channels:
            inputs += CONDITION_MAPS
            self._conv("condition_in", self.condition_channels, lstm.width, 5)
            self._conv("condition_out", lstm.width, CONDITION_MAPS, 5)
        self._conv("embedding", inputs, lstm.width, lstm.kernel_size)
        if not lstm.built:  # a deserialized one is
            lstm.build((None, None, *shape[:2], lstm.width))
        self._conv("moments", lstm.width, 2, 3)

    # Log-sds approach it, never reach it.
    log_scale_bound = LOG_SD_BOUND

    def statistics(self, x: Tensor, condition: Tensor | None = None) -> dict[str, Any]:
        self._check_condition(x, condition)
        x, condition = (
            None if t is None else ops.cast(ops.convert_to_tensor(t), self.variable_dtype)
            for t in (x, condition)
        )
        _, log_sd = self.bijector(condition).all_at_once(x)
        return {"log_scale": value_range(-log_sd)}

    def bijector(self, condition: Any = None) -> ChannelAutoregressive:
        maps = None
        if condition is not None:
            condition = clipped(condition, self.input_bound)
            maps = self.condition_out(ops.relu(self.condition_in(condition)))

        def moments(h: Tensor) -> tuple[Tensor, Tensor]:
            mean, log_sd = ops.split(self.moments(h), 2, axis=-1)
            return mean, soft_clamp(log_sd, LOG_SD_BOUND)

        def all_at_once(z: Tensor) -> tuple[Tensor, Tensor]:
            n, h, w, channels = ops.shape(z)
            before = ops.pad(z[..., :-1], [[0, 0], [0, 0], [0, 0], [1, 0]])
            before = ops.expand_dims(ops.transpose(before, (3, 0, 1, 2)), -1)
            if maps is not None:
                repeated = ops.broadcast_to(maps[None], (channels, n, h, w, CONDITION_MAPS))
                before = ops.concatenate([before, repeated], axis=-1)
            embedded = self.embedding(ops.reshape(before, (-1, h, w, before.shape[-1])))
            hidden = self.lstm(ops.reshape(embedded, (channels, n, h, w, self.lstm.width)))
            mean, log_sd = moments(ops.reshape(hidden, (-1, h, w, self.lstm.width)))
            return tuple(
                ops.transpose(ops.reshape(m, (channels, n, h, w)), (1, 2, 3, 0))
                for m in (mean, log_sd)
            )

        def start(like: Tensor) -> tuple[Tensor, ...]:
            return self.lstm.initial_state(ops.repeat(like, self.lstm.width, axis=-1))

        def step(before: Tensor, state: Any) -> Any:
            if maps is not None:
                before = ops.concatenate([before, maps], axis=-1)
            h, state = self.lstm.step(self.embedding(before), state)
            return (*moments(h), state)

        return ChannelAutoregressive(all_at_once, start, step)

    def get_config(self) -> dict[str, Any]:
        bound = {} if self.input_bound is None else {"input_bound": self.input_bound}
        return {
            **super().get_config(),
            "width": self.lstm.width,
            "depth": self.lstm.depth,
            "kernel_size": self.lstm.kernel_size,
            "dilation": self.lstm.dilation,
            **bound,
        }

    def _conv(self, name: str, inputs: int, filters: int, kernel: int) -> None:
        start = fan_in_uniform(inputs * kernel * kernel)
        layer = conv2d(
            filters,
            kernel,
            padding="same",
            kernel_initializer=start,
            bias_initializer=start,
            dtype=self.variable_dtype,
            name=name,
        )
        layer.build((None, None, None, inputs))
        setattr(self, name, layer)
