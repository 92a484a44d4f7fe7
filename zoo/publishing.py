"""Publish entries on the Hugging Face Hub."""

import tempfile
from pathlib import Path
from typing import Any

from attnflow_keras.core.untrusted import one_line
from zoo.errors import ZooError
from zoo.folder import check_whole, save
from zoo.hub import FILES, OPTIONAL, PAGE, Address, hub_library
from zoo.registry import locate


def push(
    source: Any,
    address: str,
    token: str | None = None,
    private: bool = False,
    message: str | None = None,
) -> str:
    """Publish an entry on the Hugging Face Hub, in one commit.

    Creates the repository if necessary. The card becomes its page; the card's YAML header has the
    licence, data and scores.

    >>> address = zoo.push(flow, "hf://me/my-flow")  # doctest: +SKIP
    >>> flow = zoo.load(address)  # exactly this version  # doctest: +SKIP

    Args:
        source: a flow, which is saved as by :func:`save`; or an entry's name or folder.
        address: ``hf://user/repository``.
        token: a token with write access; None for that of ``hf auth login`` or of the environment
            variable ``HF_TOKEN``.
        private: whether a new repository is private.
        message: commit message.

    Returns:
        The address of this version, ``hf://user/repository@commit``.

    Raises:
        ZooError: a wrong address, no token, huggingface_hub is not installed, an entry without
            weights or with damaged files, or an error of the Hub.
    """
    repository, revision = Address.read(address)
    if revision is not None:
        raise ZooError(f"address must have no revision, a push makes one; got {address!r}")
    hub = hub_library(address)
    token = token or hub.get_token()
    if token is None:
        raise ZooError(
            f"no token to write to {address}: log in with 'hf auth login', set HF_TOKEN, or give "
            "token="
        )
    if isinstance(source, str | Path):
        return _push(hub, _checked(source), repository, token, private, message)
    with tempfile.TemporaryDirectory() as scratch:
        folder = save(source, Path(scratch) / repository.rpartition("/")[2])
        return _push(hub, folder, repository, token, private, message)


def _checked(source: str | Path) -> Path:
    """Folder of a whole entry."""
    folder = locate(source)
    check_whole(folder, source)
    return folder


def _push(
    hub: Any, folder: Path, repository: str, token: str, private: bool, message: str | None
) -> str:
    files = {path.name: path for path in sorted(folder.glob("*.csv"))}
    files |= {name: folder / name for name in (*FILES, *OPTIONAL) if (folder / name).exists()}
    files[PAGE] = files.get("card.md", folder / PAGE)
    api = hub.HfApi(token=token)
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        done = api.create_commit(
            repository,
            [hub.CommitOperationAdd(name, str(path)) for name, path in files.items()],
            commit_message=message or f"Upload {folder.name} with attnflow-keras",
        )
    except Exception as error:
        raise ZooError(f"can't push to hf://{repository}: {one_line(error)}") from error
    return f"hf://{repository}@{done.oid}"
