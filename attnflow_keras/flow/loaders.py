"""Loaders of PyTorch and Grain as data sets of tf.data; neither library is imported."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from keras import backend, ops, tree

LIBRARIES = ("torch", "grain")


def is_loader(x: Any) -> bool:
    """Whether ``x`` is a data loader of PyTorch, or a loader or data set of Grain."""
    homes = {kind.__module__.partition(".")[0] for kind in type(x).__mro__}
    return bool(homes & set(LIBRARIES)) and hasattr(x, "__iter__") and not hasattr(x, "shape")


def plain(batch: Any) -> Any:
    """A batch as Keras wants it: a tuple or dict of arrays, without tensors of PyTorch.

    A list, which is what PyTorch makes of tuples, becomes a tuple; a single array one of one.
    """
    if isinstance(batch, list):
        batch = tuple(batch)
    elif not isinstance(batch, tuple | dict):
        batch = (batch,)
    batch = tree.lists_to_tuples(batch)
    return tree.map_structure(lambda a: None if a is None else as_array(a), batch)


def as_array(x: Any) -> np.ndarray:
    """``x`` as an array; what is on an accelerator is fetched from there."""
    return np.asarray(x.cpu() if hasattr(x, "cpu") else x)


def as_arrays(x: Any) -> Any:
    """``x`` with tensors of PyTorch and of other libraries as arrays; a data set as it is."""
    if isinstance(x, dict | list | tuple):
        return tree.map_structure(as_arrays, x)
    foreign = hasattr(x, "__array__") and hasattr(x, "shape") and not ops.is_tensor(x)
    return as_array(x) if foreign and not isinstance(x, np.ndarray) else x


def first(loader: Any) -> Any:
    """The first batch, :func:`plain`.

    Raises:
        ValueError: the loader gives none.
    """
    for batch in loader:
        return plain(batch)
    raise ValueError("x is an empty data loader")


def as_data_set(loader: Any, passes: Callable[[Any], bool], raise_error: Callable[[], None]) -> Any:
    """A tf.data data set, read again in each epoch, that ends at the first invalid batch.

    Args:
        loader: what :func:`is_loader` takes.
        passes: whether a batch passes the check.
        raise_error: raises the error of the last batch that did not.
    """
    import tensorflow as tf

    example = first(loader)
    if not passes(example):
        raise_error()
    spec = tree.map_structure(_spec, example)

    def batches() -> Iterator[Any]:
        for batch in loader:
            batch = plain(batch)
            if not passes(batch):
                return
            yield batch

    data = tf.data.Dataset.from_generator(batches, output_signature=spec)
    length = _length(loader)
    if length is not None:
        # Not asserted: at a batch that fails the data set ends early.
        data.cardinality = lambda: tf.constant(length, tf.int64)
    return data


def _spec(a: Any) -> Any:
    import tensorflow as tf

    if a is None:
        return None
    return tf.TensorSpec((None, *a.shape[1:]), backend.standardize_dtype(a.dtype))


def _length(loader: Any) -> int | None:
    try:
        return len(loader)
    except (TypeError, AttributeError, NotImplementedError):
        return None
