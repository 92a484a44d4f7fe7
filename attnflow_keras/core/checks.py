"""Checks of single values: each returns the value as plain Python, or raises ValueError.

Messages name the argument, what was expected and what came.
"""

import math
from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, TypeGuard


def is_integer(value: Any) -> TypeGuard[int]:
    """Whether it is an integer of Python or NumPy; a bool is none."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value: Any) -> TypeGuard[float]:
    """Whether it is a finite real number of Python or NumPy; a bool is none."""
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def check_integer(
    name: str, value: Any, least: int = 1, most: int | None = None, *, none: bool = False
) -> Any:
    """An integer from ``least`` to ``most``, both included; with ``none``, None passes too."""
    if none and value is None:
        return None
    if not is_integer(value) or value < least or (most is not None and value > most):
        expected = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise ValueError(f"{name} must be an integer {expected}{_or_none(none)}; got {value!r}")
    return int(value)


def check_number(name: str, value: Any, interval: str = "[0, inf)", *, none: bool = False) -> Any:
    """A finite number in an interval such as ``"[0, 1)"``; with ``none``, None passes too."""
    if none and value is None:
        return None
    low, high = map(float, interval[1:-1].split(","))
    above = is_number(value) and (value > low or (interval[0] == "[" and value == low))
    if not above or not (value < high or (interval[-1] == "]" and value == high)):
        raise ValueError(
            f"{name} must be {_number_in(interval, low, high)}{_or_none(none)}; got {value!r}"
        )
    return float(value)


def check_flag(name: str, value: Any, *, none: bool = False) -> Any:
    """True or False; with ``none``, None passes too."""
    if not isinstance(value, bool) and not (none and value is None):
        expected = "True, False or None" if none else "True or False"
        raise ValueError(f"{name} must be {expected}; got {value!r}")
    return value


def check_choice(name: str, value: Any, allowed: Iterable[Any]) -> Any:
    """One of the values allowed, among which None may be."""
    choices = list(allowed)
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(str, choices))}; got {value!r}")
    return value


def check_power_of_two(name: str, value: Any) -> int:
    """2, 4, 8, ..."""
    if not is_integer(value) or value < 2 or value & (value - 1):
        raise ValueError(f"{name} must be a power of 2, at least 2; got {value!r}")
    return int(value)


def check_sides(name: str, value: Any) -> tuple[int, int, int]:
    """``(height, width, channels)``, each at least 1."""
    sides = tuple(value) if isinstance(value, list | tuple) else ()
    if len(sides) != 3 or not all(is_integer(side) and side > 0 for side in sides):
        raise ValueError(f"{name} must be (height, width, channels); got {value!r}")
    return int(sides[0]), int(sides[1]), int(sides[2])


def _number_in(interval: str, low: float, high: float) -> str:
    if math.isfinite(high):
        return f"a number in {interval}"
    if interval[0] == "(":
        return "a positive number" if low == 0 else f"a number above {low:g}"
    return f"a number of at least {low:g}"


def _or_none(none: bool) -> str:
    return ", or None" if none else ""
