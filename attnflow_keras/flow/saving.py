"""``save`` and ``save_weights`` of a flow, whose files are complete or absent."""

import json
import os
from pathlib import Path
from typing import Any

from attnflow_keras.core.files import write_file
from attnflow_keras.core.weights_file import MemoryFile


class SavingMixin:
    """Keras' own two methods, with files that are written in memory first; and the origin."""

    # As text, because Keras would take a dict for something to track.
    _origin = "{}"

    @property
    def origin(self) -> dict[str, Any]:
        """The entry that the flow was loaded from, see :meth:`note_origin`; empty if none."""
        return json.loads(self._origin)

    def note_origin(self, origin: dict[str, Any]) -> None:
        """Note which entry the flow was loaded from, for what is saved and exported of it."""
        self._origin = json.dumps(origin)

    def save(
        self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any
    ) -> None:
        """As in Keras; a local ``.keras`` file is complete or absent."""
        if zipped is False or not _writable(filepath, ".keras", overwrite):
            super().save(filepath, overwrite, zipped, **kwargs)  # type: ignore[misc]
            return
        memory = MemoryFile(filepath)
        super().save(memory, True, zipped, **kwargs)  # type: ignore[misc]
        write_file(filepath, memory.getvalue())

    def save_weights(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """As in Keras; a local ``.weights.h5`` file is complete or absent."""
        sharded = kwargs.get("max_shard_size") is not None
        if sharded or not _writable(filepath, ".weights.h5", overwrite):
            super().save_weights(filepath, overwrite, **kwargs)  # type: ignore[misc]
            return
        memory = MemoryFile(filepath)
        super().save_weights(memory, True, **kwargs)  # type: ignore[misc]
        write_file(filepath, memory.getvalue())


def _writable(filepath: Any, suffix: str, overwrite: bool) -> bool:
    """Whether it is a local file of that kind that may be written without asking."""
    local = isinstance(filepath, str | Path) and "://" not in str(filepath)
    # Where the user has to be asked first, Keras does so.
    return local and str(filepath).endswith(suffix) and (overwrite or not os.path.exists(filepath))
