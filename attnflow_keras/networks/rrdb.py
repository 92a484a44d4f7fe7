"""The low-resolution encoder of SRFlow."""

import math
from typing import Any

import keras
from keras import ops

from attnflow_keras.core.checks import check_integer, check_power_of_two
from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.ops.channels_last import average_pool, conv2d

Tensor = Any

RESIDUAL = 0.2
SLOPE = 0.2


@keras.saving.register_keras_serializable(package="attnflow_keras")
@records_arguments
class DenseBlock(keras.layers.Layer):
    """Five 3x3 convolutions, each of which sees all maps before it; ``x + 0.2 conv_4(...)``.

    Args:
        growth: channels that each of the first four convolutions adds.
        **kwargs: arguments of ``keras.layers.Layer``.
    """

    def __init__(self, growth: int = 32, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.growth = growth

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = int(input_shape[-1] or 0)
        for i in range(5):
            filters = self.growth if i < 4 else channels
            shape = (*input_shape[:3], channels + i * self.growth)
            setattr(self, f"conv_{i}", conv3x3(f"conv_{i}", shape, filters, self.dtype_policy))
        self.built = True

    def call(self, x: Tensor) -> Tensor:
        maps = x
        for i in range(4):
            new = ops.leaky_relu(getattr(self, f"conv_{i}")(maps), SLOPE)
            maps = ops.concatenate([maps, new], axis=-1)
        return x + RESIDUAL * self.conv_4(maps)


@keras.saving.register_keras_serializable(package="attnflow_keras")
@records_arguments
class RRDBNet(keras.layers.Layer):
    """Residual-in-residual dense blocks (ESRGAN, arXiv:1809.00219) on a low-resolution image.

    :meth:`encode` gives SRFlow's features at several resolutions, calling the layer a restored
    image, for which it is trained alone at first.

    >>> encoder = networks.RRDBNet(features=8, growth=4, blocks=1, stacked=(0,), scale=2)
    >>> tuple(encoder(np.zeros((1, 4, 4, 3), "float32")).shape)
    (1, 8, 8, 3)

    Args:
        features: channels of the maps.
        growth: channels that a convolution of a dense block adds.
        blocks: number of blocks, three dense blocks each.
        stacked: blocks (from 0) whose outputs are stacked onto every feature map.
        scale: factor of super-resolution, a power of 2.
        **kwargs: arguments of ``keras.layers.Layer``.
    """

    def __init__(
        self,
        features: int = 64,
        growth: int = 32,
        blocks: int = 8,
        stacked: tuple[int, ...] = (1, 3, 5, 7),
        scale: int = 8,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (("features", features), ("growth", growth), ("blocks", blocks)):
            check_integer(name, value)
        check_power_of_two("scale", scale)
        wrong = [block for block in stacked if block not in range(blocks)]
        if wrong:
            raise ValueError(
                f"stacked must name blocks from 0 to {blocks - 1}; got {tuple(stacked)}"
            )
        self.features = features
        self.growth = growth
        self.blocks = blocks
        self.stacked = tuple(stacked)
        self.scale = scale

    @property
    def condition_channels(self) -> int:
        """Channels of a map of :meth:`encode`."""
        return self.features * (1 + len(self.stacked))

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        policy, width = self.dtype_policy, self.features
        maps = (*input_shape[:3], width)
        self.conv_in = conv3x3("conv_in", input_shape, width, policy)
        for i in range(self.blocks):
            for j in range(3):
                block = DenseBlock(self.growth, dtype=policy, name=f"block_{i}_{j}")
                block.build(maps)
                setattr(self, f"block_{i}_{j}", block)
        self.conv_trunk = conv3x3("conv_trunk", maps, width, policy)
        for i in range(self.doublings):
            setattr(self, f"conv_up_{i}", conv3x3(f"conv_up_{i}", maps, width, policy))
        self.conv_high = conv3x3("conv_high", maps, width, policy)
        self.conv_out = conv3x3("conv_out", maps, int(input_shape[-1] or 0), policy)
        self.built = True

    @property
    def doublings(self) -> int:
        """How often the side is doubled on the way to the high-resolution image."""
        return int(math.log2(self.scale))

    def encode(self, x: Tensor, doublings: list[int], restore: bool = False) -> tuple[Tensor, ...]:
        """Feature maps of an image in [0, 1].

        Args:
            x: ``(n, h, w, c)``.
            doublings: for each wanted map, how often its side is doubled; -1 for half of it.
            restore: give the restored image as well, as the last one.

        Returns:
            Maps ``(n, h 2^d, w 2^d, condition_channels)``.
        """
        own, stack = self._maps(x, self.doublings if restore else max(0, *doublings))
        if min(doublings) < 0:
            own[-1] = average_pool(own[0], 2, 2)
        maps = tuple(
            ops.concatenate([own[d], *(_resized(block, d) for block in stack)], axis=-1)
            for d in doublings
        )
        return (*maps, self._restored(own[self.doublings])) if restore else maps

    def call(self, x: Tensor) -> Tensor:
        """The restored image ``(n, scale h, scale w, c)`` of one in [0, 1]."""
        own, _ = self._maps(x, self.doublings)
        return self._restored(own[self.doublings])

    def _restored(self, largest: Tensor) -> Tensor:
        high = self.conv_high(ops.leaky_relu(largest, SLOPE))
        return self.conv_out(ops.leaky_relu(high, SLOPE))

    def _maps(self, x: Tensor, doublings: int) -> tuple[dict[int, Tensor], list[Tensor]]:
        first = self.conv_in(x)
        h = first
        stack = []
        for i in range(self.blocks):
            inner = h
            for j in range(3):
                inner = getattr(self, f"block_{i}_{j}")(inner)
            h = h + RESIDUAL * inner
            if i in self.stacked:
                stack.append(h)
        own = {0: first + self.conv_trunk(h)}
        for i in range(doublings):
            # Activated between the convolutions only: the maps are those before it.
            before = own[i] if i == 0 else ops.leaky_relu(own[i], SLOPE)
            own[i + 1] = getattr(self, f"conv_up_{i}")(_resized(before, 1))
        return own, stack

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        n, *sides, channels = input_shape
        return (n, *(side and side * self.scale for side in sides), channels)


def conv3x3(name: str, input_shape: Any, filters: int, policy: Any) -> keras.layers.Conv2D:
    """A built 3x3 convolution with the small start of ESRGAN (He normal, a tenth as large)."""
    layer = conv2d(
        filters,
        3,
        padding="same",
        kernel_initializer=keras.initializers.VarianceScaling(0.02, "fan_in", "untruncated_normal"),
        dtype=policy,
        name=name,
    )
    layer.build(input_shape)
    return layer


def _resized(x: Tensor, doublings: int) -> Tensor:
    """Nearest neighbours: each element repeated, or every second one."""
    if doublings < 0:
        return x[:, :: 2**-doublings, :: 2**-doublings]
    if doublings == 0:
        return x
    times = 2**doublings
    n, h, w, c = ops.shape(x)
    x = ops.reshape(x, (n, h, 1, w, 1, c))
    x = ops.broadcast_to(x, (n, h, times, w, times, c))
    return ops.reshape(x, (n, h * times, w * times, c))
