"""Which weights of a flow are frozen, so that saving keeps it."""

from typing import Any

from attnflow_keras.core.checks import is_integer

Ranges = list[list[int]]


def frozen_ranges(flow: Any) -> Ranges:
    """Positions ``[start, stop)`` of frozen weights among those that may be trained."""
    trained = {id(v) for v in flow.trainable_variables}
    ranges: Ranges = []
    for i, variable in enumerate(_weights(flow)):
        if id(variable) in trained:
            continue
        if ranges and ranges[-1][1] == i:
            ranges[-1][1] = i + 1
        else:
            ranges.append([i, i + 1])
    return ranges


def freeze(flow: Any, ranges: Any) -> None:
    """Freeze these weights, and the layers that hold no others.

    Raises:
        ValueError: ranges that are not positions of weights of the flow.
    """
    weights = _weights(flow)
    for pair in ranges:
        good = isinstance(pair, list | tuple) and len(pair) == 2
        good = good and all(map(is_integer, pair))
        if not good or not 0 <= pair[0] < pair[1] <= len(weights):
            raise ValueError(
                f"frozen must be pairs [start, stop] of positions in {len(weights)} weights; got "
                f"{pair!r:.60}"
            )
        for variable in weights[pair[0] : pair[1]]:
            variable.trainable = False
    free = {id(v) for v in weights if v.trainable}
    held = {id(v) for v in weights}
    for layer in flow._flatten_layers():
        own = {id(v) for v in layer.weights}
        if own & held and not own & free:
            layer.trainable = False


def _weights(flow: Any) -> list[Any]:
    """Weights that are trained unless they are frozen."""
    own = {id(v) for layer in flow._flatten_layers() for v in layer._trainable_variables}
    return [v for v in flow.weights if id(v) in own]
