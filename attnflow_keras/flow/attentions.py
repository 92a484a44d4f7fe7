"""The attentions as models choose them: one a step, at one of four positions."""

import dataclasses
from collections.abc import Callable
from typing import Any

from attnflow_keras import layers
from attnflow_keras.core.checks import check_choice
from attnflow_keras.core.recorded import plain
from attnflow_keras.flow.arguments import Shared, check_options, shares
from attnflow_keras.layers.itrans import valid_grids
from attnflow_keras.layers.masks import MASKS

ATTENTIONS: dict[Any, Any] = {"imap": layers.IMapAttention, "itrans": layers.ITransAttention}
POSITIONS = (1, 2, 3, 4)
# Where a model's docstring has the attention's arguments.
PLACEHOLDER = "<attention>"
# What models set themselves, so that the options can't.
OWN = ("mask", "heads", "grid", "seed", "condition_channels")


@dataclasses.dataclass(frozen=True)
class StepAttention(Shared):
    """The attention in each step of a model; its fields are arguments of the model.

    Args:
        attention: None, ``"imap"`` or ``"itrans"``.
        position: where the attention stands in a step: 1 before actnorm, 2 after it, 3 after
            the 1x1 convolution, 4 after the coupling.
        mask: mask of the attention, see ``attnflow_keras.layers.masks``.
        heads: heads of iTrans.
        grid: ``(rows, columns)`` of cells of iTrans, by level.
        attention_options: further arguments of :class:`IMapAttention` (``form``, ``pool``,
            ``floor``, ``bias``) or :class:`ITransAttention` (``form``, ``combine``,
            ``expansion``, ``activation``), such as ``{"activation": "softmax"}``.
    """

    attention: str | None = None
    position: int = 4
    mask: str = "spatial_channel"
    heads: int = 1
    grid: Any = (2, 2)
    attention_options: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        attention, options = self.attention, self.attention_options
        check_choice("attention", attention, (None, *ATTENTIONS))
        check_choice("position", self.position, POSITIONS)
        check_choice("mask", self.mask, MASKS)
        if attention != "itrans" and self.heads != 1:
            raise ValueError(f"heads is an option of attention='itrans'; got heads={self.heads}")
        if attention is None and options:
            raise ValueError(f"attention_options need an attention; got {options}")
        check_options("attention_options", options, ATTENTIONS.get(attention), OWN)

    def to_config(self) -> dict[str, Any]:
        """The fields as JSON has them."""
        config = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        options = dict(self.attention_options or {})
        return {**config, "grid": plain(self.grid), "attention_options": options}

    def grids(
        self, levels: int, image_shape: tuple[int, int, int] | None = None
    ) -> list[tuple[int, int]]:
        """One grid a level; with a shape, those of iTrans must divide the map of their level."""
        grids = grids_by_level(self.grid, levels)
        if self.attention == "itrans" and image_shape is not None:
            check_grids(grids, image_shape)
        return grids


def accepts_attention(after: str) -> Callable[[Any], Any]:
    """Decorator of a model that takes the arguments of :class:`StepAttention`."""
    return shares(StepAttention, PLACEHOLDER, after)


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


def with_attention(
    parts: dict[str, layers.FlowLayer],
    config: dict[str, Any],
    grid: tuple[int, int],
    seed: int,
    **own: Any,
) -> dict[str, layers.FlowLayer]:
    """The layers of a step with the attention among them.

    Args:
        parts: the layers in order: actnorm, 1x1 convolution, and couplings, after all of which
            position 4 lies.
        config: the model's configuration, with that of its :class:`StepAttention`.
        grid: grid of iTrans at this level.
        seed: seed of a random mask.
        **own: arguments of the attention that the model sets itself.
    """
    attention, position = config["attention"], config["position"]
    if attention is None:
        return parts
    options = {"mask": config["mask"], "seed": seed, **config["attention_options"], **own}
    if attention == "itrans":
        options |= {"heads": config["heads"], "grid": grid}
    ordered = list(parts.items())
    place = position - 1 if position < 4 else len(ordered)
    ordered.insert(place, ("attention", ATTENTIONS[attention](**options)))
    return dict(ordered)
