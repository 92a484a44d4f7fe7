"""A small pixel classifier, to measure how well generated photos match their labels."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.core.checks import check_integer
from attnflow_keras.core.weights_file import save_weights

# Of the defaults of `Segmenter.train`.
STEPS = 1500
BATCH = 16
RATE = 2e-3


class Segmenter:
    """A small U-Net from photos to classes, trained on real photos.

    Its accuracy on generated photos, compared with that on real ones, measures how well the
    generator has learned what the classes look like (as in Full-Glow, arXiv:2012.05846, section
    4.2, which uses a large pretrained network).

    >>> segmenter = metrics.Segmenter(classes=3, width=4)
    >>> segmenter.predict(np.zeros((2, 8, 8, 3), "uint8")).shape
    (2, 8, 8)

    Args:
        classes: number of classes.
        width: channels at full size; two and three times that at a half and a quarter.
    """

    def __init__(self, classes: int, width: int = 24) -> None:
        check_integer("width", width)
        self.classes = check_integer("classes", classes)
        self.model = _unet(classes, width)

    def train(
        self,
        source: Any,
        steps: int = STEPS,
        batch_size: int = BATCH,
        seed: int = 0,
        progress: Callable[[int], None] | None = None,
    ) -> None:
        """Train from newly initialized weights: Adam on the cross-entropy, with a rate that falls
        along a cosine.

        Args:
            source: draws ``{"image", "condition"}`` by ``draw(count, seed, step)``, classes as
                conditions.
            steps: number of steps.
            batch_size: photos per step.
            seed: seed of the weights and of the order of the data.
            progress: called with the number of steps done after each.
        """
        import keras

        keras.utils.set_random_seed(seed)
        self.model = _unet(self.classes, self.model.get_layer("start").filters)
        self.model.compile(
            optimizer=keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(RATE, steps)),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        for step in range(steps):
            batch = source.draw(batch_size, seed, step)
            self.model.train_on_batch(batch["image"], batch["condition"])
            if progress is not None:
                progress(step + 1)

    def predict(self, photos: np.ndarray, batch_size: int = 64) -> np.ndarray:
        """The most probable class of each pixel, uint8 ``(n, h, w)``, of uint8 photos."""
        found = [
            np.argmax(self.model.predict_on_batch(photos[i : i + batch_size]), axis=-1)
            for i in range(0, len(photos), batch_size)
        ]
        return np.concatenate(found).astype("uint8")

    def score(self, photos: np.ndarray, labels: np.ndarray, batch_size: int = 64) -> dict[str, Any]:
        """How well the classes seen in photos agree with label maps.

        Args:
            photos: uint8 ``(n, h, w, 3)``; both sides divisible by 4.
            labels: classes, integers ``(n, h, w)``.
            batch_size: batch size.

        Returns:
            ``accuracy``, over all pixels; ``standard_error`` of it, over photos; ``mean_iou``, the
            intersection over union of each class that occurs in the labels, averaged; ``classes``,
            how many occur; ``items``.

        Raises:
            ValueError: shapes that don't agree, or classes that the network doesn't know.
        """
        if photos.shape[:3] != labels.shape:
            raise ValueError(
                f"labels must be classes of shape {photos.shape[:3]}; got {labels.shape}"
            )
        if labels.size and not 0 <= labels.min() <= labels.max() < self.classes:
            raise ValueError(
                f"labels must hold classes 0 to {self.classes - 1}; got {labels.min()} to "
                f"{labels.max()}"
            )
        import keras

        found = self.predict(photos, batch_size)
        present = np.unique(labels).tolist()
        # keras.metrics.MeanIoU would count classes that are only predicted as well. In float64, as
        # float32 does not count beyond 2^24 pixels.
        iou = keras.metrics.IoU(self.classes, present, dtype="float64")
        iou.update_state(labels, found)
        by_photo = (found == labels).mean(axis=(1, 2))
        spread = by_photo.std(ddof=1) / math.sqrt(len(by_photo)) if len(by_photo) > 1 else 0.0
        return {
            "accuracy": round(float(by_photo.mean()), 5),
            "standard_error": round(float(spread), 5),
            "mean_iou": round(float(iou.result()), 5),
            "classes": len(present),
            "items": len(photos),
        }

    def save(self, path: str | Path) -> None:
        """Write the weights as ``.weights.h5``, complete or not at all."""
        save_weights(self.model, Path(path))

    def load(self, path: str | Path) -> None:
        """Read weights that :meth:`save` wrote for as many classes.

        Raises:
            ValueError: a file that is none, or of other classes.
        """
        try:
            self.model.load_weights(path)
        except Exception as error:
            raise ValueError(f"{path} holds no weights for {self.classes} classes") from error


def class_means(images: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Mean colour of the pixels of each class, uint8 ``(classes, 3)``; grey if it has none.

    Args:
        images: uint8 ``(n, h, w, 3)``.
        labels: classes, integers ``(n, h, w)``.
        classes: number of classes.
    """
    flat = labels.ravel()
    counts = np.bincount(flat, minlength=classes)
    means = np.full((classes, 3), 128.0)
    for channel in range(3):
        sums = np.bincount(flat, weights=images[..., channel].ravel(), minlength=classes)
        means[counts > 0, channel] = sums[counts > 0] / counts[counts > 0]
    return np.rint(means).astype("uint8")


def _unet(classes: int, width: int) -> Any:
    # Keras is imported here: scores are imported before the command line has silenced TensorFlow.
    import keras

    from attnflow_keras.ops.channels_last import FORMAT, conv2d

    pool = keras.layers.MaxPooling2D(data_format=FORMAT)
    double = keras.layers.UpSampling2D(data_format=FORMAT)

    def convs(x: Any, filters: int, name: str | None = None) -> Any:
        for i in range(2):
            first = name if i == 0 else None
            x = conv2d(filters, 3, padding="same", use_bias=False, name=first)(x)
            x = keras.layers.GroupNormalization(groups=4)(x)
            x = keras.layers.ReLU()(x)
        return x

    inputs = keras.Input((None, None, 3), dtype="uint8")
    x = keras.layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    full = convs(x, width, "start")
    half = convs(pool(full), 2 * width)
    quarter = convs(pool(half), 3 * width)
    x = keras.layers.Concatenate()([double(quarter), half])
    x = convs(x, 2 * width)
    x = keras.layers.Concatenate()([double(x), full])
    x = convs(x, width)
    return keras.Model(inputs, conv2d(classes, 1)(x), name="segmenter")
