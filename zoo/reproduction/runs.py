"""The trainings behind a table: one folder each, which says whether it is finished."""

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from attnflow_keras.core.checks import check_choice, check_integer
from attnflow_keras.core.files import write_json
from attnflow_keras.core.untrusted import read_json
from attnflow_keras.training.recipe import Recipe
from zoo.errors import ZooError
from zoo.registry import info, locate, read_config
from zoo.reproduction.references import BICUBIC, command, finish_bicubic
from zoo.reproduction.table import BUDGETS, Definition, Row, Table

# Of the entry that a definition starts from, what is not said of it anew.
KEPT = ("format", "task", "dataset", "dataset_license", "license")
# What zoo.reproduction.quality writes beside a finished training.
QUALITY = "quality.json"


@dataclass(frozen=True)
class Plan:
    """One training: a row with a seed.

    >>> from pathlib import Path
    >>> from zoo.reproduction import TABLES, plan
    >>> plans = plan(TABLES["masks"], Path("runs"), "small", ["channel"], 2)
    >>> [made.folder.as_posix() for made in plans]
    ['runs/masks/small/channel/0', 'runs/masks/small/channel/1']

    Args:
        row: the row.
        definition: what is trained.
        seed: seed of its start values, noise and order of images.
        folder: folder of the run.
    """

    row: Row
    definition: Definition
    seed: int
    folder: Path

    @property
    def result(self) -> dict[str, Any] | None:
        """Metadata of the trained flow; None before it is finished.

        Raises:
            ZooError: the folder has a flow that was trained by another definition.
        """
        for file, wanted in self.files().items():
            path = self.folder / "definition" / file
            if path.exists() and read_json(path) != wanted:
                raise ZooError(
                    f"{self.folder} holds a run of another definition; remove the folder, or "
                    "name another one with --runs"
                )
        path = self.folder / "entry" / "metadata.json"
        return dict(read_json(path)) if path.exists() else None

    @property
    def quality(self) -> dict[str, Any] | None:
        """Scores of its images; None before they are measured."""
        path = self.folder / QUALITY
        return dict(read_json(path)) if path.exists() else None

    def files(self) -> dict[str, Any]:
        """What is trained, as an entry without weights: content by file."""
        name = self.definition.entry
        entry, config = info(name), read_config(locate(name), name)
        title = f"{self.row.name}-{self.seed}"
        given = {**config["config"], "name": title}
        if self.definition.model is not None:
            config = {**config, "class": self.definition.model}
            given = {"image_shape": given["image_shape"], "name": title}
        for key, value in self.definition.config.items():
            before = given.get(key)
            if isinstance(before, dict) and isinstance(value, dict):
                value = {**before, **value}
            given[key] = value
        recipe = Recipe.from_dict(
            {**entry["training"]["recipe"], **self.definition.recipe, "seed": self.seed}
        ).to_dict()
        metadata = {
            **{key: entry[key] for key in KEPT if key in entry},
            "name": title,
            "description": f"{self.row.method}, of a reproduction.",
            "training": {"recipe": recipe},
        }
        return {"config.json": {**config, "config": given}, "metadata.json": metadata}

    def write_definition(self) -> Path:
        """Write these files; their folder."""
        folder = self.folder / "definition"
        for file, content in self.files().items():
            write_json(folder / file, content)
        return folder


def plan(
    table: Table, runs: Path, budget: str, only: Sequence[str] = (), seeds: int | None = None
) -> list[Plan]:
    """The trainings of a table, seed by seed, so that all rows have the first one soon.

    What is not trained, such as bicubic interpolation, has no other seed than 0.

    Args:
        table: the table.
        runs: folder of all runs.
        budget: ``"small"`` or ``"paper"``.
        only: names of rows; all that the budget has if none are given.
        seeds: number of seeds, from 0; the table's if not given.

    Raises:
        ValueError: a row that is unknown, or that the budget lacks.
    """
    check_choice("budget", budget, BUDGETS)
    count = check_integer("seeds", table.seeds if seeds is None else seeds)
    rows = [table.row(name) for name in only] or list(table.rows)
    found: list[Plan] = []
    for seed in range(count):
        for row in rows:
            definition = row.definition(budget)
            if definition is not None:
                if seed and definition.model == BICUBIC:
                    continue
                folder = runs / table.name / budget / row.name / str(seed)
                found.append(Plan(row, definition, seed, folder))
            elif only:
                raise ValueError(f"row {row.name!r} of {table.name} has no {budget} budget")
    return found


def train_rows(plans: Sequence[Plan], say: Callable[[str], None]) -> None:
    """Train what is not finished, one after the other, each in a process of its own.

    A run that was killed resumes exactly; one that is finished is left alone.

    Args:
        plans: the trainings.
        say: tells the user what happens.

    Raises:
        ZooError: a training failed; those before it stay.
    """
    for number, made in enumerate(plans, start=1):
        title = f"{number} of {len(plans)}: {made.row.name}, seed {made.seed}"
        if made.result is not None:
            say(f"{title}: finished")
            continue
        say(title)
        definition = made.write_definition()
        if made.definition.model == BICUBIC:
            finish_bicubic(made.folder, made.files())
            continue
        done = subprocess.run(command(made.definition.model, definition, made.folder), check=False)
        if done.returncode:
            raise ZooError(
                f"training of row {made.row.name!r}, seed {made.seed}, ended with status "
                f"{done.returncode}; the same command resumes it"
            )
