"""Find the classes that the modules of a package define: a new one is a new file."""

import importlib
import pkgutil
from typing import TypeVar

T = TypeVar("T")


def one_of_each(package: str, kind: type[T]) -> dict[str, T]:
    """An object of each named class of a kind that the modules of a package define.

    Args:
        package: dotted name of the package.
        kind: the base class. Its subclasses are made without arguments; those that set no
            ``name`` of their own are bases themselves and left out.

    Returns:
        The objects by name, in order of their names.

    Raises:
        ValueError: two classes of one name.
    """
    found: dict[str, T] = {}
    for entry in pkgutil.iter_modules(importlib.import_module(package).__path__):
        module = importlib.import_module(f"{package}.{entry.name}")
        for cls in vars(module).values():
            if not isinstance(cls, type) or not issubclass(cls, kind) or "name" not in vars(cls):
                continue
            if cls.__module__ != module.__name__:  # imported from elsewhere
                continue
            name = vars(cls)["name"]
            if name in found:
                raise ValueError(
                    f"{cls.__module__}.{cls.__name__} and {type(found[name]).__name__} are both "
                    f"named {name!r}"
                )
            found[name] = cls()
    return dict(sorted(found.items()))
