"""Classes of flows in entries: those of the package, and those that users register."""

from typing import Any, TypeVar

T = TypeVar("T", bound=type)

_REGISTERED: dict[str, type] = {}


def register_model(cls: T) -> T:
    """Register your own class of flows for :func:`zoo.save` and ``load``.

    Entries store the class's ``__name__`` and no code, so register it in every process that loads
    one. Can be used as a decorator.

    Args:
        cls: a subclass of :class:`attnflow_keras.models.Flow` whose ``get_config`` returns the
            arguments of its constructor, as JSON has them.

    Returns:
        The class.

    Raises:
        ValueError: not such a class, or another class of this name is registered. Redefining a
            class in its module, as in a notebook, replaces it.

    Example:
        >>> from attnflow_keras.models import MARFlow
        >>> import zoo
        >>> @zoo.register_model
        ... class Tiny(MARFlow):
        ...     def __init__(self, image_shape=(4, 4, 1), **kwargs):
        ...         super().__init__(image_shape, **{"levels": 1, "steps": 1, **kwargs})
    """
    from attnflow_keras.models import Flow

    if not isinstance(cls, type) or not issubclass(cls, Flow) or cls is Flow:
        raise ValueError(f"cls must be a subclass of Flow; got {cls!r}")
    known = model_classes().get(cls.__name__, cls)
    if known is not cls and _place(known) != _place(cls):
        raise ValueError(
            f"cls must have a name of its own: {cls.__name__} is registered already, as "
            f"{'.'.join(_place(known))}"
        )
    _REGISTERED[cls.__name__] = cls
    return cls


def model_classes() -> dict[str, Any]:
    """All registered classes, by name."""
    from attnflow_keras import models

    own = {name: getattr(models, name) for name in models.__all__ if name != "Flow"}
    return {**_REGISTERED, **own}


def _place(cls: type) -> tuple[str, str]:
    return cls.__module__, cls.__qualname__
