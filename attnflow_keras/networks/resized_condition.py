"""C-Glow's conditioner of couplings."""

from typing import Any

import keras
from keras import ops

from attnflow_keras import backend
from attnflow_keras.bijectors import Squeeze
from attnflow_keras.core.checks import check_integer
from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.networks.actnorm_conv import ActNormConvNet
from attnflow_keras.networks.conditioner import Conditioner
from attnflow_keras.ops.channels_last import conv2d

Tensor = Any

BRANCH_WIDTH = 16


@keras.saving.register_keras_serializable(package="attnflow_keras")
@records_arguments
class ResizedConditionNet(Conditioner):
    """:class:`ActNormConvNet` of the identity part and a branch of the condition, then tanh.

    Source: C-Glow, arXiv:1905.13288.

    The last ``condition_channels`` of the input are the condition, squeezed to the size of the
    map. The branch spreads it out, then takes ``conv3x3, ReLU``, a convolution whose kernel and
    stride bring it back to the map's size, ``ReLU, conv3x3, ReLU``.

    >>> network = networks.ResizedConditionNet(
    ...     width=8, condition_channels=12, factor=2, out_channels=4
    ... )
    >>> tuple(network(np.zeros((2, 4, 4, 15), "float32")).shape)
    (2, 4, 4, 4)

    Args:
        width: channels of the hidden maps.
        condition_channels: how many of the input's channels are the condition.
        factor: by how much a side of the condition was squeezed.
        out_channels: channels of the output; a coupling sets it before it builds the network.
        **kwargs: arguments of ``keras.layers.Layer``.
    """

    def __init__(
        self,
        width: int,
        condition_channels: int,
        factor: int = 1,
        out_channels: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(out_channels, **kwargs)
        self.width = check_integer("width", width)
        self.condition_channels = check_integer("condition_channels", condition_channels)
        self.factor = check_integer("factor", factor)
        if condition_channels % factor**2:
            raise ValueError(
                f"condition_channels must be a multiple of factor ** 2 ({factor**2}); got "
                f"{condition_channels}"
            )

    def build_network(self, shape: Any) -> None:
        identity = int(shape[-1] or 0) - self.condition_channels
        channels = self.condition_channels // self.factor**2
        self.branch: list[keras.layers.Layer] = []
        for filters, kernel, stride in (
            (BRANCH_WIDTH, 3, 1),
            (identity, self.factor, self.factor),
            (identity, 3, 1),
        ):
            conv = conv2d(
                filters,
                kernel,
                stride,
                padding="same",
                activation="relu",
                dtype=self.dtype_policy,
                name=f"condition_{len(self.branch)}",
            )
            conv.build((None, None, None, channels))
            channels = filters
            self.branch.append(conv)
        self.main = ActNormConvNet(
            self.width, out_channels=self.out_channels, dtype=self.dtype_policy, name="main"
        )
        self.main.build((*shape[:3], 2 * identity))

    def call(self, x: Tensor) -> Tensor:
        return backend.tanh(self.main(self._joined(x)))

    def adapt(self, x: Tensor) -> None:
        """Set the actnorms from one batch of inputs."""
        self.main.adapt(self._joined(x))

    def _joined(self, x: Tensor) -> Tensor:
        identity = x[..., : -self.condition_channels]
        condition = x[..., -self.condition_channels :]
        if self.factor > 1:
            condition = Squeeze(self.factor).inverse_and_log_det(condition)[0]
        for conv in self.branch:
            condition = conv(condition)
        return ops.concatenate([ops.cast(identity, condition.dtype), condition], axis=-1)
