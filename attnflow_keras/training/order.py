"""Data order as a function of the seed and the step."""

from typing import Any

import keras
import numpy as np

from attnflow_keras import noise

SHUFFLE = 1000  # stream of the first pass; each pass over the data has its own


class OrderedImages(keras.utils.PyDataset):
    """Batches of an endless, reshuffled stream of images.

    Step t takes the images t B to (t + 1) B - 1 of the stream, which is one permutation of the
    data after another. A run that starts at step t goes on exactly where another one stopped.

    Args:
        images: uint8 ``(n, h, w, c)``.
        batch_size: images a batch.
        steps_per_epoch: batches an epoch.
        seed: seed of the order.
        start_epoch: epoch at which the stream starts.
    """

    def __init__(
        self,
        images: np.ndarray,
        batch_size: int,
        steps_per_epoch: int,
        seed: int,
        start_epoch: int = 0,
    ) -> None:
        super().__init__()
        self.images = images
        self.batch_size = batch_size
        self.steps_per_epoch = steps_per_epoch
        self.seed = seed
        self.epoch = start_epoch
        self._order: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return self.steps_per_epoch

    def __getitem__(self, index: int) -> np.ndarray:
        return self.batch(self.epoch * self.steps_per_epoch + index)

    def batch(self, step: int) -> np.ndarray:
        """The images of one step."""
        count = len(self.images)
        stream = np.arange(step * self.batch_size, (step + 1) * self.batch_size)
        rows = np.empty_like(stream)
        for number in np.unique(stream // count):
            inside = stream // count == number
            rows[inside] = self._pass(int(number))[stream[inside] % count]
        return self.images[rows]

    def on_epoch_end(self) -> None:
        self.epoch += 1

    def _pass(self, number: int) -> Any:
        if number not in self._order:
            rng = noise.generator(self.seed, SHUFFLE + number)
            self._order = {number: rng.permutation(len(self.images))}
        return self._order[number]
