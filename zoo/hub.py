"""Entries on the Hugging Face hub."""

import re
import tempfile
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
    hub = _hub(address)
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


def push(
    source: Any,
    address: str,
    token: str | None = None,
    private: bool = False,
    message: str | None = None,
) -> str:
    """Publish an entry on the Hugging Face hub, in one commit.

    The repository is created if there is none. It gets the entry's files and, as its page, the
    card, whose YAML header tells the hub licence, data and scores.

    >>> address = zoo.push(flow, "hf://me/my-flow")  # doctest: +SKIP
    >>> flow = zoo.load(address)  # this very version  # doctest: +SKIP

    Args:
        source: a flow, which is saved as :func:`save` does; or an entry's name or folder.
        address: ``hf://user/repository``.
        token: with the right to write there; None for that of ``hf auth login`` or of the
            environment variable ``HF_TOKEN``.
        private: whether a new repository is private.
        message: of the commit.

    Returns:
        The address of this version, ``hf://user/repository@commit``.

    Raises:
        ZooError: a wrong address, no token, huggingface_hub is not installed, an entry without
            weights or with damaged files, or the hub's refusal.
    """
    repository, revision = Address.read(address)
    if revision is not None:
        raise ZooError(f"address must have no revision, a push makes one; got {address!r}")
    hub = _hub(address)
    token = token or hub.get_token()
    if token is None:
        raise ZooError(
            f"no token to write to {address}: log in with 'hf auth login', set HF_TOKEN, or give "
            "token="
        )
    if isinstance(source, str | Path):
        return _push(hub, _checked(source), repository, token, private, message)
    from zoo.folder import save

    with tempfile.TemporaryDirectory() as scratch:
        folder = save(source, Path(scratch) / repository.rpartition("/")[2])
        return _push(hub, folder, repository, token, private, message)


def _checked(source: str | Path) -> Path:
    """Folder of a whole entry."""
    from zoo.folder import check_whole
    from zoo.registry import locate

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


def _hub(address: str) -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise ZooError(f"{address} needs huggingface_hub: {install_command('hub')}") from None
    return huggingface_hub
