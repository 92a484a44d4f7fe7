"""Stacked convolutional LSTM."""

from typing import Any

import keras
from keras import ops

from attnflow_keras import backend
from attnflow_keras.core.checks import check_integer
from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.networks.initializers import fan_in_uniform
from attnflow_keras.ops import loops

Tensor = Any


@keras.saving.register_keras_serializable(package="attnflow_keras")
@records_arguments
class ConvLSTM(keras.layers.Layer):
    """Layers of ``(i, f, g, o) = conv(x) + conv(h)``, ``c = f c + i g``, ``h = o tanh(c)``.

    i, f and o pass a sigmoid, g a tanh; no peepholes; the states start at zero. Kernels and
    biases start uniform in ``+-1 / sqrt(width)``, both convolutions have one. Zero padding
    keeps the size of the map. (arXiv:1506.04214; in mAR-SCF's form.)

    A whole sequence (:meth:`call`) and single steps (:meth:`step`) give the same result; with
    a sequence the convolutions of the inputs of all steps run at once.

    >>> network = networks.ConvLSTM(width=4, depth=1)
    >>> tuple(network(np.zeros((3, 2, 4, 4, 4), "float32")).shape)
    (3, 2, 4, 4, 4)

    Args:
        width: channels of input, state and output.
        depth: number of layers.
        kernel_size: side of all kernels, odd.
        dilation: dilation of all kernels.
        **kwargs: arguments of ``keras.layers.Layer``.
    """

    def __init__(
        self,
        width: int = 32,
        depth: int = 3,
        kernel_size: int = 3,
        dilation: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.width = check_integer("width", width)
        self.depth = check_integer("depth", depth)
        self.kernel_size = check_integer("kernel_size", kernel_size)
        self.dilation = check_integer("dilation", dilation)
        if kernel_size % 2 == 0:
            raise ValueError(f"kernel_size must be odd; got {kernel_size}")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        uniform = fan_in_uniform(self.width)
        shape = (self.kernel_size, self.kernel_size, self.width, 4 * self.width)
        for i in range(self.depth):
            for part in ("input", "state"):
                for name, size in (("kernel", shape), ("bias", shape[-1:])):
                    full = f"{part}_{name}_{i}"
                    weight = self.add_weight(size, uniform, name=full, autocast=False)
                    setattr(self, full, weight)
        self.built = True

    def call(self, sequence: Tensor) -> Tensor:
        """``(steps, n, h, w, width)`` to the outputs of the last layer, of the same shape."""
        count = sequence.shape[0]
        for layer in range(self.depth):
            _, n, h, w, _ = ops.shape(sequence)
            flat = ops.reshape(sequence, (-1, h, w, self.width))
            inputs = ops.reshape(self._from_input(layer, flat), (count, n, h, w, 4 * self.width))
            # The state before the first step is zero: no convolution of it.
            first, later = ops.split(inputs, [1], axis=0)
            first = ops.squeeze(first, axis=0)
            h0, c0 = self._update(first, ops.zeros_like(first[..., : self.width]))
            sequence = ops.expand_dims(h0, 0)
            if count == 1:
                continue

            def one(state: Any, gates: Tensor, layer: int = layer) -> Any:
                h, c = state
                h, c = self._update(gates + self._from_state(layer, h), c)
                return (h, c), h

            rest = loops.scan(one, (h0, c0), later)
            sequence = ops.concatenate([sequence, rest], axis=0)
        return sequence

    def initial_state(self, x: Tensor) -> tuple[Tensor, ...]:
        """States before the first step, for inputs like ``x`` of shape ``(n, h, w, width)``."""
        return tuple(ops.zeros_like(x) for _ in range(2 * self.depth))

    def step(self, x: Tensor, state: Any) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Output and next states for the input ``(n, h, w, width)`` of one step."""
        after: list[Tensor] = []
        for layer in range(self.depth):
            h, c = state[2 * layer : 2 * layer + 2]
            gates = self._from_input(layer, x) + self._from_state(layer, h)
            x, c = self._update(gates, c)
            after += [x, c]
        return x, tuple(after)

    def _from_input(self, layer: int, x: Tensor) -> Tensor:
        bias = getattr(self, f"input_bias_{layer}") + getattr(self, f"state_bias_{layer}")
        y = self._convolve(x, getattr(self, f"input_kernel_{layer}"))
        return y + ops.cast(bias, y.dtype)

    def _from_state(self, layer: int, h: Tensor) -> Tensor:
        return self._convolve(h, getattr(self, f"state_kernel_{layer}"))

    def _convolve(self, x: Tensor, kernel: Tensor) -> Tensor:
        return ops.conv(
            x,
            ops.cast(kernel, x.dtype),
            padding="same",
            data_format="channels_last",
            dilation_rate=self.dilation,
        )

    def _update(self, gates: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        i, f, g, o = ops.split(gates, 4, axis=-1)
        c = ops.sigmoid(f) * c + ops.sigmoid(i) * backend.tanh(g)
        return ops.sigmoid(o) * backend.tanh(c), c

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return input_shape
