"""What a table of a reproduction is made of."""

from dataclasses import dataclass, field
from typing import Any

BUDGETS = ("small", "paper")
# In the place of iMap, a coupling of its mask and size that scales each element by itself.
SCALE: dict[str, Any] = {"attention": "imap", "attention_options": {"pool": "none"}}


@dataclass(frozen=True)
class Paper:
    """What the paper prints of a row.

    >>> from zoo.reproduction import Paper
    >>> Paper(0.39, dims=3072, parameters=8.94).bits_per_image
    1198.08

    Args:
        value: bits per dimension; None where it prints none.
        dims: dimensions that these are counted in; None where that is not known.
        parameters: in millions.
        note: what else must be known to read the value.
        scores: what it says of the images, by name, such as ``{"FID": 37.1}``.
    """

    value: float | None = None
    dims: int | None = None
    parameters: float | None = None
    note: str = ""
    scores: dict[str, float] = field(default_factory=dict)

    @property
    def bits_per_image(self) -> float | None:
        """Bits of an image, which all conventions have in common; None where they are not known."""
        if self.value is None or self.dims is None:
            return None
        return round(self.value * self.dims, 2)


@dataclass(frozen=True)
class Definition:
    """A model and its training: an entry of the zoo, with changes.

    >>> from zoo.reproduction import Definition
    >>> Definition("attnflow-imap-mnist", {"mask": "channel"}, {"steps": 500}).entry
    'attnflow-imap-mnist'

    Args:
        entry: the entry, whose configuration and recipe are the start.
        config: arguments of its model that differ; of a dict, the keys that do.
        recipe: settings of its recipe that differ.
        model: another model, for which ``config`` has all arguments but the image's shape: a flow,
            or one of ``zoo.reproduction.references``.
    """

    entry: str
    config: dict[str, Any] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    model: str | None = None


@dataclass(frozen=True)
class Row:
    """One system of a table.

    >>> from zoo.reproduction import TABLES
    >>> TABLES["table2"].row("imap").method
    'iMap'

    Args:
        name: what ``--only`` calls it; part of paths.
        method: the system.
        small: its definition for two CPU cores; None where the budget has none.
        paper: its definition as the paper states it; None where the zoo has none.
        printed: what the paper prints, by the name of its own row, such as ``"T2.8"``.
        note: what differs from the paper's.
    """

    name: str
    method: str
    small: Definition | None = None
    paper: Definition | None = None
    printed: dict[str, Paper] = field(default_factory=dict)
    note: str = ""

    def definition(self, budget: str) -> Definition | None:
        """That of a budget, ``"small"`` or ``"paper"``."""
        return self.small if budget == "small" else self.paper


@dataclass(frozen=True)
class Table:
    """A table of the paper, or one that it should have.

    >>> from zoo.reproduction import TABLES
    >>> [row.name for row in TABLES["masks"].rows][:2]
    ['none', 'spatial']

    Args:
        name: what the command calls it; name of its page.
        title: heading of its page.
        about: what is compared, in Markdown.
        rows: its rows; names are unique.
        baseline: name of the row that differences are taken from.
        seeds: seeds of each row unless the user says otherwise.
    """

    name: str
    title: str
    about: str
    rows: tuple[Row, ...]
    baseline: str
    seeds: int = 3

    def row(self, name: str) -> Row:
        """The row of a name.

        Raises:
            ValueError: there is none.
        """
        for row in self.rows:
            if row.name == name:
                return row
        known = ", ".join(row.name for row in self.rows)
        raise ValueError(f"rows of {self.name} are {known}; got {name!r}")
