"""The convolutional branch of Residual Flow."""

from typing import Any, NamedTuple

import keras
from keras import ops

from attnflow_keras.core.checks import check_integer
from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.networks.contractive import ContractiveNet
from attnflow_keras.networks.initializers import fan_in_uniform
from attnflow_keras.ops.operator_norm import FREQUENCIES, operator_norm_bound

Tensor = Any

# LipSwish divides by the largest slope of x sigmoid(x), which is 1.0998.
STEEPEST = 1.1
# softplus of it is 0.5, where Residual Flow's factors start.
FACTOR_START = -0.4327521295671885


@keras.saving.register_keras_serializable(package="attnflow_keras")
@records_arguments
class ContractiveConvNet(ContractiveNet):
    """LipSwish and convolutions in turn (Residual Flow, arXiv:1906.02735).

    ``x sigmoid(x softplus(b)) / 1.1`` has no slope above 1. Each of the n kernels is scaled down
    where an upper bound of its norm exceeds ``lipschitz ** (1 / n)``; Residual Flow estimates the
    norm by power iteration, from below. See ``attnflow_keras/ops/operator_norm.py``.

    >>> network = networks.ContractiveConvNet(width=8, lipschitz=0.9)
    >>> tuple(network(np.ones((2, 4, 4, 3), "float32")).shape)
    (2, 4, 4, 3)

    Args:
        width: channels of the hidden maps.
        lipschitz: upper bound of the Lipschitz constant; Residual Flow's is ``0.98 ** 3``.
        kernels: sides of the kernels, odd.
        **kwargs: arguments of ``keras.layers.Layer``.
    """

    def __init__(
        self,
        width: int = 512,
        lipschitz: float = 0.9,
        kernels: tuple[int, ...] = (3, 1, 3),
        **kwargs: Any,
    ) -> None:
        super().__init__(lipschitz, **kwargs)
        self.width = check_integer("width", width)
        if not kernels:
            raise ValueError("kernels must name at least one side; got none")
        for side in kernels:
            check_integer("kernels", side, 1, FREQUENCIES - 1)
            if side % 2 == 0:
                raise ValueError(f"kernels must be odd; got {tuple(kernels)}")
        self.kernels = tuple(kernels)

    def build_network(self, shape: Any) -> None:
        channels = shape[-1]
        hidden = [self.width] * (len(self.kernels) - 1)
        pairs = zip([channels, *hidden], [*hidden, channels], self.kernels, strict=True)
        for i, (inputs, outputs, side) in enumerate(pairs, start=1):
            start = fan_in_uniform(inputs * side**2)
            self._weight(f"factor_{i}", (), keras.initializers.Constant(FACTOR_START))
            self._weight(f"kernel_{i}", (side, side, inputs, outputs), start)
            self._weight(f"bias_{i}", (outputs,), start)

    def _weight(self, name: str, shape: tuple[int, ...], start: Any) -> None:
        setattr(self, name, self.add_weight(shape, start, name=name, autocast=False))

    def branch(self) -> "ConvBranch":
        bound = self.lipschitz ** (1.0 / len(self.kernels))
        factors, kernels, biases = [], [], []
        for i in range(1, len(self.kernels) + 1):
            factor, kernel, bias = (
                ops.convert_to_tensor(getattr(self, f"{name}_{i}"))
                for name in ("factor", "kernel", "bias")
            )
            factors.append(ops.softplus(factor))
            kernels.append(kernel / ops.maximum(1.0, operator_norm_bound(kernel) / bound))
            biases.append(bias)
        return ConvBranch(tuple(factors), tuple(kernels), tuple(biases))


class ConvBranch(NamedTuple):
    """The map for given tensors.

    Args:
        factors: of the activation in front of each convolution.
        kernels: contractive ones.
        biases: of the convolutions.
    """

    factors: tuple[Tensor, ...]
    kernels: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]

    def __call__(self, x: Tensor) -> Tensor:
        for factor, kernel, bias in zip(*self, strict=True):
            x = conv(x * ops.sigmoid(factor * x) / STEEPEST, kernel) + bias
        return x

    def linear_at(self, x: Tensor) -> "ConvLinear":
        """The Jacobian at ``x``."""
        slopes = []
        for factor, kernel, bias in zip(*self, strict=True):
            gate = ops.sigmoid(factor * x)
            slopes.append(gate * (1.0 + factor * x * (1.0 - gate)) / STEEPEST)
            x = conv(x * gate / STEEPEST, kernel) + bias
        return ConvLinear(tuple(slopes), self.kernels)


class ConvLinear(NamedTuple):
    """The Jacobian at a batch.

    Args:
        slopes: of the activations, ``(n, h, w, channels)`` each.
        kernels: of the convolutions.
    """

    slopes: tuple[Tensor, ...]
    kernels: tuple[Tensor, ...]

    def apply(self, v: Tensor) -> Tensor:
        """``J v``."""
        for slope, kernel in zip(*self, strict=True):
            v = conv(slope * v, kernel)
        return v

    def transposed(self, u: Tensor) -> Tensor:
        """``J^T u``."""
        for slope, kernel in reversed(list(zip(*self, strict=True))):
            # Stride 1 and zeros on both sides: the adjoint is a convolution too.
            u = slope * conv(u, ops.transpose(ops.flip(kernel, axis=(0, 1)), (0, 1, 3, 2)))
        return u

    def tiled(self, count: int) -> "ConvLinear":
        """The Jacobian at ``count`` copies of the batch."""
        slopes = tuple(ops.tile(slope, (count, 1, 1, 1)) for slope in self.slopes)
        return ConvLinear(slopes, self.kernels)


def conv(x: Tensor, kernel: Tensor) -> Tensor:
    """A convolution with stride 1 and as much zero padding as keeps the sides."""
    if kernel.shape[0] == kernel.shape[1] == 1:
        return ops.matmul(x, kernel[0, 0])
    return ops.conv(x, kernel, padding="same", data_format="channels_last")
