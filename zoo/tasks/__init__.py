"""Tasks of flows. Each module defines one :class:`~zoo.tasks.base.Task`."""

import functools
from collections.abc import Callable
from typing import Any

from attnflow_keras.core.discovery import one_of_each
from zoo.tasks.base import Task

__all__ = ["Task", "results", "task_of", "tasks", "those"]


@functools.cache
def tasks() -> dict[str, Task]:
    """All tasks by name, in the order in which they are listed."""
    found = one_of_each("zoo.tasks", Task)  # type: ignore[type-abstract]
    return dict(sorted(found.items(), key=lambda item: (item[1].rank, item[0])))


def task_of(entry: dict[str, Any]) -> Task:
    """The task of an entry; unconditional if it is missing or unknown."""
    return tasks().get(str(entry.get("task")), tasks()["unconditional"])


def results() -> dict[str, str]:
    """Titles of the results that ``attnflow evaluate`` records, by their key in metadata."""
    return {task.result: task.title for task in tasks().values() if task.result}


def those(chosen: Callable[[Task], Any]) -> str:
    """Names of the tasks that a function chooses, in words."""
    return " and ".join(name for name, task in tasks().items() if chosen(task))
