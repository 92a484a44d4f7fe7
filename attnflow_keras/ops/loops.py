"""Loops over a known number of steps, unrolled or as one loop node of a graph."""

import contextlib
import enum
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

from keras import ops

from attnflow_keras import backend

Tensor = Any

# Unrolled loops run faster, but each step costs compilation.
UNROLLED_STEPS = 16


class Lowering(enum.Enum):
    """How loops are lowered."""

    SHORT_UNROLLED = "short loops are unrolled, long ones are loops of the graph"
    UNROLLED = "all are unrolled"
    ROLLED = "all are loops of the graph"
    ONNX = "all are loops of the graph, in the form that ONNX has"
    LITERT = "as in SHORT_UNROLLED; and softplus in the form that LiteRT computes exactly"


# Only set while tracing a graph for another runtime, such as an export.
_lowering: ContextVar[Lowering] = ContextVar("lowering", default=Lowering.SHORT_UNROLLED)


@contextlib.contextmanager
def lowered(lowering: Lowering) -> Iterator[None]:
    """Within the block, in this thread, lower loops as given.

    >>> with lowered(Lowering.ROLLED):
    ...     (total,) = repeat(3, lambda i, state: (state[0] + 1.0,), (np.zeros(()),))
    """
    token = _lowering.set(lowering)
    try:
        yield
    finally:
        _lowering.reset(token)


def for_onnx() -> bool:
    """Whether a graph for ONNX is being traced."""
    return _lowering.get() is Lowering.ONNX


def for_litert() -> bool:
    """Whether a graph for LiteRT is being traced."""
    return _lowering.get() is Lowering.LITERT


def _is_unrolled(count: int, most: int) -> bool:
    lowering = _lowering.get()
    if lowering in (Lowering.SHORT_UNROLLED, Lowering.LITERT):
        return count <= most
    return lowering is Lowering.UNROLLED


def repeat(
    count: int, step: Callable[[Any, Any], Any], state: Any, unrolled: int = UNROLLED_STEPS
) -> Any:
    """``state = step(i, state)`` for i = 0 to count - 1.

    Args:
        count: number of steps.
        step: takes the step and the state, a tuple of tensors whose shapes it keeps. The step
            is an integer, or an integer tensor inside a loop of the graph.
        state: the state before the first step.
        unrolled: maximum count that is unrolled; 0 if a step is large or has loops itself.

    Returns:
        The state after the last step.
    """
    if _is_unrolled(count, unrolled):
        for i in range(count):
            state = step(i, state)
        return state
    return backend.repeat(count, step, state)


def scan(step: Callable[[Any, Tensor], Any], state: Any, sequence: Tensor) -> Tensor:
    """Outputs of ``state, output = step(state, x)`` for each x of a sequence.

    Args:
        step: takes the state, a tuple of tensors whose shapes it keeps, and one element.
        state: the state before the first element.
        sequence: ``(steps, ...)``.

    Returns:
        The outputs, ``(steps, ...)``.
    """
    count = sequence.shape[0]
    if _is_unrolled(count, UNROLLED_STEPS):
        outputs = []
        # Not one slice after another: the gradient of each would fill an array of the whole.
        for x in ops.unstack(sequence, count):
            state, output = step(state, x)
            outputs.append(output)
        return ops.stack(outputs)
    if not for_onnx():
        return backend.scan(step, state, sequence)

    # ONNX has no arrays that a loop fills step by step.
    _, first = step(state, sequence[0])
    empty = ops.zeros((count, *ops.shape(first)), dtype=first.dtype)

    def one(i: Any, now: Any) -> Any:
        *before, outputs = now
        after, output = step(tuple(before), at(sequence, i))
        return (*after, put(outputs, i, output))

    return repeat(count, one, (*state, empty))[-1]


def at(x: Tensor, i: Any) -> Tensor:
    """``x[i]`` along the first axis, for an integer or an integer tensor."""
    return x[i] if isinstance(i, int) else ops.take(x, i, axis=0)


def put(x: Tensor, i: Any, value: Tensor) -> Tensor:
    """``x`` with ``value`` added to its part ``i`` along the first axis."""
    place = ops.one_hot(i, x.shape[0], dtype=x.dtype)
    place = ops.reshape(place, (-1, *(1 for _ in value.shape)))
    return x + place * ops.expand_dims(value, 0)
