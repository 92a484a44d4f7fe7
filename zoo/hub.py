"""Entries on the Hugging Face hub."""

from pathlib import Path

from attnflow_keras.core.extras import install_command
from zoo.errors import ZooError

FILES = ["config.json", "metadata.json", "model.weights.h5", "card.md"]


def download(address: str) -> Path:
    """Local folder of ``hf://user/repository``, from the hub's cache or the network.

    Only an entry's own files are fetched.

    Raises:
        ZooError: a wrong address, huggingface_hub is not installed, or the download failed.
    """
    repository = address.removeprefix("hf://").strip("/")
    if repository.count("/") != 1:
        raise ZooError(f"expected hf://user/repository; got {address!r}")
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise ZooError(f"{address} needs huggingface_hub: {install_command('hub')}") from None
    try:
        return Path(snapshot_download(repository, allow_patterns=FILES))
    except Exception as error:
        raise ZooError(f"can't fetch {address}: {error}") from error
