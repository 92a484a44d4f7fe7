"""See what goes through every invertible layer while a flow runs eagerly."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

# Called as ``observer(layer, x, condition, inverse, y, log_det)`` after each call of a layer.
Observer = Callable[[Any, Any, Any, bool, Any, Any], None]

_observer: ContextVar[Observer | None] = ContextVar("observer", default=None)


@contextmanager
def observing(observer: Observer) -> Iterator[None]:
    """Have every call of a ``FlowLayer`` in this block reported; the innermost block counts."""
    token = _observer.set(observer)
    try:
        yield
    finally:
        _observer.reset(token)


def report(*call: Any) -> None:
    """Tell the observer of this block, if there is one, of a call."""
    observer = _observer.get()
    if observer is not None:
        with observing_nothing():
            observer(*call)


@contextmanager
def observing_nothing() -> Iterator[None]:
    """Report no calls in this block, so that an observer may call layers itself."""
    token = _observer.set(None)
    try:
        yield
    finally:
        _observer.reset(token)
