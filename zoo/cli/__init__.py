"""The ``attnflow`` command."""

from attnflow_keras.core.extras import install_command

PACKAGES = ("PIL", "pydantic", "rich", "typer")

__all__ = ["app", "main"]

try:
    from zoo.cli.app import app, main
except ModuleNotFoundError as error:  # the runtime alone is installed
    if error.name not in PACKAGES:
        raise
    message = f"attnflow: the command line needs {error.name}: {install_command('cli')}"

    def main() -> None:
        """Say what is missing."""
        raise SystemExit(message)
