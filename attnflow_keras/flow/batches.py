"""Check every batch of a data source on the host, before it reaches a graph.

An exception within a data set of TensorFlow is logged with its traceback, whoever catches it. So a
source ends there at a batch that fails, and the step that finds the end raises the error.
"""

import contextlib
import types
from collections.abc import Callable, Iterator
from typing import Any

import keras
from keras import tree

from attnflow_keras.backend import READS_BY_TF_DATA
from attnflow_keras.core.arrays import dtype_name
from attnflow_keras.flow import loaders
from attnflow_keras.flow.checked_pydataset import CheckedPyDataset
from attnflow_keras.flow.inputs import unpack

# Batches that Keras takes from a generator to see what they are.
PEEKED = 2

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
        self._opened: list[CheckedPyDataset] = []

    def wrap(self, x: Any) -> Any:
        """A data set as one of its kind that is checked; a loader as a data set of tf.data."""
        if hasattr(x, "map") and hasattr(x, "element_spec"):
            return self._data_set(x)
        if isinstance(x, keras.utils.PyDataset):
            self._opened.append(CheckedPyDataset(x, self._of_one_kind(), self.raise_error))
            return self._opened[-1]
        if isinstance(x, types.GeneratorType):
            return self._generator(x)
        if loaders.is_loader(x) and READS_BY_TF_DATA:
            return loaders.as_data_set(x, self._of_one_kind(), self.raise_error)
        return x

    def passes(self, batch: Any) -> bool:
        """Check one batch, and remember its error."""
        try:
            self._check(batch)
        except ValueError as error:
            self._error = error
            return False
        return True

    def _of_one_kind(self) -> Callable[[Any], bool]:
        """:meth:`passes` for arrays of Python, of which TensorFlow casts all to the first's dtypes.

        Grey levels and floats in one source would be silently mixed up.
        """
        first: list[str] = []

        def passes(batch: Any) -> bool:
            if not self.passes(batch):
                return False
            x, _, weight = keras.utils.unpack_x_y_sample_weight(batch)
            kinds = [dtype_name(a) for a in tree.flatten((x, weight)) if a is not None]
            if not first:
                first.extend(kinds)
            if kinds != first:
                self._error = ValueError(
                    "x must give batches of the same dtypes; got "
                    f"{', '.join(first)} first, {', '.join(kinds)} later"
                )
            return kinds == first

        return passes

    def raise_error(self) -> None:
        """Raise the error of the batch that did not pass, if there was one.

        Raises:
            ValueError: what the check said.
        """
        if self._error is not None:
            raise self._error from None

    @contextlib.contextmanager
    def plain_errors(self) -> Iterator[None]:
        """Within the block, the check's error takes the place of that of a source that ends."""
        try:
            yield
        except Exception as error:
            if is_end(error):
                self.raise_error()
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
                return tf.constant(True), whole  # ragged or sparse, which the model itself refuses
            shaped = self._known_shapes(x, weight)
            self._check_static(tree.map_structure(shaped, seen))

            def look(*arrays: Any) -> bool:
                left = iter(arrays)
                return self.passes(
                    tree.map_structure(lambda a: None if a is None else next(left), seen)
                )

            good = tf.ensure_shape(tf.numpy_function(look, parts, tf.bool), ())
            return good, tree.map_structure(
                lambda a: shaped(a) if isinstance(a, tf.Tensor) else a, whole
            )

        good = data.map(checked).take_while(lambda good, _: good).map(lambda _, whole: whole)
        # The next batch is checked while the step runs.
        good = good.prefetch(1)
        # What may end early has no length to TensorFlow; Keras shows that of the source.
        good.cardinality = data.cardinality
        return good

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
        passes = self._of_one_kind()
        for number, batch in enumerate(batches):
            # Keras asks for tuples.
            whole = batch if isinstance(batch, tuple) else (batch,)
            if not passes(whole):
                # At first there is no data set yet.
                if number < PEEKED or not READS_BY_TF_DATA:
                    self.raise_error()
                return
            yield whole


def is_end(error: Exception) -> bool:
    """Whether this is what TensorFlow raises where a data set ends or breaks off."""
    return isinstance(error, StopIteration) or type(error).__module__.startswith("tensorflow.")
