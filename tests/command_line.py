"""The ``attnflow`` command, run in the process of the tests."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from zoo.cli.app import app

HAS_BLUE_MARBLE = (Path(os.environ.get("ATTNFLOW_DATA", "nowhere")) / "bluemarble").is_dir()
needs_blue_marble = pytest.mark.skipif(
    not HAS_BLUE_MARBLE, reason="Blue Marble is not in ATTNFLOW_DATA"
)


def attnflow(*arguments):
    """The result of a command, which may have an exit code; what else it raises is raised."""
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def succeed(*arguments):
    """The result of a command whose exit code is 0."""
    result = attnflow(*arguments)
    if result.exception is not None:
        raise result.exception
    return result


def printed(*arguments):
    """What a command that succeeds prints, as one line."""
    return " ".join(succeed(*arguments).output.split())
