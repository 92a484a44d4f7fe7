"""Description of a flow: a line, and a table of its levels and steps."""

import io
import math
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

Row = tuple[str, Any, tuple[int, ...] | None]


class SummaryMixin:
    """``repr`` and ``summary`` of a flow."""

    # What ``Flow`` provides.
    name: str
    num_levels: int
    image_shape: tuple[int, int, int]
    float_shape: tuple[int, int, int]
    is_adapted: bool
    built: bool
    layers: list[Any]
    weights: list[Any]
    trainable_variables: list[Any]
    multi_scale: Any

    def __repr__(self) -> str:
        if not getattr(self, "built", False):
            return f"<{type(self).__name__}, not built>"
        return (
            f"<{type(self).__name__} {self.name!r}: image_shape={self.image_shape}, "
            f"levels={self.num_levels}, parameters={_size(self.trainable_variables):,}, "
            f"adapted={self.is_adapted}>"
        )

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Callable[[str], Any] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Print a table of the levels, their steps and priors.

        Args:
            line_length: width of the table.
            positions: as in ``keras.Model.summary``, whose own table is then printed.
            print_fn: called with each line; ``print`` if not given.
            expand_nested: as ``positions``.
            show_trainable: show what is frozen.
            layer_range: as ``positions``.
        """
        if positions or expand_nested or layer_range:
            super().summary(  # type: ignore[misc]
                line_length, positions, print_fn, expand_nested, show_trainable, layer_range
            )
            return
        table = Table()
        for column, side in (("layer", "left"), ("class", "left"), ("output", "left")):
            table.add_column(column, justify=side, overflow="fold")  # type: ignore[arg-type]
        table.add_column("weights", justify="right")
        if show_trainable:
            table.add_column("trainable")
        for label, layer, shape in _rows(self):
            trained = _size(layer.trainable_variables)
            cells = [
                label,
                type(layer).__name__,
                "" if shape is None else f"(n, {', '.join(map(str, shape))})",
                f"{_size(layer.weights):,}",
            ]
            if show_trainable:
                cells.append("yes" if trained else "no")
            table.add_row(*cells)
        trained, total = _size(self.trainable_variables), _size(self.weights)
        text = io.StringIO()
        console = Console(file=text, width=line_length or 80)
        console.print(repr(self), table, markup=False, highlight=False)
        console.print(f"{total:,} weights, {trained:,} of them trainable", highlight=False)
        for line in text.getvalue().rstrip().splitlines():
            (print_fn or print)(line)


def _rows(flow: Any) -> Iterator[Row]:
    """Label, layer and shape of its output, from the image to the top."""
    walk = flow.multi_scale
    levels = walk.levels
    own = {id(layer) for pair in levels for layer in pair}
    for layer in flow.layers:
        if id(layer) not in own:
            yield layer.name, layer, None
    for i, ((steps, prior), shapes) in enumerate(zip(levels, walk.shapes, strict=True), start=1):
        yield f"level_{i}", steps, shapes.steps
        for name in getattr(steps, "order", ()):
            step = getattr(steps, name)
            yield f"  {name}", step, step.output_map_shape(step.map_shape)
        if prior is not None:
            yield f"prior_{i}", prior, shapes.latent


def _size(variables: list[Any]) -> int:
    return sum(math.prod(v.shape) for v in variables)
