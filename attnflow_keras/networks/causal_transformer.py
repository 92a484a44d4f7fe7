"""A causal transformer over a sequence of tokens, all at once or one by one."""

from typing import Any

import keras
from keras import ops

from attnflow_keras import backend
from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.networks.initializers import Normal
from attnflow_keras.ops import loops
from attnflow_keras.ops.step_noise import StepNoise, dropped

Tensor = Any

# Logits of what must not be seen; finite, so that half precision and graphs can hold it.
HIDDEN = -1e4


@keras.saving.register_keras_serializable(package="attnflow_keras")
@records_arguments
class CausalTransformer(keras.layers.Layer):
    """Pre-norm transformer in which token t sees the tokens up to t, or all.

    ``h += attention(norm(h))``, ``h += mlp(norm(h))``, ``layers`` times, then a last norm
    (arXiv:1706.03762; pre-norm as in GPT-2). It runs in the policy's compute dtype.

    :meth:`call` maps ``(n, t, width)`` to the same shape. :meth:`step` gives the output of one
    token from the keys and values of those before it, so that a sequence can be made token by
    token at the cost of one pass.

    >>> network = networks.CausalTransformer(width=8, layers=1, heads=2)
    >>> tuple(network(np.zeros((2, 5, 8), "float32")).shape)
    (2, 5, 8)

    Args:
        width: channels; divisible by ``heads``.
        layers: number of layers, 0 for none but the last norm.
        heads: heads of the attention.
        mlp_ratio: hidden units of the MLP over ``width``.
        dropout: rate in training, of what each attention and each MLP adds.
        causal: whether a token sees the tokens up to itself alone; :meth:`step` needs it.
        **kwargs: arguments of ``keras.layers.Layer``.
    """

    def __init__(
        self,
        width: int = 160,
        layers: int = 3,
        heads: int = 4,
        mlp_ratio: int = 4,
        dropout: float = 0.0,
        causal: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.width = width
        self.layers = layers
        self.heads = heads
        self.mlp_ratio = mlp_ratio
        self.dropout = dropout
        self.causal = causal

    def build(self, input_shape: Any) -> None:
        width = self.width
        # Outputs of depth L add up: each starts 1 / sqrt(2 L) as large (GPT-2).
        small = 0.02 / max(2.0 * self.layers, 1.0) ** 0.5
        for i in range(self.layers):
            self._norm(f"norm_{i}")
            self._dense(f"qkv_{i}", width, 3 * width)
            self._dense(f"projection_{i}", width, width, small)
            self._norm(f"mlp_norm_{i}")
            self._dense(f"mlp_in_{i}", width, self.mlp_ratio * width)
            self._dense(f"mlp_out_{i}", self.mlp_ratio * width, width, small)
        self._norm("norm")
        self.built = True

    def call(self, h: Tensor, noise: StepNoise | None = None) -> Tensor:
        n, count, _ = ops.shape(h)
        size = self.width // self.heads
        unseen: Any = 0.0
        if self.causal:
            unseen = ops.triu(ops.ones((h.shape[1], h.shape[1]), dtype=h.dtype), 1) * HIDDEN
        for i in range(self.layers):
            qkv = self._part("qkv", i)(self._part("norm", i)(h))
            qkv = ops.reshape(qkv, (n, count, 3, self.heads, size))
            query, key, value = ops.unstack(ops.transpose(qkv, (2, 0, 3, 1, 4)), 3)
            scores = ops.matmul(query * size**-0.5, ops.transpose(key, (0, 1, 3, 2)))
            mixed = ops.matmul(ops.softmax(scores + unseen, axis=-1), value)
            mixed = ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (n, count, self.width))
            h = h + dropped(self._part("projection", i)(mixed), self.dropout, noise)
            h = h + dropped(self._mlp(i, h), self.dropout, noise)
        return self.norm(h)

    def empty_cache(self, like: Tensor, tokens: int) -> tuple[Tensor, ...]:
        """Keys and values of no token yet: ``(tokens, n, width)`` twice for each layer.

        Args:
            like: a tensor ``(n, width)``.
            tokens: maximum number of tokens.
        """
        zero = ops.expand_dims(ops.zeros_like(like), 0)
        return tuple(ops.repeat(zero, tokens, axis=0) for _ in range(2 * self.layers))

    def step(
        self, h: Tensor, t: Any, cache: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The output of token t ``(n, width)`` and the cache with its keys and values.

        Args:
            h: the token, ``(n, width)``.
            t: its number, an integer or an integer tensor.
            cache: as :meth:`empty_cache` and earlier steps give it.
        """
        n = ops.shape(h)[0]
        size = self.width // self.heads
        after: list[Tensor] = []
        for i in range(self.layers):
            query, key, value = ops.split(self._part("qkv", i)(self._part("norm", i)(h)), 3, -1)
            keys = loops.put(cache[2 * i], t, key)
            values = loops.put(cache[2 * i + 1], t, value)
            after += [keys, values]
            tokens = keys.shape[0]
            unseen = ops.cast(ops.arange(tokens) > t, h.dtype) * HIDDEN
            query = ops.reshape(query * size**-0.5, (n, self.heads, 1, size))
            keys = ops.transpose(ops.reshape(keys, (tokens, n, self.heads, size)), (1, 2, 3, 0))
            values = ops.transpose(ops.reshape(values, (tokens, n, self.heads, size)), (1, 2, 0, 3))
            weights = ops.softmax(ops.matmul(query, keys) + unseen, axis=-1)
            mixed = ops.reshape(ops.matmul(weights, values), (n, self.width))
            h = h + self._part("projection", i)(mixed)
            h = h + self._mlp(i, h)
        return self.norm(h), tuple(after)

    def _mlp(self, i: int, h: Tensor) -> Tensor:
        inner = _gelu(self._part("mlp_in", i)(self._part("mlp_norm", i)(h)))
        return self._part("mlp_out", i)(inner)

    def _part(self, name: str, i: int) -> Any:
        return getattr(self, f"{name}_{i}")

    def _dense(self, name: str, inputs: int, units: int, stddev: float | None = None) -> None:
        start = Normal(stddev=inputs**-0.5 if stddev is None else stddev)
        layer = keras.layers.Dense(
            units, kernel_initializer=start, dtype=self.dtype_policy, name=name
        )
        layer.build((None, inputs))
        setattr(self, name, layer)

    def _norm(self, name: str) -> None:
        layer = backend.LayerNormalization(epsilon=1e-5, dtype=self.dtype_policy, name=name)
        layer.build((None, self.width))
        setattr(self, name, layer)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


def _gelu(x: Tensor) -> Tensor:
    """The exact GELU; Keras' own is made of erfc, which ONNX lacks."""
    return 0.5 * x * (1.0 + ops.erf(x * 0.5**0.5))
