"""Checks of the arguments that models share."""

from collections.abc import Iterable
from inspect import signature
from typing import Any

from attnflow_keras.core.checks import is_integer
from attnflow_keras.layers.itrans import valid_grids


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


def plain(value: Any) -> Any:
    """Tuples as lists, as JSON has them."""
    return [plain(v) for v in value] if isinstance(value, list | tuple) else value


def grids_by_level(grid: Any, levels: int) -> list[tuple[int, int]]:
    """One ``(rows, columns)`` a level, from one for all or a list of them."""
    given = list(grid) if isinstance(grid, list | tuple) else []
    pairs = [given] * levels if all(isinstance(side, int) for side in given) else given
    if not all(isinstance(pair, list | tuple) and len(pair) == 2 for pair in pairs) or not given:
        raise ValueError(f"grid must be (rows, columns), or a list of them by level; got {grid!r}")
    if len(pairs) != levels:
        raise ValueError(f"grid has {len(pairs)} values for {levels} levels: {grid!r}")
    return [(int(rows), int(columns)) for rows, columns in pairs]


def check_grids(grids: list[tuple[int, int]], image_shape: tuple[int, int, int]) -> None:
    """Raise ValueError, which names valid grids, unless each divides the map of its level."""
    for level, (rows, columns) in enumerate(grids, start=1):
        height, width = (side // 2**level for side in image_shape[:2])
        if min(rows, columns) > 0 and (height % rows or width % columns):
            options = ", ".join(map(str, valid_grids((height, width))))
            raise ValueError(
                f"grid {(rows, columns)} does not divide the map of level {level}, "
                f"{height}x{width}; valid grids there: {options}. Give a list with one "
                "grid per level"
            )


def counts_by_level(name: str, value: Any, levels: int) -> list[int]:
    """One integer of at least 1 a level, from one for all or a list of them."""
    counts = by_level(name, value, levels)
    if not all(is_integer(n) and n > 0 for n in counts):
        raise ValueError(f"{name} must be integers of at least 1; got {value!r}")
    return counts
