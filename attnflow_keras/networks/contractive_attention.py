"""Attention over all positions that is a contraction."""

import math
from typing import Any, NamedTuple

import keras
from keras import ops

from attnflow_keras import backend
from attnflow_keras.core.checks import check_choice, check_integer, check_number
from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.networks.contractive import ContractiveNet
from attnflow_keras.networks.initializers import fan_in_uniform
from attnflow_keras.ops.operator_norm import operator_norm_bound

Tensor = Any

KINDS = ("dot", "concat")
NAMES = ("query", "key", "value", "out")


@keras.saving.register_keras_serializable(package="attnflow_keras")
@records_arguments
class ContractiveAttention(ContractiveNet):
    """Self-attention with a bounded Lipschitz constant, after Zha et al. (invertible attention).

    ``g(x) = softmax(s) v Gamma`` over the positions of a map. Queries, keys and values are linear
    maps of the channels, made shorter than 1 by ``u / sqrt(1 + |u|^2)``. Scores are
    ``s_ij = sharpness q_i k_j`` (``"dot"``, Zha's iDP) or
    ``sharpness tanh(a q_i + b k_j)`` with unit vectors a and b (``"concat"``, iCon).

    No score is above t, the sharpness. So no weight is above ``exp(2 t) / N`` for N positions, no
    column of the weights sums to more than ``exp(2 t)``, and
    ``|g|_Lip <= |Gamma| (exp(t) |V| + t |Q| + t exp(t) |K|)`` for maps of any size. Gamma is scaled
    down to keep that at ``lipschitz``. In the published form weights are ``elu`` of the scores
    over 1.5 times their sum, which may be near 0: it is no contraction in general, and not here.

    >>> network = networks.ContractiveAttention()
    >>> tuple(network(np.ones((2, 4, 4, 8), "float32")).shape)
    (2, 4, 4, 8)

    Args:
        kind: ``"dot"`` or ``"concat"``.
        lipschitz: upper bound of the Lipschitz constant.
        width: channels of queries and keys; a quarter of the map's unless given, as Zha et al.
        sharpness: maximum score; the higher, the more weights differ and the smaller is Gamma.
        **kwargs: arguments of ``keras.layers.Layer``.
    """

    def __init__(
        self,
        kind: str = "dot",
        lipschitz: float = 0.9,
        width: int | None = None,
        sharpness: float = 0.5,
        **kwargs: Any,
    ) -> None:
        super().__init__(lipschitz, **kwargs)
        self.kind = check_choice("kind", kind, KINDS)
        self.width = check_integer("width", width, none=True)
        self.sharpness = check_number("sharpness", sharpness, "(0, inf)")

    def build_network(self, shape: Any) -> None:
        channels = shape[-1]
        width = max(1, channels // 4) if self.width is None else self.width
        sizes = ((channels, width), (channels, width), (channels, channels), (channels, channels))
        for name, size in zip(NAMES, sizes, strict=True):
            start = fan_in_uniform(size[0])
            setattr(self, name, self.add_weight(size, start, name=name, autocast=False))
        if self.kind == "concat":
            for name in ("query_direction", "key_direction"):
                start = fan_in_uniform(1)
                setattr(self, name, self.add_weight((width, 1), start, name=name, autocast=False))

    def branch(self) -> "AttentionBranch":
        kernels = [ops.convert_to_tensor(getattr(self, name)) for name in NAMES]
        query, key, value, out = (operator_norm_bound(kernel[None, None]) for kernel in kernels)
        t = self.sharpness
        bound = out * (math.exp(t) * value + t * query + t * math.exp(t) * key)
        kernels[3] = kernels[3] / ops.maximum(1.0, bound / self.lipschitz)
        directions: tuple[Tensor, ...] = ()
        if self.kind == "concat":
            both = map(ops.convert_to_tensor, (self.query_direction, self.key_direction))
            directions = tuple(d / ops.sqrt(ops.sum(ops.square(d)) + 1e-12) for d in both)
        scale = ops.cast(t, kernels[0].dtype)
        return AttentionBranch(tuple(kernels), directions, scale)


class AttentionBranch(NamedTuple):
    """The map for given tensors.

    Args:
        kernels: of queries, keys, values, and Gamma.
        directions: a and b of ``"concat"``; none of ``"dot"``.
        sharpness: a scalar.
    """

    kernels: tuple[Tensor, ...]
    directions: tuple[Tensor, ...]
    sharpness: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        linear = self.linear_at(x)
        return _as_map(
            ops.matmul(ops.matmul(linear.weights, linear.vectors[2]), self.kernels[3]), x
        )

    def linear_at(self, x: Tensor) -> "AttentionLinear":
        """The Jacobian at ``x``, which holds all that the map itself needs."""
        tokens = _as_tokens(x)
        lengths, vectors = [], []
        for kernel in self.kernels[:3]:
            long = ops.matmul(tokens, kernel)
            lengths.append(ops.sqrt(1.0 + ops.sum(ops.square(long), axis=-1, keepdims=True)))
            vectors.append(long / lengths[-1])
        if self.directions:
            a, b = map(ops.matmul, vectors[:2], self.directions)
            scores = backend.tanh(a + ops.transpose(b, (0, 2, 1)))
            slopes = self.sharpness * (1.0 - ops.square(scores))
        else:
            scores = _outer(vectors[0], vectors[1])
            slopes = self.sharpness * ops.ones_like(scores)
        weights = ops.softmax(self.sharpness * scores, axis=-1)
        return AttentionLinear(
            tuple(lengths), tuple(vectors), weights, slopes, self.kernels, self.directions
        )


class AttentionLinear(NamedTuple):
    """The Jacobian at a batch of n maps of N positions.

    Args:
        lengths: what queries, keys and values were divided by, ``(n, N, 1)``.
        vectors: queries, keys and values, ``(n, N, channels)``.
        weights: of the attention, ``(n, N, N)``.
        slopes: of the scores.
        kernels: see :class:`AttentionBranch`.
        directions: likewise.
    """

    lengths: tuple[Tensor, ...]
    vectors: tuple[Tensor, ...]
    weights: Tensor
    slopes: Tensor
    kernels: tuple[Tensor, ...]
    directions: tuple[Tensor, ...]

    def apply(self, v: Tensor) -> Tensor:
        """``J v``."""
        tokens = _as_tokens(v)
        moved = [
            self._shortened(i, ops.matmul(tokens, kernel))
            for i, kernel in enumerate(self.kernels[:3])
        ]
        query, key, value = self.vectors
        if self.directions:
            a, b = map(ops.matmul, moved[:2], self.directions)
            scores = a + ops.transpose(b, (0, 2, 1))
        else:
            scores = _outer(moved[0], key) + _outer(query, moved[1])
        out = ops.matmul(self._normalized(self.slopes * scores), value)
        out = out + ops.matmul(self.weights, moved[2])
        return _as_map(ops.matmul(out, self.kernels[3]), v)

    def transposed(self, u: Tensor) -> Tensor:
        """``J^T u``."""
        query, key, value = self.vectors
        out = ops.matmul(_as_tokens(u), ops.transpose(self.kernels[3]))
        scores = self.slopes * self._normalized(_outer(out, value))
        across = ops.transpose(scores, (0, 2, 1))
        if self.directions:
            a, b = (ops.transpose(direction) for direction in self.directions)
            back = [ops.sum(scores, -1, keepdims=True) * a, ops.sum(across, -1, keepdims=True) * b]
        else:
            back = [ops.matmul(scores, key), ops.matmul(across, query)]
        back.append(ops.matmul(ops.transpose(self.weights, (0, 2, 1)), out))
        tokens = sum(
            ops.matmul(self._shortened(i, part), ops.transpose(self.kernels[i]))
            for i, part in enumerate(back)
        )
        return _as_map(tokens, u)

    def tiled(self, count: int) -> "AttentionLinear":
        """The Jacobian at ``count`` copies of the batch."""

        def copies(x: Tensor) -> Tensor:
            return ops.tile(x, (count, 1, 1))

        return AttentionLinear(
            tuple(map(copies, self.lengths)),
            tuple(map(copies, self.vectors)),
            copies(self.weights),
            copies(self.slopes),
            self.kernels,
            self.directions,
        )

    def _shortened(self, i: int, moved: Tensor) -> Tensor:
        """The symmetric Jacobian of ``u / sqrt(1 + |u|^2)`` times a vector."""
        vector = self.vectors[i]
        along = ops.sum(vector * moved, axis=-1, keepdims=True)
        return (moved - vector * along) / self.lengths[i]

    def _normalized(self, moved: Tensor) -> Tensor:
        """The symmetric Jacobian of the softmax times a matrix."""
        mean = ops.sum(self.weights * moved, axis=-1, keepdims=True)
        return self.weights * (moved - mean)


def _outer(a: Tensor, b: Tensor) -> Tensor:
    """Inner products of all pairs of vectors, ``(n, N, N)``."""
    return ops.matmul(a, ops.transpose(b, (0, 2, 1)))


def _as_tokens(x: Tensor) -> Tensor:
    return ops.reshape(x, (-1, x.shape[1] * x.shape[2], x.shape[3]))


def _as_map(tokens: Tensor, x: Tensor) -> Tensor:
    return ops.reshape(tokens, (-1, *x.shape[1:]))
