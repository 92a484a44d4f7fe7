"""What a network must be to stand in a contractive residual layer."""

from typing import Any, Protocol

import keras

from attnflow_keras.core.checks import check_number

Tensor = Any


class Linear(Protocol):
    """The Jacobian of a branch at a batch of inputs, a tuple of tensors."""

    def apply(self, v: Tensor) -> Tensor:
        """``J v``, for ``v`` of the shape of the input."""

    def transposed(self, u: Tensor) -> Tensor:
        """``J^T u``, for ``u`` of the shape of the output."""

    def tiled(self, count: int) -> "Linear":
        """The same for ``count`` copies of the batch, one behind the other."""


class Branch(Protocol):
    """The map of a contractive network for its current weights, a tuple of tensors."""

    def __call__(self, x: Tensor) -> Tensor:
        """The output for ``x``, of the same shape."""

    def linear_at(self, x: Tensor) -> Linear:
        """The Jacobian at ``x``."""


class ContractiveNet(keras.layers.Layer):
    """Base of networks that are contractions: ``|g(x) - g(x')| <= lipschitz |x - x'|``.

    A subclass gives :meth:`build_network` and :meth:`branch`. It computes in the variable dtype:
    half precision would break the bound.

    >>> isinstance(networks.ContractiveConvNet(8), networks.ContractiveNet)
    True

    Args:
        lipschitz: upper bound of the Lipschitz constant in the Euclidean norm, in (0, 1).
        **kwargs: arguments of ``keras.layers.Layer``.
    """

    # Whether maps of another height and width than at build time can pass.
    any_size = True

    def __init__(self, lipschitz: float = 0.9, **kwargs: Any) -> None:
        kwargs.pop("autocast", None)
        super().__init__(autocast=False, **kwargs)
        self.lipschitz = check_number("lipschitz", lipschitz, "(0, 1)")

    def build(self, input_shape: Any) -> None:
        """Create the weights for maps ``(n, h, w, c)``."""
        self.build_network(tuple(input_shape)[1:])
        self.built = True

    def build_network(self, shape: Any) -> None:
        """Create the weights for maps ``(h, w, c)``."""
        raise NotImplementedError(f"{type(self).__name__} does not define build_network")

    def branch(self) -> Any:
        """The network's map for its current weights, see :class:`Branch`."""
        raise NotImplementedError(f"{type(self).__name__} does not define branch")

    def call(self, x: Tensor) -> Tensor:
        return self.branch()(keras.ops.cast(x, self.variable_dtype))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape
