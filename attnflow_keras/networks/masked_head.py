"""Parameters of the values of one patch, each from those before it."""

from typing import Any

import keras
import numpy as np
from keras import ops

from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.networks.initializers import Normal
from attnflow_keras.ops import loops

Tensor = Any


@keras.saving.register_keras_serializable(package="attnflow_keras")
@records_arguments
class MaskedHead(keras.layers.Layer):
    """A masked network over the values of a patch (MADE, arXiv:1502.03509).

    Output i depends on a context and on the values before i, in their order: hidden groups of
    ``group`` units belong to a value each, group i sees the context and the values x_<i, and
    output i the groups up to i. Two hidden layers. The output starts at zero.

    >>> head = networks.MaskedHead(group=3, outputs=2)
    >>> head.build_for(context=8, values=4)
    >>> tuple(head(np.zeros((5, 8), "float32"), np.zeros((5, 4), "float32")).shape)
    (5, 4, 2)

    Args:
        group: hidden units of a value; 0 for none, then outputs see the context alone.
        outputs: parameters of a value.
        **kwargs: arguments of ``keras.layers.Layer``.
    """

    def __init__(self, group: int = 20, outputs: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.group = group
        self.outputs = outputs

    def build_for(self, context: int, values: int) -> None:
        """Create the weights for ``context`` channels and patches of ``values`` values."""
        self.values = values
        hidden = self.group * values
        self._weight("bias", (values * self.outputs,), 0.0)
        self._weight("context_out", (context, values * self.outputs), 0.0)
        if self.group:
            self._weight("context_in", (context, hidden), context**-0.5)
            self._weight("bias_in", (hidden,), 0.0)
            # A hidden unit sees half of the values or groups on average.
            self._weight("values_in", (values, hidden), (2.0 / values) ** 0.5)
            self._weight("hidden", (hidden, hidden), (2.0 / hidden) ** 0.5)
            self._weight("bias_hidden", (hidden,), 0.0)
            self._weight("hidden_out", (hidden, values * self.outputs), 0.0)
            owner = np.arange(values)
            groups = np.repeat(owner, self.group)
            outs = np.repeat(owner, self.outputs)
            self._masks = (
                owner[:, None] < groups[None, :],
                groups[:, None] <= groups[None, :],
                groups[:, None] <= outs[None, :],
            )
        self.built = True

    def call(self, context: Tensor, x: Tensor) -> Tensor:
        """Parameters ``(..., values, outputs)`` of values ``(..., values)`` and their context."""
        return self.finish(self.start(context), x)

    def start(self, context: Tensor) -> tuple[Tensor, ...]:
        """What the context ``(..., c)`` contributes, the same for all values of its patch."""
        out = ops.matmul(context, self.context_out) + self.bias
        if not self.group:
            return (out,)
        return out, ops.matmul(context, self.context_in) + self.bias_in

    def finish(self, started: tuple[Tensor, ...], x: Tensor) -> Tensor:
        """Parameters from :meth:`start`'s result and the values, of which output i sees x_<i."""
        out = started[0]
        if self.group:
            h = ops.gelu(started[1] + ops.matmul(x, self._masked("values_in", 0)))
            h = h + ops.gelu(ops.matmul(h, self._masked("hidden", 1)) + self.bias_hidden)
            out = out + ops.matmul(h, self._masked("hidden_out", 2))
        return ops.reshape(out, (*ops.shape(x)[:-1], self.values, self.outputs))

    def by_value(self) -> tuple[Tensor, ...]:
        """The kernels cut by the value whose group or parameters they lead to, for :meth:`step`."""
        cut = (self.values, self.group), (self.values, self.group), (self.values, self.outputs)
        kernels = zip(("values_in", "hidden", "hidden_out"), cut, strict=True)
        return tuple(
            ops.transpose(ops.reshape(self._masked(name, i), (-1, *sides)), (1, 0, 2))
            for i, (name, sides) in enumerate(kernels)
        )

    def empty(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Both hidden layers before the first value, for values ``(n, values)``."""
        zero = ops.repeat(ops.expand_dims(ops.zeros_like(x), 2), self.group, axis=2)
        return zero, zero

    def step(
        self,
        started: tuple[Tensor, ...],
        kernels: tuple[Tensor, ...],
        i: Any,
        x: Tensor,
        hidden: tuple[Tensor, Tensor],
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Parameters ``(n, outputs)`` of value i, from what earlier steps left.

        Args:
            started: :meth:`start`'s result for a context ``(n, c)``.
            kernels: :meth:`by_value`'s result.
            i: number of the value, an integer or an integer tensor.
            x: values ``(n, values)``, of which those before i count.
            hidden: what :meth:`empty` or the step before gave.

        Returns:
            The parameters, and the hidden layers with group i.
        """
        into, across, out = (loops.at(kernel, i) for kernel in kernels)
        first, second = hidden
        flat = (ops.shape(x)[0], self.values * self.group)
        mine = ops.gelu(self._part(started[1], i, self.group) + ops.matmul(x, into))
        first = first + self._placed(mine, i)
        bias = loops.at(ops.reshape(self.bias_hidden, (self.values, self.group)), i)
        mine = mine + ops.gelu(ops.matmul(ops.reshape(first, flat), across) + bias)
        second = second + self._placed(mine, i)
        found = self._part(started[0], i, self.outputs)
        return found + ops.matmul(ops.reshape(second, flat), out), (first, second)

    def _part(self, x: Tensor, i: Any, size: int) -> Tensor:
        """Part i ``(n, size)`` of ``(n, values * size)``."""
        parts = ops.reshape(x, (ops.shape(x)[0], self.values, size))
        return loops.at(ops.transpose(parts, (1, 0, 2)), i)

    def _placed(self, part: Tensor, i: Any) -> Tensor:
        """``(n, values, group)``, zero but for group i."""
        place = ops.one_hot(i, self.values, dtype=part.dtype)
        return ops.expand_dims(place, 1) * ops.expand_dims(part, 1)

    def _masked(self, name: str, mask: int) -> Tensor:
        kernel = ops.convert_to_tensor(getattr(self, name))
        return kernel * ops.cast(self._masks[mask], kernel.dtype)

    def _weight(self, name: str, shape: tuple[int, ...], stddev: float) -> None:
        start = Normal(stddev=stddev) if stddev else "zeros"
        setattr(self, name, self.add_weight(shape, start, name=name, autocast=False))

    def compute_output_shape(self, context_shape: Any, x_shape: Any) -> Any:
        return (*x_shape[:-1], self.values, self.outputs)
