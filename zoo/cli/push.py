"""``attnflow push``."""

from typing import Annotated

import typer

from zoo.cli.common import Json, Name
from zoo.cli.console import console, print_json, working
from zoo.publishing import push


def push_command(
    name: Name,
    address: Annotated[
        str, typer.Argument(metavar="hf://USER/REPOSITORY", help="Where to publish it.")
    ],
    private: Annotated[
        bool, typer.Option("--private", help="Make a new repository private.")
    ] = False,
    message: Annotated[str | None, typer.Option(help="Message of the commit.")] = None,
    as_json: Json = False,
) -> None:
    """Publish an entry on the Hugging Face hub: its files, and the card as its page.

    The repository is created if there is none. The token is that of 'hf auth login', or the
    environment variable HF_TOKEN. Prints the address of this version, which every command takes.
    """
    with working(f"pushing {name}"):
        version = push(name, address, private=private, message=message)
    if as_json:
        print_json({"address": version})
    else:
        console.print(version)
