"""Weights files of entries: a smaller form of the same weights, and checks of untrusted ones."""

import contextlib
import io
import math
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# Of smaller arrays the filter's own header takes more than it saves.
WORTH = 256

FILE_BYTES = 1 << 31  # of a weights file
# Of the arrays it declares, for each byte of it. Trained weights have 1.3, constants up to 1,000.
RATIO = 100
SLACK = 1 << 20  # bytes that any file may declare
OBJECTS = 20_000  # groups and arrays
# Weights of a model that is built without a file, and numbers in them; the paper's largest model
# has 253 million.
MOST = (50_000, 400_000_000)
# Pieces of one array; h5py cuts one of 400 million numbers into fewer.
MOST_CHUNKS = 5_000
EXTRA = 16  # elements of an array that is no weight of the model, such as a generator's state
DEPTH = 32


def packed(content: bytes) -> bytes:
    """A ``.weights.h5`` file in HDF5's newer format (1.10), with compressed arrays.

    Nothing is lost. Keras writes the oldest format, in which each of a flow's many small groups
    takes a kilobyte.
    """
    import h5py

    target = io.BytesIO()
    with (
        h5py.File(io.BytesIO(content)) as source,
        h5py.File(target, "w", libver=("v110", "v110")) as file,
    ):
        _copy(source, file)
    return target.getvalue()


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


def declared_shapes(path: Path) -> list[tuple[int, ...]]:
    """Shapes of all arrays of a weights file, without reading any.

    An array must lie in the file itself, as plain numbers, uncompressed or by gzip.

    Raises:
        ValueError: other arrays, or more than a file of its size can hold.
        OSError: no HDF5 file.
    """
    import h5py

    size = path.stat().st_size
    shapes = []
    elements = objects = 0
    with h5py.File(path, "r") as file:
        groups = [(file, 0)]
        while groups:
            group, depth = groups.pop()
            for name in group:
                objects += 1
                if objects > OBJECTS or depth > DEPTH:
                    raise ValueError(f"it has more than {OBJECTS:,} objects, or cycles")
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError(f"{name!r:.60} is a link")
                item = group[name]
                if isinstance(item, h5py.Group):
                    groups.append((item, depth + 1))
                    continue
                _check_stored(name, item)
                shapes.append(tuple(item.shape))
                elements += item.size
                if elements * 4 > size * RATIO + SLACK:
                    raise ValueError(
                        f"it declares more than {elements:,} numbers, which a file of {size:,} "
                        "bytes can't hold"
                    )
                _check_chunks(name, item, size)
    return shapes


def _check_stored(name: str, item: Any) -> None:
    import h5py

    if not isinstance(item, h5py.Dataset) or item.shape is None or item.dtype.kind not in "fiu":
        raise ValueError(f"{name!r:.60} is no array of numbers")
    if item.is_virtual or item.external:
        raise ValueError(f"{name!r:.60} lies in another file")
    plan = item.id.get_create_plist()
    filters = [plan.get_filter(i)[0] for i in range(plan.get_nfilters())]
    known: Any = ([], [h5py.h5z.FILTER_DEFLATE], [h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_DEFLATE])
    if filters not in known:
        raise ValueError(f"{name!r:.60} is compressed by something else than gzip")
    if item.chunks and math.prod(item.chunks) > max(1, item.size):
        raise ValueError(f"{name!r:.60} has chunks larger than itself")


def _check_chunks(name: str, item: Any, size: int) -> None:
    """Refuse a chunk that inflates to more than its size: HDF5 would take the memory it needs."""
    if not item.chunks or item.compression is None:
        return
    count = item.id.get_num_chunks()
    if count > MOST_CHUNKS:
        raise ValueError(f"{name!r:.60} is cut into {count:,} pieces; {MOST_CHUNKS:,} are allowed")
    nominal = math.prod(item.chunks) * item.dtype.itemsize
    # All at once: HDF5 finds each by its number only by going through those before it.
    chunks: list[Any] = []
    item.id.chunk_iter(chunks.append)
    for chunk in chunks:
        if chunk.size > size:
            raise ValueError(f"{name!r:.60} is larger than its file")
        _, stored = item.id.read_direct_chunk(chunk.chunk_offset)
        try:
            inflated = zlib.decompressobj().decompress(stored, nominal + 1)
        except zlib.error as error:
            raise ValueError(f"{name!r:.60} is damaged: {error}") from error
        if len(inflated) > nominal:
            raise ValueError(f"{name!r:.60} inflates to more than it declares")


def check_shapes(declared: list[tuple[int, ...]], flow: Any) -> None:
    """Raise ValueError if a file declares arrays that a flow has no weights of the shape for."""
    shapes = {tuple(variable.shape) for variable in flow.variables}
    for shape in declared:
        if shape not in shapes and math.prod(shape) > EXTRA:
            raise ValueError(
                f"it holds an array of shape {shape}, and the model has no such weight"
            )
    total = sum(math.prod(variable.shape) for variable in flow.variables)
    if sum(map(math.prod, declared)) > total + EXTRA * len(declared):
        raise ValueError(f"it holds more numbers than the model, which has {total:,}")


class TooLargeError(ValueError):
    """A model of more weights than :func:`limited_weights` allows."""


@contextlib.contextmanager
def limited_weights(count: int, elements: int) -> Iterator[None]:
    """Refuse layers that are built in the block more weights than these, before they exist.

    Raises:
        TooLargeError: more weights than ``count``, or more numbers in them than ``elements``.
    """
    made = {"count": 0, "elements": 0}

    def make(
        original: Callable[..., Any], layer: Any, shape: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        sizes = (shape,) if isinstance(shape, int) else shape or ()
        made["count"] += 1
        made["elements"] += math.prod(int(n) for n in sizes)
        if made["count"] > count or made["elements"] > elements:
            raise TooLargeError(
                f"the model has more than {count:,} weights, or {elements:,} numbers in them"
            )
        return original(layer, shape, *args, **kwargs)

    from attnflow_keras.backend.new_weights import weights_made_by

    with weights_made_by(make):
        yield
