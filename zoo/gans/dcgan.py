"""DCGAN: images from uniform noise by transposed convolutions."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from attnflow_keras.core import noise as streams
from attnflow_keras.core.checks import check_integer, check_sides
from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.ops.step_noise import StepNoise
from zoo.gans.gan import GAN, SLOPE, convolution

Tensor = Any

# Of moving averages: with Keras' 0.99 they would be those of the start after a short training.
MOMENTUM = 0.9


@keras.saving.register_keras_serializable(package="zoo")
@records_arguments
class DCGAN(GAN):
    """DCGAN (Radford, Metz and Chintala, arXiv:1511.06434), unconditional.

    The generator doubles the side of a 4x4 or 7x7 map by transposed 5x5 convolutions, with batch
    normalization and ReLU between them and tanh at the end; the discriminator halves it again by
    strided ones, with leaky ReLU.

    >>> from zoo.gans import DCGAN
    >>> gan = DCGAN((8, 8, 1), width=4, noise=10)
    >>> gan.sample(3, seed=0).shape
    (3, 8, 8, 1)
    >>> history = gan.fit(np.zeros((8, 8, 8, 1), "uint8"), batch_size=4, verbose=0)
    >>> sorted(history.history)
    ['discriminator_loss', 'generator_loss', 'loss']

    Args:
        image_shape: ``(side, side, channels)``; the side is 4 or 7 times a power of 2, such as
            28, 32 or 64.
        width: channels at half of the side, doubled at each smaller one; 128 in the paper's
            figure.
        noise: uniform numbers in [-1, 1] that an image is made of.
        seed: seed of the noise inside ``fit``.
        **kwargs: arguments of ``keras.Model``, such as ``name`` and ``dtype``.
    """

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        width: int = 64,
        noise: int = 100,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        side, other, _ = check_sides("image_shape", image_shape)
        starts = [start for start in (4, 7) if _is_doubled(start, side)]
        if side != other or not starts:
            raise ValueError(
                "image_shape must be (side, side, channels) with a side of 4 or 7 times a power "
                f"of 2, such as 28, 32 or 64; got {image_shape!r}"
            )
        self.width = check_integer("width", width)
        self.noise = check_integer("noise", noise)
        self._start = starts[0]
        self._doublings = (side // starts[0]).bit_length() - 1
        super().__init__(image_shape, seed, **kwargs)

    def make_generator(self) -> Any:
        policy, channels = self.dtype_policy, self.image_shape[-1]
        filters = [self.width << i for i in reversed(range(self._doublings))]
        start = (self._start, self._start, filters[0])
        parts = [
            keras.Input((self.noise,)),
            layers.Dense(
                int(np.prod(start)),
                use_bias=False,
                kernel_initializer=keras.initializers.RandomNormal(stddev=0.02),
                dtype=policy,
            ),
            layers.Reshape(start, dtype=policy),
        ]
        for i, count in enumerate((*filters[1:], channels), start=1):
            parts += [
                layers.BatchNormalization(momentum=MOMENTUM, dtype=policy),
                layers.ReLU(dtype=policy),
                convolution(count, 5, 2, up=True, use_bias=i == len(filters), dtype=policy),
            ]
        parts.append(layers.Activation("tanh", dtype=policy))
        return keras.Sequential(parts, name="generator")

    def make_discriminator(self) -> Any:
        policy = self.dtype_policy
        parts: list[Any] = [keras.Input(self.image_shape)]
        for i in range(self._doublings):
            parts.append(convolution(self.width << i, 5, 2, use_bias=not i, dtype=policy))
            if i:
                parts.append(layers.BatchNormalization(momentum=MOMENTUM, dtype=policy))
            parts.append(layers.LeakyReLU(SLOPE, dtype=policy))
        parts += [layers.Flatten(dtype=policy), layers.Dense(1, dtype=policy)]
        return keras.Sequential(parts, name="discriminator")

    def generated(
        self, images: Tensor, condition: Tensor, noise: StepNoise, training: bool
    ) -> Tensor:
        shape = (ops.shape(images)[0], self.noise)
        z = 2.0 * noise.dequantization(shape, "float32") - 1.0
        return self.generator(z, training=training)

    def sample(self, n: int = 1, seed: int | None = None, batch_size: int = 64) -> np.ndarray:
        """Images, uint8 ``(n, side, side, channels)``.

        Args:
            n: number of images.
            seed: seed of their noise; None for fresh noise.
            batch_size: maximum batch size; images don't depend on it.

        Raises:
            ValueError: a number that is out of range.
        """
        rng = streams.generator(seed, streams.LATENTS)
        shape = (check_integer("n", n), self.noise)
        z = 2.0 * streams.uniform_noise(rng, shape) - np.float32(1)
        return self._draw("sample", lambda z: self.generator(z, training=False), (z,), batch_size)


def _is_doubled(start: int, side: int) -> bool:
    """Whether a side is a number doubled once or more."""
    times = side // start
    return side % start == 0 and times > 1 and times & (times - 1) == 0
