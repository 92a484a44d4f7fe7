"""The inverse of causal attention, token by token."""

from typing import Any

from keras import ops

from attnflow_keras.ops import loops

Tensor = Any


def token_by_token(
    layer: Any, y: Tensor, condition: Tensor | None, guidance: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The input of a :class:`CausalAttention` for an output, and the inverse's log-determinant.

    With guidance ``w`` the parameters of a value are ``a + w (a - b)``, a those given the condition
    and b those given another one, such as that of no class (TarFlow, arXiv:2412.06329).

    Args:
        layer: the layer.
        y: its output, ``(n, h, w, c)``.
        condition: its condition; with guidance ``2 n`` of them, those of b after those of a.
        guidance: ``(n,)``, or None.
    """
    order = layer.tokens
    targets = ops.transpose(order.split(y), (1, 0, 2))
    count = order.tokens
    pair = Pair(guidance)
    n = ops.shape(y)[0] * pair.times
    positions = ops.convert_to_tensor(layer.positions)
    like = ops.zeros((n, layer.trunk.width), dtype=layer.trunk.compute_dtype)
    before = order.before
    kernels = layer.head.by_value() if layer.head.group else ()
    told = None
    if condition is not None:
        told = layer.told.split(condition, layer.tokens)
        told = ops.broadcast_to(told, (n, count, told.shape[-1]))
        told = ops.transpose(told, (1, 0, 2))

    def token(t: Any, state: Any) -> Any:
        done, known, log_det, *cache = state
        seen = ops.take(known, loops.at(ops.convert_to_tensor(before), t), axis=0)
        seen = pair.both(ops.transpose(seen, (1, 0, 2)))
        seen = ops.reshape(seen, (n, -1))
        own = None if told is None else loops.at(told, t)
        started, cache = begin(layer, positions, t, seen, own, tuple(cache))
        x, inner = _invert_patch(layer, started, loops.at(targets, t), kernels, pair)
        return (
            loops.put(done, t, x),
            loops.put(known, t, layer.values.seen(x)),
            log_det + inner,
            *cache,
        )

    done = ops.zeros_like(targets)
    # One more token than there are, of zeros: what lies outside.
    known = ops.pad(done, [[0, 1], [0, 0], [0, 0]])
    log_det = ops.zeros_like(targets[0, :, 0])
    state = (done, known, log_det, *layer.trunk.empty_cache(like, count))
    done, _, log_det, *_ = loops.repeat(count, token, state, unrolled=0)
    return order.join(ops.transpose(done, (1, 0, 2))), log_det


def begin(
    layer: Any, positions: Tensor, t: Any, seen: Tensor, own: Tensor | None, cache: Any
) -> tuple[Any, Any]:
    """What token t's parameters start from, and the cache with its keys and values.

    Args:
        layer: the layer.
        positions: its learned positions.
        t: the token's number.
        seen: what it sees directly of the tokens before it, ``(n, context)``.
        own: its part of the condition, or None.
        cache: keys and values of the tokens before it.
    """
    h = layer.embedding(seen)
    h = h + ops.cast(loops.at(positions, t), h.dtype)
    if own is not None:
        h = h + layer.condition_in(own)
        seen = ops.concatenate([seen, ops.cast(own, seen.dtype)], axis=-1)
    h, cache = layer.trunk.step(h, t, cache)
    return layer.start(h, seen, t), cache


def step(
    layer: Any, started: Any, kernels: Any, i: Any, known: Tensor, hidden: Any
) -> tuple[tuple[Tensor, Any], Any]:
    """Parameters ``(n, outputs)`` of value i of a token and its prediction, and hidden layers.

    Args:
        layer: the layer.
        started: what :func:`begin` gave for the token.
        kernels: those of the masked network by value.
        i: the value's number.
        known: the token's values as the networks see them, of which those before i count.
        hidden: the hidden layers as the value before left them.
    """
    if layer.head.group:
        raw, hidden = layer.head.step(started[0], kernels, i, known, hidden)
    else:
        raw = loops.at(ops.transpose(layer.head.finish(started[0], known), (1, 0, 2)), i)
    predicted = None
    if layer.linear is not None:
        predicted = tuple(_column(p, i) for p in layer.linear.finish(started[1], known))
    return (raw, predicted), hidden


class Pair:
    """A batch with two conditions per image, stacked along the batch; or with one.

    Args:
        guidance: weight of the first condition over the second; None if there is only one.
    """

    def __init__(self, guidance: Tensor | None) -> None:
        self.guidance = guidance
        self.times = 1 if guidance is None else 2

    def both(self, x: Tensor) -> Tensor:
        """Rows for each condition."""
        return x if self.guidance is None else ops.concatenate([x, x], axis=0)

    def first(self, x: Tensor) -> Tensor:
        """The rows of the first condition."""
        return x if self.guidance is None else ops.split(x, 2, axis=0)[0]

    def guided(self, raw: Tensor) -> Tensor:
        """Parameters of the images, from those under each condition."""
        if self.guidance is None:
            return raw
        given, other = ops.split(raw, 2, axis=0)
        weight = ops.reshape(self.guidance, (-1, *(1 for _ in raw.shape[1:])))
        return given + weight * (given - other)


def _invert_patch(
    layer: Any, started: Any, target: Tensor, kernels: Any, pair: Pair
) -> tuple[Tensor, Tensor]:
    """The values ``(n, d)`` of one patch, and the log-determinant ``(n,)``."""
    zeros = ops.zeros_like(target)
    if not layer.head.group and layer.linear is None:
        raw, _ = layer.finish(started, pair.both(zeros))
        return _invert(layer, (pair.guided(raw), None), target)

    def value(i: Any, state: Any) -> Any:
        x, known, log_det, *hidden = state
        seen = pair.both(known)
        (raw, predicted), hidden = step(layer, started, kernels, i, seen, tuple(hidden))
        if predicted is not None:
            predicted = tuple(map(pair.first, predicted))
        given = (ops.expand_dims(pair.guided(raw), 1), predicted)
        found, inner = _invert(layer, given, ops.expand_dims(loops.at(columns, i), 1))
        place = ops.one_hot(i, layer.tokens.values, dtype=x.dtype)
        known = known + layer.values.seen(found) * place
        return x + found * place, known, log_det + inner, *hidden

    columns = ops.transpose(target)
    hidden = layer.head.empty(pair.both(zeros)) if layer.head.group else ()
    state = (zeros, zeros, zeros[:, 0], *hidden)
    x, _, log_det, *_ = loops.repeat(layer.tokens.values, value, state, unrolled=0)
    return x, log_det


def _invert(layer: Any, given: tuple[Tensor, Any], target: Tensor) -> tuple[Tensor, Tensor]:
    """Values ``(n, d)`` and log-determinant for parameters ``(n, d, outputs)``."""
    raw, predicted = given
    if predicted is not None:
        predicted = tuple(ops.expand_dims(p, 1) for p in predicted)
    given = (ops.expand_dims(raw, 1), predicted)
    x = ops.expand_dims(ops.expand_dims(target, 1), 1)
    log_dets = []
    for bijector in reversed(layer.values.bijectors(given, few=True)):
        x, log_det = bijector.inverse_and_log_det(x)
        log_dets.append(log_det)
    return ops.reshape(x, ops.shape(target)), sum(log_dets)


def _column(x: Tensor, i: Any) -> Tensor:
    """Column i ``(n, 1)`` of ``(n, d)``."""
    return ops.expand_dims(loops.at(ops.transpose(x), i), 1)
