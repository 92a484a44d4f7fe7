"""The contract that every invertible layer follows."""

from typing import Any

import keras
import numpy as np
from keras import ops

from attnflow_keras.backend import check_dtype
from attnflow_keras.bijectors import FlowBijector
from attnflow_keras.core.checks import check_integer
from attnflow_keras.core.policies import POLICIES
from attnflow_keras.ops.step_noise import StepNoise

Tensor = Any
Shape = Any  # tuple of sides, None where one is not known


class FlowLayer(keras.layers.Layer):
    """An invertible map between ``(batch, height, width, channels)`` tensors.

    Calling a layer gives the output and the log-determinant of the map that was applied.

    Variables are created in ``build`` and stay in the policy's variable dtype, in which all of
    the layer's arithmetic runs; only conditioner networks use half precision. A subclass
    implements :meth:`transform`, or :meth:`bijector` when its parameters do not depend on the
    input.

    >>> layer = layers.InvertibleConv1x1()
    >>> x = np.random.default_rng(0).normal(size=(2, 4, 4, 6)).astype("float32")
    >>> y, log_det = layer(x)  # log|det dy/dx|, shape (batch,)
    >>> x2, inverse_log_det = layer(y, inverse=True)  # log|det dx/dy|, minus the forward one
    >>> bool(np.allclose(x2, x, atol=1e-4)), bool(np.allclose(inverse_log_det, -log_det))
    (True, True)

    Args:
        condition_channels: channels of the condition map that the layer takes; 0 for none.
        **kwargs: arguments of ``keras.layers.Layer``.
    """

    # Whether maps of another height and width than at build time can pass.
    any_size = True

    # Whether the layer draws noise in training; only then it is called with ``noise=``.
    takes_noise: Any = False

    # Whether the condition of a prior is that of the flow, not the part of the map that goes on.
    reads_condition = False

    # Soft bound of the absolute value of the layer's log-scales, None where there is none.
    log_scale_bound: Any = None

    def __init__(self, condition_channels: int = 0, **kwargs: Any) -> None:
        kwargs.pop("autocast", None)
        super().__init__(autocast=False, **kwargs)
        check_policy(self.dtype_policy.name)
        self.condition_channels = check_integer("condition_channels", condition_channels, 0)
        self.map_shape: Any = None  # (height, width, channels) once built

    def build(self, input_shape: Shape) -> None:
        """Check the input's shape ``(batch, height, width, channels)`` and create variables."""
        if len(input_shape) != 4 or None in tuple(input_shape)[1:]:
            raise ValueError(
                f"{self.name}: x must have shape (batch, height, width, channels) with a known "
                f"height, width and number of channels; got {tuple(input_shape)}"
            )
        self.map_shape = tuple(int(side) for side in tuple(input_shape)[1:])
        self.build_map(self.map_shape)
        self.built = True

    def build_map(self, shape: tuple[int, int, int]) -> None:
        """Create the variables for maps of the given shape, without the batch."""

    def __call__(
        self, x: Tensor, condition: Tensor | None = None, inverse: bool = False, **kwargs: Any
    ) -> Any:
        """Check the inputs before Keras wraps the error of a wrong one in its own."""
        if self.built:
            self._check_map(x, inverse)
            self._check_condition(x, condition)
        return super().__call__(x, condition=condition, inverse=inverse, **kwargs)

    def call(
        self,
        x: Tensor,
        condition: Tensor | None = None,
        inverse: bool = False,
        noise: StepNoise | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Apply the map, or its inverse.

        Args:
            x: input of shape ``(batch, height, width, channels)``; with ``inverse``, an output.
            condition: ``(batch, height, width, condition_channels)``, when the layer takes one.
            inverse: apply the inverse map.
            noise: of a training step, for a layer that ``takes_noise``; without it there is no
                dropout.

        Returns:
            The output and the log-determinant ``(batch,)`` of the map that was applied.

        Raises:
            ValueError: a wrong shape, a condition that is missing or not expected.
        """
        self._check_condition(x, condition)
        x = ops.cast(ops.convert_to_tensor(x), self.variable_dtype)
        if condition is not None:
            condition = ops.cast(ops.convert_to_tensor(condition), self.variable_dtype)
        given: dict[str, Any] = {"noise": noise} if self.takes_noise else {}
        return self.transform(x, condition, inverse, **given)

    def transform(self, x: Tensor, condition: Any, inverse: bool) -> tuple[Tensor, Tensor]:
        """The map itself, on checked inputs of the variable dtype.

        Where :attr:`takes_noise` is true it gets ``noise=`` besides.
        """
        bijector = self.bijector(condition)
        return bijector.inverse_and_log_det(x) if inverse else bijector.forward_and_log_det(x)

    def bijector(self, condition: Any = None) -> Any:
        """The layer's map for its current variables and a condition; created in every call."""
        raise NotImplementedError(f"{type(self).__name__} defines neither transform nor bijector")

    def bijectors_for(self, x: Tensor, condition: Tensor | None = None) -> list[FlowBijector]:
        """The bijectors that the layer would apply to an input, as far as it has any.

        Args:
            x: input of the forward map, ``(batch, height, width, channels)``.
            condition: the condition, when the layer takes one.
        """
        overridden = type(self).bijector is not FlowLayer.bijector
        return [self.bijector(condition)] if overridden else []

    def statistics(self, x: Tensor, condition: Tensor | None = None) -> dict[str, Any]:
        """Statistics of the layer's bijectors for an input, see ``FlowBijector.statistics``; the
        worst where there are several. Only in eager mode.

        Args:
            x: input of the forward map, ``(batch, height, width, channels)``.
            condition: the condition, when the layer takes one.
        """
        self._check_condition(x, condition)
        x = ops.cast(ops.convert_to_tensor(x), self.variable_dtype)
        if condition is not None:
            condition = ops.cast(ops.convert_to_tensor(condition), self.variable_dtype)
        found: dict[str, Any] = {}
        for bijector in self.bijectors_for(x, condition):
            found = merge_statistics(found, bijector.statistics())
        return found

    def adapt(self, x: Tensor, condition: Tensor | None = None) -> Tensor:
        """Data-dependent initialization on one batch; returns the layer's output for it."""
        return self(x, condition=condition)[0]

    @property
    def caveat(self) -> str | None:
        """Where the layer, as configured, is not invertible or loses precision; None if nowhere."""
        return None

    def output_map_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """Shape of the output for an input of the given shape, both without the batch."""
        return shape

    def compute_output_shape(self, input_shape: Shape, *args: Any, **kwargs: Any) -> Any:
        """Shapes of the output and of the log-determinant."""
        batch = input_shape[0]
        return (batch, *self.output_map_shape(tuple(input_shape)[1:])), (batch,)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if self.condition_channels:
            config["condition_channels"] = self.condition_channels
        return config

    def condition_sides(self, sides: tuple[Any, ...]) -> tuple[Any, ...]:
        """Height and width of the condition for an input of these."""
        return sides

    def _check_map(self, x: Tensor, inverse: bool) -> None:
        expected = self.output_map_shape(self.map_shape) if inverse else self.map_shape
        given = tuple(x.shape[1:])
        fits = given[2:] == expected[2:] if self.any_size else given == expected
        if len(x.shape) != 4 or not fits:
            sides = ("height", "width") if self.any_size else expected[:2]
            raise ValueError(
                f"{self.name}: x must have shape (batch, {sides[0]}, {sides[1]}, {expected[2]}); "
                f"got {tuple(x.shape)}"
            )

    def _check_condition(self, x: Tensor, condition: Any) -> None:
        if condition is None:
            if self.condition_channels:
                raise ValueError(
                    f"{self.name}: condition is missing; expected shape "
                    f"{(None, *self.condition_sides(tuple(x.shape[1:3])), self.condition_channels)}"
                )
            return
        if not self.condition_channels:
            raise ValueError(
                f"{self.name}: condition was given (shape {tuple(condition.shape)}), but this "
                "layer takes none; set condition_channels when you create it"
            )
        expected = (*self.condition_sides(tuple(x.shape[1:3])), self.condition_channels)
        if len(condition.shape) != 4 or tuple(condition.shape[1:]) != expected:
            raise ValueError(
                f"{self.name}: condition must have shape "
                f"(batch, {', '.join(map(str, expected))}); got {tuple(condition.shape)}"
            )


def merge_statistics(a: dict[str, Any], b: dict[str, Any]) -> dict[str, Any]:
    """Figures of two maps together: the greatest numbers and the widest ranges, NaN if any is."""
    merged = {**a, **b}
    for key in a.keys() & b.keys():
        if isinstance(a[key], tuple):
            low, high = np.minimum(a[key][0], b[key][0]), np.maximum(a[key][1], b[key][1])
            merged[key] = (float(low), float(high))
        else:
            merged[key] = float(np.maximum(a[key], b[key]))
    return merged


def check_policy(name: str) -> None:
    """Raise ValueError unless flows can work under the dtype policy of this name."""
    if name not in POLICIES:
        raise ValueError(
            f"dtype must be one of {', '.join(POLICIES)}, because log-determinants need a "
            f"variable dtype of at least float32; got {name!r}"
        )
    check_dtype(name)
