"""Checks of the arguments that models share."""

import dataclasses
import inspect
from collections.abc import Callable, Iterable
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
    allowed = [key for key in inspect.signature(kind).parameters if key not in (*own, "kwargs")]
    unknown = sorted(set(options) - set(allowed), key=str)
    if unknown:
        raise ValueError(
            f"{name} of {kind.__name__} must be among {', '.join(allowed) or '(none)'}; got "
            f"{', '.join(map(str, unknown))}"
        )


class Shared:
    """Base of a frozen dataclass whose fields are arguments of several models.

    They are declared there once, with their documentation. A model takes them out of its keyword
    arguments by :meth:`take`, and shows them in its signature and docstring by :func:`shares`.
    """

    @classmethod
    def take(cls, arguments: dict[str, Any]) -> Any:
        """The fields of a model's keyword arguments; they are taken out of the dict."""
        names = [field.name for field in dataclasses.fields(cls)]  # type: ignore[arg-type]
        return cls(**{name: arguments.pop(name) for name in names if name in arguments})


def shares(group: type[Shared], placeholder: str, after: str) -> Callable[[Any], Any]:
    """Decorator: write a group's arguments into a model's signature, behind the argument of this
    name, and into its docstring in place of the placeholder."""

    def decorate(model: Any) -> Any:
        own = inspect.signature(model.__init__)
        parameters = list(own.parameters.values())
        place = list(own.parameters).index(after) + 1
        parameters[place:place] = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in inspect.signature(group).parameters.values()
        ]
        model.__init__.__signature__ = own.replace(parameters=parameters)
        if model.__doc__:  # none under python -OO
            lines = str(group.__doc__).partition("Args:\n")[2].strip()
            model.__doc__ = model.__doc__.replace(placeholder, lines)
        return model

    return decorate


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
