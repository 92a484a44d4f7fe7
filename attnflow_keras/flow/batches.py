"""Check every batch of a data source on the host, before it reaches a graph."""

import contextlib
import threading
import types
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

import keras
from keras import tree

from attnflow_keras.flow.inputs import unpack

Check = Callable[[Any], None]
ImageShape = Callable[[Any], tuple[int, ...]]


class CheckedBatches:
    """Data sources whose batches pass a check, and the error of the one that did not.

    A source is wrapped, not read; what comes out of it is what went in. Arrays are not wrapped:
    they are checked as a whole.

    Args:
        check: raises ValueError for a batch ``x``, ``(x,)``, ``(x, y)`` or ``(x, y, weight)``
            of arrays, or of symbolic tensors, which have shapes and dtypes alone.
        image_shape: the shape that an image of a batch must have, from the batch of images.
    """

    def __init__(self, check: Check, image_shape: ImageShape) -> None:
        self._check = check
        self._image_shape = image_shape
        self._error: ValueError | None = None
        self._opened: list[_CheckedPyDataset] = []

    def wrap(self, x: Any) -> Any:
        """A tf.data data set, ``PyDataset`` or generator as one of its kind that is checked."""
        if hasattr(x, "map") and hasattr(x, "element_spec"):
            return self._data_set(x)
        if isinstance(x, keras.utils.PyDataset):
            self._opened.append(_CheckedPyDataset(x, self.check))
            return self._opened[-1]
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
        finally:
            for data in self._opened:
                data.close()

    def _data_set(self, data: Any) -> Any:
        import tensorflow as tf

        @tf.autograph.experimental.do_not_convert
        def checked(*batch: Any) -> Any:
            whole = batch if isinstance(data.element_spec, tuple) else batch[0]
            x, _, weight = keras.utils.unpack_x_y_sample_weight(whole)
            seen = (x, None, weight)
            parts = [part for part in tree.flatten(seen) if part is not None]
            if not all(isinstance(part, tf.Tensor) for part in parts):
                self._check(seen)
                return whole  # ragged or sparse, which the model itself refuses
            shaped = self._known_shapes(x, weight)
            self._check_static(tree.map_structure(shaped, seen))

            def look(*arrays: Any) -> None:
                left = iter(arrays)
                self.check(tree.map_structure(lambda a: None if a is None else next(left), seen))

            with tf.control_dependencies([tf.numpy_function(look, parts, [])]):
                return tree.map_structure(
                    lambda a: tf.identity(shaped(a)) if isinstance(a, tf.Tensor) else a, whole
                )

        # The next batch is checked while the step runs.
        return data.map(checked).prefetch(1)

    def _known_shapes(self, x: Any, weight: Any) -> Callable[[Any], Any]:
        """What gives images and weights the static shapes that the check will find them to have."""
        import tensorflow as tf

        given = unpack(x)
        image = given["image"]
        weights = [w for w in (given["weight"], weight) if w is not None]

        def shaped(a: Any) -> Any:
            if a is image:
                shape = (None, *self._image_shape(a))
            elif any(a is w for w in weights):
                shape = (None,)
            else:
                return a
            if not a.shape.is_compatible_with(shape):
                return a  # the check says so
            a = tf.identity(a)
            a.set_shape(shape)
            return a

        return shaped

    def _check_static(self, seen: Any) -> None:
        """Check shapes and dtypes, before a graph is made for them."""
        shapes = [a.shape for a in tree.flatten(seen) if a is not None]
        hint = "state it with data.map and tf.ensure_shape"
        if any(shape.rank is None for shape in shapes):
            raise ValueError(f"the data set gives a condition without a static shape: {hint}")
        try:
            self._check(seen)
        except ValueError as error:
            if any(None in shape[1:] for shape in shapes):
                raise ValueError(f"{error}. None is a side that is not known: {hint}") from None
            raise

    def _generator(self, batches: Any) -> Iterator[Any]:
        for batch in batches:
            # Keras asks for tuples.
            whole = batch if isinstance(batch, tuple) else (batch,)
            self.check(whole)
            yield whole


class _CheckedPyDataset(keras.utils.PyDataset):
    """Checks here, in the process of the flow, whatever worker a batch comes from.

    To Keras its workers are threads. Where the data set asks for processes, these threads wait
    for them.
    """

    def __init__(self, data: keras.utils.PyDataset, check: Check) -> None:
        super().__init__(data.workers, False, data.max_queue_size)
        self._data = data
        self._check = check
        self._processes: ProcessPoolExecutor | None = None
        self._closed = False
        self._lock = threading.Lock()

    def __getitem__(self, index: int) -> Any:
        if self._data.use_multiprocessing and self._data.workers > 0:
            batch = self._submit(index).result()
        else:
            batch = self._data[index]
        self._check(batch)
        return batch

    def _submit(self, index: int) -> Future[Any]:
        with self._lock:
            if self._closed:  # asked by a thread that looks ahead
                raise RuntimeError("the data set is closed")
            if self._processes is None:
                self._processes = ProcessPoolExecutor(
                    self._data.workers, initializer=_start_worker, initargs=(self._data,)
                )
            return self._processes.submit(_worker_batch, index)

    def close(self) -> None:
        """End the processes for good."""
        with self._lock:
            self._closed = True
            if self._processes is not None:
                self._processes.shutdown(wait=False, cancel_futures=True)

    @property
    def num_batches(self) -> int | None:
        return self._data.num_batches

    def on_epoch_begin(self) -> None:
        self._data.on_epoch_begin()

    def on_epoch_end(self) -> None:
        self._data.on_epoch_end()
        with self._lock:
            if self._processes is not None:
                # Those of the next epoch get the data set as it is then.
                self._processes.shutdown(wait=False)
                self._processes = None


_worker_data: Any = None


def _start_worker(data: keras.utils.PyDataset) -> None:
    global _worker_data
    _worker_data = data


def _worker_batch(index: int) -> Any:
    return _worker_data[index]
