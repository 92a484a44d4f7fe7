"""Other ways to decode causal layers than one condition, token by token."""

from typing import Any

from keras import ops

from attnflow_keras.layers.causal_attention import CausalAttention
from attnflow_keras.layers.causal_inverse import token_by_token
from attnflow_keras.layers.chain import Apply, at_leaves
from attnflow_keras.layers.flow_layer import FlowLayer
from attnflow_keras.layers.jacobi import jacobi

Tensor = Any

METHODS = {"sequential": token_by_token, "jacobi": jacobi}


def decoding(method: str, other: Tensor | None = None, guidance: Tensor | None = None) -> Apply:
    """For a walk that decodes causal layers by a method, with or without guidance.

    Args:
        method: ``"sequential"`` or ``"jacobi"``.
        other: with guidance, features that the condition's are set against,
            ``(n, 1, 1, channels)``.
        guidance: weights ``(n,)``, see :func:`token_by_token`.
    """

    def apply(layer: FlowLayer, x: Tensor, condition: Any, inverse: bool) -> tuple[Tensor, Tensor]:
        if not isinstance(layer, CausalAttention):
            return layer(x, condition=condition, inverse=inverse)
        x = ops.cast(x, layer.variable_dtype)
        if condition is None or guidance is None:
            return METHODS[method](layer, x, condition)
        both = ops.concatenate([condition, other], axis=0)
        return METHODS[method](layer, x, both, guidance)

    return at_leaves(apply)
