"""``attnflow push``."""

from typing import Annotated

import typer

from zoo.cli.common import Json, Name
from zoo.cli.console import console, print_json, working
from zoo.publishing import push


def push_command(
    name: Name,
    address: Annotated[
        str, typer.Argument(metavar="hf://USER/REPOSITORY", help="Where to publish.")
    ],
    private: Annotated[
        bool, typer.Option("--private", help="Make a new repository private.")
    ] = False,
    message: Annotated[str | None, typer.Option(help="Commit message.")] = None,
    as_json: Json = False,
) -> None:
    """Publish an entry on the Hugging Face Hub, with its card as the page.

    Creates the repository if necessary. The token comes from 'hf auth login' or from the
    environment variable HF_TOKEN. Prints the address of the version, which all commands accept.
    """
    with working(f"pushing {name}"):
        version = push(name, address, private=private, message=message)
    if as_json:
        print_json({"address": version})
    else:
        console.print(version)
