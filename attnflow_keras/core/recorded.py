"""``get_config`` from the constructor: a class's arguments are declared there and nowhere else."""

import inspect
from typing import Any


def records_arguments(kind: Any) -> Any:
    """Class decorator: ``get_config`` has every argument of the constructor from its attribute.

    What a base has recorded stays. Tuples become lists, as JSON has them.
    """
    parameters = list(inspect.signature(kind.__init__).parameters.values())[1:]
    names = [p.name for p in parameters if p.kind is not p.VAR_KEYWORD]

    def get_config(self: Any) -> dict[str, Any]:
        config = super(kind, self).get_config()
        return config | {name: plain(getattr(self, name)) for name in names if name not in config}

    kind.get_config = get_config
    return kind


def plain(value: Any) -> Any:
    """Tuples as lists, as JSON has them."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(v) for v in value] if isinstance(value, list | tuple) else value
