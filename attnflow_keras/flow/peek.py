"""Peek at the first images of any data given to ``fit``, without consuming them."""

from typing import Any

import keras
import numpy as np
from keras import tree

from attnflow_keras.core import noise
from attnflow_keras.flow import loaders


def first_batch(x: Any, count: int) -> Any:
    """A batch for ``Flow.adapt`` from training data.

    Arrays give ``count`` images drawn with a fixed seed; a tf.data data set, a PyDataset or
    a loader its first batch.

    Raises:
        ValueError: a generator, which can't be read twice, or no data.
    """
    if x is None:
        raise ValueError("x is missing; give images, a dict or a data set")
    if isinstance(x, dict | np.ndarray | list | tuple) or keras.ops.is_tensor(x):
        total = tree.flatten(x)[0].shape[0]
        if total == 0:
            raise ValueError("x holds no images")
        draws = noise.generator(0, noise.SUBSET).permutation(total)[:count]
        rows = np.sort(draws)
        return tree.map_structure(lambda a: keras.ops.convert_to_numpy(a)[rows], x)
    if isinstance(x, keras.utils.PyDataset):
        batch = x[0]
    elif hasattr(x, "take") and hasattr(x, "element_spec"):
        batch = next(iter(x.take(1)), None)
        if batch is None:
            raise ValueError("x is an empty data set")
        batch = tree.map_structure(keras.ops.convert_to_numpy, batch)
    elif loaders.is_loader(x):
        batch = loaders.first(x)
    else:
        raise ValueError(
            "fit can't look ahead into a generator without using it up: call flow.adapt(batch) "
            "first"
        )
    # A data set yields x, (x,), (x, y) or (x, y, sample_weight).
    return batch[0] if isinstance(batch, list | tuple) else batch
