"""Entries on the Hugging Face hub."""

import re
from pathlib import Path
from typing import Any, NamedTuple

from attnflow_keras.core.extras import install_command
from attnflow_keras.core.untrusted import one_line
from zoo.errors import ZooError

FILES = ["config.json", "metadata.json", "model.weights.h5", "card.md"]
# What only some entries have.
OPTIONAL = ["detection.json"]
# What the hub shows on a repository's page.
PAGE = "README.md"

_ADDRESS = re.compile(r"hf://(?P<repository>[\w.-]+/[\w.-]+?)/?(?:@(?P<revision>[\w./-]+))?/?")
_COMMIT = re.compile(r"[0-9a-f]{40}")


class Address(NamedTuple):
    """``hf://user/repository`` or ``hf://user/repository@revision``.

    Args:
        repository: ``user/repository``.
        revision: a branch, a tag or a commit; None for the main branch.
    """

    repository: str
    revision: str | None

    @classmethod
    def read(cls, text: str) -> "Address":
        """Raises ZooError for any other text."""
        found = _ADDRESS.fullmatch(text)
        if found is None:
            raise ZooError(
                f"expected hf://user/repository or hf://user/repository@revision; got {text!r:.200}"
            )
        return cls(found["repository"], found["revision"])


def download(address: str) -> Path:
    """Local folder of an address, from the hub's cache or the network.

    Only an entry's own files are fetched. A commit that is in the cache is taken from there,
    without a word to the network.

    Raises:
        ZooError: a wrong address, huggingface_hub is not installed, or the download failed.
    """
    repository, revision = Address.read(address)
    hub = hub_library(address)
    given: dict[str, Any] = {"allow_patterns": [*FILES, *OPTIONAL]}
    if revision is not None:
        given["revision"] = revision
    try:
        if revision is not None and _COMMIT.fullmatch(revision):
            try:
                return Path(hub.snapshot_download(repository, local_files_only=True, **given))
            except OSError:
                pass  # not in the cache
        return Path(hub.snapshot_download(repository, **given))
    except Exception as error:
        raise ZooError(f"can't fetch {address}: {one_line(error)}") from error


def hub_library(address: str) -> Any:
    """``huggingface_hub``; a ZooError with the address where it is not installed."""
    try:
        import huggingface_hub
    except ImportError:
        raise ZooError(f"{address} needs huggingface_hub: {install_command('hub')}") from None
    return huggingface_hub
