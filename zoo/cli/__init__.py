"""The ``attnflow`` command."""

import sys

from attnflow_keras.core.extras import install_command

PACKAGES = ("PIL", "pydantic", "rich", "typer")

__all__ = ["main"]


def main() -> None:
    """Run the command line."""
    try:
        from zoo.cli.app import main as run
    except ModuleNotFoundError as error:  # the runtime alone is installed
        if error.name not in PACKAGES:
            raise
        advice = f"the command line needs {error.name}: {install_command('cli')}"
        raise SystemExit(f"attnflow: {advice}") from None
    except KeyboardInterrupt:  # before the commands are there to answer it
        print("\ninterrupted; no file is left half-written", file=sys.stderr)
        raise SystemExit(130) from None
    run()
