"""A ``PyDataset`` whose batches are checked."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from typing import Any

import keras
import numpy as np
from keras import tree

from attnflow_keras.backend import READS_BY_TF_DATA


class CheckedPyDataset(keras.utils.PyDataset):
    """Checks here, in the process of the flow, whatever worker a batch comes from.

    To Keras its workers are threads. Where the data set asks for processes, these threads wait
    for them.

    Args:
        data: the data set.
        passes: whether a batch passes the check.
        raise_error: raises the error of the last batch that did not.
    """

    def __init__(
        self,
        data: keras.utils.PyDataset,
        passes: Callable[[Any], bool],
        raise_error: Callable[[], None],
    ) -> None:
        super().__init__(data.workers, False, data.max_queue_size)
        self._data = data
        self._passes = passes
        self._raise_error = raise_error
        self._structure: Any = None
        self._processes: ProcessPoolExecutor | None = None
        self._closed = False
        self._lock = threading.Lock()

    def __getitem__(self, index: int) -> Any:
        if self._data.use_multiprocessing and self._data.workers > 0:
            batch = self._submit(index).result()
        else:
            batch = self._data[index]
        if self._passes(batch):
            if self._structure is None:
                self._structure = tree.map_structure(lambda _: 0, batch)
            return batch
        if self._structure is None or not READS_BY_TF_DATA:
            self._raise_error()
        return tree.map_structure(lambda _: _End(self._raise_error), self._structure)

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


class _End:
    """An array that ends the data set which is made of it.

    Keras reads a ``PyDataset`` through a generator, out of which no StopIteration comes. Where
    TensorFlow then reads the array, it does.
    """

    def __init__(self, raise_error: Callable[[], None]) -> None:
        self._raise_error = raise_error

    @property
    def shape(self) -> Any:
        """Not there: Keras looks at the first batches before there is a data set."""
        self._raise_error()

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        raise StopIteration


_worker_data: Any = None


def _start_worker(data: keras.utils.PyDataset) -> None:
    global _worker_data
    _worker_data = data


def _worker_batch(index: int) -> Any:
    return _worker_data[index]
