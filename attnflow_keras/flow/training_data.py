"""What a flow is trained and scored on: checks, weights and noise of the data."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops, tree

from attnflow_keras import backend
from attnflow_keras.core import noise
from attnflow_keras.core.wording import counted
from attnflow_keras.flow import inputs as checks
from attnflow_keras.flow import loaders
from attnflow_keras.flow.batches import CheckedBatches

BATCH_SIZE = 32  # Keras' own

WEIGHTED = (
    "With sample_weight, loss is divided by the number of images, bits_per_dim by the sum of their "
    "weights."
)


class TrainingData:
    """The part of :class:`FlowTrainer` that reads the data of ``fit`` and related methods."""

    # What ``Flow`` provides.
    float_shape: tuple[int, int, int]
    _as_images: Any
    _shape_of: Any
    _check_condition: Any
    conditional: bool

    def _checked_source(
        self, x: Any, weight: Any, options: dict[str, Any]
    ) -> tuple[CheckedBatches, Any]:
        """Check arrays, put weights where they belong, and explain the loss that they give."""
        x = loaders.as_arrays(x)
        self._check_data(x)
        size = options.get("batch_size") or BATCH_SIZE
        self._check_shares(x, size, options.get("validation_split") or 0.0)
        x = self._with_weight(x, weight)
        spec = getattr(x, "element_spec", None)
        weighted = weight is not None or (isinstance(spec, tuple) and len(spec) == 3)
        if weighted and options.get("verbose", "auto") not in (0, False):
            print(WEIGHTED)
        return CheckedBatches(self._check_batch, self._shape_of), x

    def _checked_validation(
        self, data: Any, checked: CheckedBatches, options: dict[str, Any]
    ) -> Any:
        size = options.get("validation_batch_size") or options.get("batch_size") or BATCH_SIZE
        self._check_shares(data[0] if isinstance(data, list | tuple) else data, size)
        if isinstance(data, list | tuple):
            x, y, weight = (*data, None, None)[:3]
            self._check_data(x, weight)
            if y is None:
                return self._with_noise(self._with_weight(x, weight))
            return (self._with_noise(x), *data[1:])
        self._check_data(data)
        return checked.wrap(self._with_noise(data))

    def _check_data(self, x: Any, weight: Any = None) -> None:
        """Check arrays as a whole; other sources are checked batch by batch."""
        # Keras' own message for a wrong shape comes from deep inside a graph.
        if x is None or isinstance(x, str | int | float):
            raise ValueError(f"x must be {checks.FORMS}; got {x!r}")
        if hasattr(x, "element_spec") and not hasattr(x, "map"):
            raise ValueError(
                "x must be the plain data set, which Keras itself shares out among the replicas; "
                f"got {type(x).__name__}"
            )
        if isinstance(x, dict | list | tuple | np.ndarray) or ops.is_tensor(x):
            self._check_inputs(x, weight)

    def _check_batch(self, batch: Any) -> None:
        x, _, weight = keras.utils.unpack_x_y_sample_weight(batch)
        self._check_inputs(x, weight)
        self._check_shares(x, None)

    def _check_shares(self, x: Any, batch_size: int | None, split: float = 0.0) -> None:
        """Raise ValueError where devices could not share out the batches of these arrays evenly.

        Args:
            x: arrays, or one batch of them; other sources are not looked at.
            batch_size: images of a batch, None if this is one.
            split: fraction of the arrays that is held out.
        """
        unit = backend.devices.batch_unit(self)
        arrays = isinstance(x, dict | np.ndarray) or ops.is_tensor(x)
        total = checks.unpack(x)["image"].shape[0] if arrays else None
        if unit == 1 or total is None:
            return
        seen = math.floor(total * (1.0 - split))
        for count in (seen, total - seen):
            batch = count if batch_size is None else min(count, batch_size)
            if batch and (batch % unit or count % batch % unit):
                rest = batch if batch % unit else count % batch
                raise ValueError(
                    f"batches must be multiples of {unit} images, the number of devices; got a "
                    f"batch of {rest}. Choose a batch_size and a number of images accordingly"
                )

    def _check_inputs(self, x: Any, weight: Any = None) -> None:
        """Raise ValueError unless these are images, conditions and weights to learn from."""
        given = checks.unpack(x)
        image = self._as_images(given["image"], limit=checks.DATA_LIMIT)
        condition = given["condition"]
        if condition is None and self.conditional:
            raise ValueError(f"condition is missing; give {checks.FORMS}")
        self._check_condition(condition)
        images = image.shape[0]
        if condition is not None:
            count = tree.flatten(condition)[0].shape[0]
            if None not in (count, images) and count != images:
                raise ValueError(
                    f"condition must be one for each of {counted(images, 'image')}; got {count}"
                )
            self._check_pair(image, condition)
        weight = given["weight"] if weight is None else weight
        if weight is not None:
            checks.check_weight(weight, images)

    def _check_pair(self, image: Any, condition: Any) -> None:
        """Raise ValueError where images and conditions don't fit one another; for subclasses."""

    def _weight(self, x: Any, sample_weight: Any) -> Any:
        """Weights of the images, from the data set or from ``sample_weight=``."""
        given = checks.unpack(x)["weight"] if isinstance(x, dict) else None
        return sample_weight if given is None else given

    def _with_weight(self, x: Any, sample_weight: Any) -> Any:
        # Keras drops the weights when there is no y, so they go with the images.
        if sample_weight is None:
            return x
        if not isinstance(x, dict | np.ndarray):
            raise ValueError(
                "sample_weight goes with an image array or a dict of arrays; got x of type "
                f"{type(x).__name__}. A data set gives its weights itself, as (x, y, weight)"
            )
        given = checks.unpack(x)
        weight = checks.check_weight(sample_weight, len(given["image"]))
        given["weight"] = weight
        return {key: value for key, value in given.items() if value is not None}

    def _with_noise(self, x: Any) -> Any:
        if isinstance(x, dict | np.ndarray):
            given = checks.unpack(x)
            image = given["image"]
            if isinstance(image, np.ndarray) and given["noise"] is None:
                image = self._as_images(image)
                if checks.is_uint8(image):
                    rng = noise.generator(0, noise.DEQUANTIZATION)
                    given["noise"] = noise.uniform_noise(rng, (len(image), *self.float_shape))
                    return {key: value for key, value in given.items() if value is not None}
        return x
