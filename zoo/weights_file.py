"""A smaller file of the same weights."""

from pathlib import Path
from typing import Any

# Of smaller arrays the filter's own header takes more than it saves.
WORTH = 256


def pack(path: Path) -> None:
    """Rewrite a ``.weights.h5`` file in HDF5's newer format (1.10), with compressed arrays.

    Nothing is lost. Keras writes the oldest format, in which each of a flow's many small groups
    takes a kilobyte.
    """
    import h5py

    part = path.with_name(f".{path.name}.part")
    with h5py.File(path) as source, h5py.File(part, "w", libver=("v110", "v110")) as target:
        _copy(source, target)
    part.replace(path)


def _copy(source: Any, target: Any) -> None:
    import h5py

    target.attrs.update(source.attrs)
    for name, item in source.items():
        if isinstance(item, h5py.Group):
            _copy(item, target.create_group(name))
            continue
        options = {"compression": "gzip", "shuffle": True} if item.size > WORTH else {}
        array = target.create_dataset(name, data=item[()], **options)
        array.attrs.update(item.attrs)
