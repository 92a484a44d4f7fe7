"""The inverse of causal attention by fixed-point iterations over all tokens at once."""

from typing import Any

from keras import ops

from attnflow_keras.layers.causal_inverse import Pair

Tensor = Any

# Largest change of a value, in units of the larger of its size and ``spread``, at which it ends: a
# fortieth of a grey level.
TOLERANCE = 1e-4


def jacobi(
    layer: Any, y: Tensor, condition: Tensor | None, guidance: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """As :func:`attnflow_keras.layers.causal_inverse.token_by_token`, by Jacobi iterations.

    Each gives every value anew from the parameters that the values before the iteration imply. As
    a value depends on those before it alone, value i is right after i iterations, and in practice
    all are after far fewer; it ends where none changes by more than ``TOLERANCE``. Wide matrix
    products take the place of many narrow ones, which pays on GPUs and for affine stacks.
    (TarFlow's successors sample so; arXiv:2412.06329 for the flow itself.)
    """
    pair = Pair(guidance)
    target = ops.expand_dims(layer.tokens.split(y), 2)

    def maps(x: Tensor) -> list[Any]:
        raw, predicted = layer.parameters_of(pair.both(x), condition)
        if predicted is not None:
            predicted = tuple(map(pair.first, predicted))
        return layer.values.bijectors((pair.guided(raw), predicted))

    def iterate(i: Tensor, _: Tensor, x: Tensor, __: Tensor) -> Any:
        found, log_det = target, 0.0
        for bijector in reversed(maps(x)):
            found, inner = bijector.inverse_and_log_det(found)
            log_det = log_det + inner
        found = ops.squeeze(found, 2)
        change = ops.abs(found - x)
        size = ops.maximum(ops.abs(x), layer.values.spread)
        return i + 1, ops.any(change > TOLERANCE * size), found, log_det

    start = ops.zeros_like(target[:, :, 0, :])
    state = (
        ops.convert_to_tensor(0, dtype="int32"),
        ops.convert_to_tensor(True, dtype="bool"),
        start,
        ops.zeros_like(start[:, 0, 0]),
    )
    most = layer.tokens.tokens * layer.tokens.values + 1
    _, _, x, log_det = ops.while_loop(
        lambda i, going, *_: ops.logical_and(going, ops.less(i, most)), iterate, state
    )
    return layer.tokens.join(x), log_det
