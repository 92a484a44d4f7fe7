"""A walk through causal layers that counts a condition for more than it says."""

from typing import Any

from keras import ops

from attnflow_keras.layers.causal_attention import CausalAttention
from attnflow_keras.layers.causal_inverse import token_by_token
from attnflow_keras.layers.chain import Apply, at_leaves
from attnflow_keras.layers.flow_layer import FlowLayer

Tensor = Any


def guiding(other: Tensor, guidance: Tensor) -> Apply:
    """For a walk that decodes with guidance, see :func:`token_by_token`.

    Args:
        other: features that the condition's are set against, ``(n, 1, 1, channels)``.
        guidance: weights ``(n,)``.
    """

    def apply(layer: FlowLayer, x: Tensor, condition: Any, inverse: bool) -> tuple[Tensor, Tensor]:
        if not isinstance(layer, CausalAttention) or condition is None:
            return layer(x, condition=condition, inverse=inverse)
        both = ops.concatenate([condition, other], axis=0)
        return token_by_token(layer, ops.cast(x, layer.variable_dtype), both, guidance)

    return at_leaves(apply)
