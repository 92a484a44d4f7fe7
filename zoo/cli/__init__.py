"""The ``attnflow`` command."""

from zoo.cli.app import app, main

__all__ = ["app", "main"]
