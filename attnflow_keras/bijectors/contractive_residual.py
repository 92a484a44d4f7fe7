"""Identity plus a contraction."""

import math
from collections.abc import Callable
from typing import Any

import keras
from keras import ops, tree

from attnflow_keras.bijectors.base import FlowBijector

Tensor = Any


class ContractiveResidual(FlowBijector):
    """``y = x + g(x)`` with ``|g(x) - g(x')| <= lipschitz |x - x'|``, ``lipschitz < 1``.

    The inverse repeats ``x = y - g(x)`` until no value changes by more than ``tolerance`` times one
    plus its size, at most as often as the Lipschitz constant says it takes.

    >>> network = networks.ContractiveConvNet(width=4, lipschitz=0.5)
    >>> network.build((None, 4, 4, 2))
    >>> bijector = bijectors.ContractiveResidual(network.branch(), 0.5, lambda g, x: x[:, 0, 0, 0])
    >>> y, _ = bijector.forward_and_log_det(np.ones((1, 4, 4, 2), "float32"))
    >>> x, _ = bijector.inverse_and_log_det(y)
    >>> bool(np.allclose(x, 1.0, atol=1e-5))
    True

    Args:
        branch: g, see :class:`attnflow_keras.networks.contractive.Branch`.
        lipschitz: its bound.
        log_det: from g and x to ``log|det(I + dg/dx)|``, ``(n,)``.
        tolerance: of the inverse; 16 units of rounding unless given.
        name: name of the bijector.
    """

    def __init__(
        self,
        branch: Any,
        lipschitz: float,
        log_det: Callable[[Any, Tensor], Tensor],
        tolerance: float | None = None,
        name: str = "contractive_residual",
    ) -> None:
        # Behind a function: the base would wrap a tuple that is an attribute.
        self._branch = lambda: branch
        self.bound = lipschitz
        self.log_det_at = log_det
        self.tolerance = tolerance
        super().__init__(name=name)

    @property
    def branch(self) -> Any:
        """g."""
        return self._branch()

    def forward_and_log_det(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x + self.branch(x), self.log_det_at(self.branch, x)

    def inverse_and_log_det(self, y: Tensor) -> tuple[Tensor, Tensor]:
        fixed = tree.map_structure(ops.stop_gradient, self.branch)
        target = ops.stop_gradient(y)
        root = ops.stop_gradient(self._fixed_point(lambda x: target - fixed(x), target))
        # One step more, through which gradients flow; what is behind it they owe to the hook.
        x = self._with_gradient(y - self.branch(root), fixed.linear_at(root))
        return x, -self.log_det_at(self.branch, x)

    def _fixed_point(self, step: Callable[[Tensor], Tensor], start: Tensor) -> Tensor:
        unit = float(keras.backend.epsilon())
        unit = {"float32": 2.0**-23, "float64": 2.0**-52}.get(
            keras.backend.standardize_dtype(start.dtype), unit
        )
        tolerance = 16.0 * unit if self.tolerance is None else self.tolerance
        most = max(1, math.ceil(math.log(tolerance) / math.log(self.bound)))

        def again(i: Tensor, x: Tensor, far: Tensor) -> Any:
            moved = step(x)
            far = ops.any(ops.abs(moved - x) > tolerance * (1.0 + ops.abs(moved)))
            return i + 1, moved, far

        begin = (ops.zeros((), dtype="int32"), start, ops.ones((), dtype="bool"))
        return ops.while_loop(
            lambda i, x, far: ops.logical_and(far, i < most), again, begin, maximum_iterations=most
        )[1]

    def _with_gradient(self, x: Tensor, linear: Any) -> Tensor:
        """``x``, with a gradient u that solves ``u + J^T u = upstream``."""

        @ops.custom_gradient
        def hook(x: Tensor, *tensors: Tensor) -> Any:
            known = tree.pack_sequence_as(linear, tensors)

            def gradient(*given: Any, upstream: Tensor = None) -> Any:
                upstream = given[0] if upstream is None else upstream
                found = self._fixed_point(lambda u: upstream - known.transposed(u), upstream)
                return (found, *map(ops.zeros_like, tensors))

            return x, gradient

        return hook(x, *tree.flatten(linear))
