"""Checks of the arguments that models share."""

from collections.abc import Iterable
from inspect import signature
from typing import Any

from attnflow_keras.core.checks import is_integer


def check_options(name: str, options: Any, kind: Any, own: Iterable[str] = ()) -> None:
    """Raise ValueError unless ``options`` is None or a dict of arguments of ``kind``.

    ``own`` are arguments that the model sets itself.
    """
    if options is not None and not isinstance(options, dict):
        raise ValueError(f"{name} must be a dict of arguments, or None; got {options!r}")
    if not options:
        return
    allowed = [key for key in signature(kind).parameters if key not in (*own, "kwargs")]
    unknown = sorted(set(options) - set(allowed), key=str)
    if unknown:
        raise ValueError(
            f"{name} of {kind.__name__} must be out of {', '.join(allowed) or '(none)'}; got "
            f"{', '.join(map(str, unknown))}"
        )


def by_level(name: str, value: Any, levels: int) -> list[Any]:
    """One value per level, from one for all or a list of them."""
    values = list(value) if isinstance(value, list | tuple) else [value] * levels
    if len(values) != levels:
        raise ValueError(f"{name} has {len(values)} values for {levels} levels: {value!r}")
    return values


def counts_by_level(name: str, value: Any, levels: int) -> list[int]:
    """One integer of at least 1 a level, from one for all or a list of them."""
    counts = by_level(name, value, levels)
    if not all(is_integer(n) and n > 0 for n in counts):
        raise ValueError(f"{name} must be integers of at least 1; got {value!r}")
    return counts
