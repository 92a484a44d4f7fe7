"""A linear prediction of each value of a patch from the values before it."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops
from scipy.linalg import cho_solve

from attnflow_keras.ops import loops

Tensor = Any

# Of the regression, relative to the mean square of its inputs; constant inputs get weight 0.
RIDGE = 1e-5
# Smallest unit: one hundredth of a grey level, relative to half the range.
SMALLEST = 1e-4
# The weights are kept so many times as large. Optimizers such as Adam move every weight by the
# learning rate, and a prediction is a sum of hundreds of them that is right to a grey level.
GAIN = 10.0
# Where a prediction ends, in units of its inputs: values beyond it do not occur.
FARTHEST = 2.0


@keras.saving.register_keras_serializable(package="attnflow_keras")
class LinearPredictor(keras.layers.Layer):
    """Linear autoregression, with the size of its errors.

    Neighbouring values of an image are nearly linear functions of one another, which a network
    takes long to learn to the precision of a grey level. :meth:`fit` sets the weights by least
    squares on one batch, and training goes on from there.

    Tokens with the same neighbours missing share a set of weights, their kind. Prediction i is
    ``context A_i + x_<i B_i + b_i``, clipped to +-2; the unit of value i is the mean absolute
    error of its prediction.

    >>> layer = LinearPredictor()
    >>> layer.build_for(context=3, values=2, kinds=np.array([0, 1]))
    >>> x = np.random.default_rng(0).normal(size=(50, 2, 2)).astype("float32")
    >>> layer.fit(np.zeros((50, 2, 3), "float32"), x)

    Args:
        **kwargs: arguments of ``keras.layers.Layer``.
    """

    def build_for(self, context: int, values: int, kinds: np.ndarray) -> None:
        """Create the weights.

        Args:
            context: channels of a context.
            values: values of a patch.
            kinds: the kind of each token, integers from 0.
        """
        self.values = values
        self.kinds = np.asarray(kinds, "int32")
        count = int(self.kinds.max()) + 1
        self._weight("context_kernel", (count, context, values))
        self._weight("values_kernel", (count, values, values))
        self._weight("bias", (count, values))
        self._weight("log_unit", (count, values))
        # Input i before output j.
        self._mask = np.triu(np.ones((values, values)), 1)
        self.built = True

    def call(self, context: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """Predictions and their units, both ``(n, tokens, values)``.

        Args:
            context: ``(n, tokens, c)``.
            x: ``(n, tokens, values)``.
        """
        by_token = [ops.take(w, self.kinds, axis=0) for w in self._values()]
        context_kernel, values_kernel, bias, log_unit = by_token
        first = ops.matmul(ops.transpose(context, (1, 0, 2)), context_kernel)
        second = ops.matmul(ops.transpose(x, (1, 0, 2)), self._before(values_kernel))
        found = ops.transpose(first + second, (1, 0, 2)) + bias
        return _clip(found), ops.broadcast_to(ops.exp(log_unit), ops.shape(found))

    def start(self, context: Tensor, t: Any) -> tuple[Tensor, ...]:
        """What :meth:`finish` needs for token t with the context ``(n, c)``."""
        kind = loops.at(ops.convert_to_tensor(self.kinds), t)
        kernel, values_kernel, bias, log_unit = (loops.at(w, kind) for w in self._values())
        return ops.matmul(context, kernel) + bias, self._before(values_kernel), ops.exp(log_unit)

    def finish(self, started: tuple[Tensor, ...], x: Tensor) -> tuple[Tensor, Tensor]:
        """Predictions ``(n, values)`` and units of one token, prediction i from x_<i."""
        found, kernel, unit = started
        found = _clip(found + ops.matmul(x, kernel))
        return found, ops.broadcast_to(unit, ops.shape(found))

    def fit(self, context: Tensor, x: Tensor) -> None:
        """Set the weights by least squares, in NumPy float64.

        Args:
            context: ``(n, tokens, c)``.
            x: ``(n, tokens, values)``.
        """
        x = np.asarray(ops.convert_to_numpy(x), "float64")
        context = np.asarray(ops.convert_to_numpy(context), "float64")
        parts = [
            _least_squares(*(a[:, self.kinds == kind] for a in (context, x)))
            for kind in range(int(self.kinds.max()) + 1)
        ]
        for weight, values in zip(self._all(), zip(*parts, strict=True), strict=True):
            weight.assign(GAIN * np.stack(values))

    def _all(self) -> tuple[Any, ...]:
        return self.context_kernel, self.values_kernel, self.bias, self.log_unit

    def _values(self) -> list[Tensor]:
        return [ops.convert_to_tensor(w) / GAIN for w in self._all()]

    def _before(self, kernel: Tensor) -> Tensor:
        return kernel * ops.cast(self._mask, kernel.dtype)

    def _weight(self, name: str, shape: tuple[int, ...]) -> None:
        start = keras.initializers.Constant(GAIN * math.log(0.5)) if name == "log_unit" else "zeros"
        setattr(self, name, self.add_weight(shape, start, name=name, autocast=False))

    def compute_output_shape(self, context_shape: Any, x_shape: Any) -> Any:
        return x_shape


def _clip(x: Tensor) -> Tensor:
    return ops.clip(x, -FARTHEST, FARTHEST)


def _least_squares(context: np.ndarray, x: np.ndarray) -> tuple[np.ndarray, ...]:
    """Kernels of the context and of the values, biases, and logs of the units."""
    count, channels = x.shape[-1], context.shape[-1]
    inputs = np.concatenate([context, x], axis=-1).reshape(-1, channels + count)
    means = inputs.mean(axis=0)
    inputs = inputs - means
    gram = inputs.T @ inputs / len(inputs)
    ridge = RIDGE * float(np.mean(np.diag(gram))) + 1e-12
    # The factor of a leading block is the leading block of the factor: one serves all values.
    factor = np.linalg.cholesky(gram + ridge * np.eye(channels + count))
    kernel = np.zeros((channels + count, count))
    for i in range(count):
        seen = channels + i
        kernel[:seen, i] = cho_solve((factor[:seen, :seen], True), gram[:seen, seen])
    errors = np.abs(inputs[:, channels:] - inputs @ kernel).mean(axis=0)
    bias = means[channels:] - means @ kernel
    return kernel[:channels], kernel[channels:], bias, np.log(np.maximum(errors, SMALLEST))
