"""Check every batch of a data source on the host, before it reaches a graph."""

import contextlib
import types
from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras import tree

Check = Callable[[Any], None]


class CheckedBatches:
    """Data sources whose batches pass a check, and the error of the one that did not.

    A source is wrapped, not read; what comes out of it is what went in. Arrays are not wrapped:
    they are checked as a whole.

    Args:
        check: raises ValueError for a batch ``x``, ``(x,)``, ``(x, y)`` or ``(x, y, weight)``
            of arrays, or of symbolic tensors, which have shapes and dtypes alone.
    """

    def __init__(self, check: Check) -> None:
        self._check = check
        self._error: ValueError | None = None

    def wrap(self, x: Any) -> Any:
        """A tf.data data set, ``PyDataset`` or generator as one of its kind that is checked."""
        if hasattr(x, "map") and hasattr(x, "element_spec"):
            return self._data_set(x)
        if isinstance(x, keras.utils.PyDataset):
            return _CheckedPyDataset(x, self.check)
        if isinstance(x, types.GeneratorType):
            return self._generator(x)
        return x

    def check(self, batch: Any) -> None:
        """Check one batch, and remember its error.

        Raises:
            ValueError: what the check says.
        """
        try:
            self._check(batch)
        except ValueError as error:
            self._error = error
            raise

    @contextlib.contextmanager
    def plain_errors(self) -> Iterator[None]:
        """Within the block, the check's error takes the place of that of a graph."""
        try:
            yield
        except Exception as error:
            # TensorFlow packs an exception of Python code into one of its own.
            packed = type(error).__module__.startswith("tensorflow.")
            if packed and self._error is not None:
                raise self._error from None
            raise

    def _data_set(self, data: Any) -> Any:
        import tensorflow as tf

        @tf.autograph.experimental.do_not_convert
        def checked(*batch: Any) -> Any:
            whole = batch if isinstance(data.element_spec, tuple) else batch[0]
            x, _, weight = keras.utils.unpack_x_y_sample_weight(whole)
            seen = (x, None, weight)
            self._check(seen)  # shapes and dtypes, before a graph is made for them
            parts = [part for part in tree.flatten(seen) if part is not None]
            if not all(isinstance(part, tf.Tensor) for part in parts):
                return whole  # ragged or sparse, which the model itself refuses

            def look(*arrays: Any) -> None:
                left = iter(arrays)
                self.check(tree.map_structure(lambda a: None if a is None else next(left), seen))

            with tf.control_dependencies([tf.numpy_function(look, parts, [])]):
                return tree.map_structure(
                    lambda a: tf.identity(a) if isinstance(a, tf.Tensor) else a, whole
                )

        # The next batch is checked while the step runs.
        return data.map(checked).prefetch(1)

    def _generator(self, batches: Any) -> Iterator[Any]:
        for batch in batches:
            # Keras asks for tuples.
            whole = batch if isinstance(batch, tuple) else (batch,)
            self.check(whole)
            yield whole


class _CheckedPyDataset(keras.utils.PyDataset):
    def __init__(self, data: keras.utils.PyDataset, check: Check) -> None:
        super().__init__(data.workers, data.use_multiprocessing, data.max_queue_size)
        self._data = data
        self._check: Check | None = check

    def __getstate__(self) -> dict[str, Any]:
        # A worker that is spawned can't be given the flow; one that is forked has it.
        return {**self.__dict__, "_check": None}

    def __getitem__(self, index: int) -> Any:
        batch = self._data[index]
        if self._check is not None:
            self._check(batch)
        return batch

    @property
    def num_batches(self) -> int | None:
        return self._data.num_batches

    def on_epoch_begin(self) -> None:
        self._data.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self._data.on_epoch_end()
