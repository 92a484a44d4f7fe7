"""ESRGAN: super-resolution by the RRDB network against a relativistic discriminator."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from attnflow_keras.core.arrays import sides as sides_of
from attnflow_keras.core.checks import check_integer, check_number, check_sides
from attnflow_keras.core.conditions import PictureKind
from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.networks import RRDBNet
from attnflow_keras.ops.step_noise import StepNoise
from zoo.gans.gan import GAN, SLOPE, convolution

Tensor = Any

DENSE = 100  # features before the logit


@keras.saving.register_keras_serializable(package="zoo")
@records_arguments
class ESRGAN(GAN):
    """ESRGAN (Wang et al., arXiv:1809.00219): one restoration for each low-resolution image.

    The generator is :class:`attnflow_keras.networks.RRDBNet`. The discriminator, of strided
    convolutions as in SRGAN, says whether an image is more real than the average of the others,
    real or restored (relativistic average). The generator's loss is the mean absolute error, with
    the adversarial one at a small weight; the paper's perceptual loss, which needs the features of
    a network trained elsewhere, is left out.

    >>> from zoo.gans import ESRGAN
    >>> gan = ESRGAN((8, 8, 3), scale=2, features=4, growth=2, blocks=1, width=4)
    >>> small = np.zeros((2, 4, 4, 3), "uint8")
    >>> gan.sample(condition=small).shape
    (2, 8, 8, 3)
    >>> gan.restore(np.zeros((5, 7, 3), "uint8")).shape  # of any size
    (1, 10, 14, 3)

    Args:
        image_shape: ``(height, width, channels)`` of the images that it is trained on; sides are
            multiples of ``scale``.
        scale: factor of super-resolution, a power of 2.
        features: channels of the generator's maps; 64 in the paper.
        growth: channels that each of its convolutions adds; 32.
        blocks: number of its blocks; 23.
        width: channels of the discriminator at full size, doubled at each smaller one up to 8
            times; 64.
        adversarial_weight: of the adversarial loss, beside 1 for the mean absolute error in units
            of 256 grey levels. 0 trains the generator alone.
        pretrain_steps: steps with a weight of 0 at first, in which the discriminator learns, too.
        **kwargs: arguments of ``keras.Model``, such as ``name`` and ``dtype``.
    """

    parts = ("l1",)

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        scale: int = 8,
        features: int = 64,
        growth: int = 32,
        blocks: int = 23,
        width: int = 64,
        adversarial_weight: float = 5e-3,
        pretrain_steps: int = 0,
        **kwargs: Any,
    ) -> None:
        sides = check_sides("image_shape", image_shape)
        self.scale = check_integer("scale", scale)
        self.features, self.growth, self.blocks = features, growth, blocks
        self.width = check_integer("width", width)
        self.adversarial_weight = check_number("adversarial_weight", adversarial_weight)
        self.pretrain_steps = check_integer("pretrain_steps", pretrain_steps, 0)
        if any(side % self.scale for side in sides[:2]):
            raise ValueError(
                f"image_shape must have sides that are multiples of scale, {scale}; got "
                f"{image_shape!r}"
            )
        small = (sides[0] // self.scale, sides[1] // self.scale, sides[2])
        self.condition_kind = PictureKind(small, self.scale, any_size=True)
        super().__init__(sides, **kwargs)
        self.discriminator.trainable = self.adversarial_weight > 0

    def make_generator(self) -> Any:
        network = RRDBNet(
            self.features,
            self.growth,
            self.blocks,
            stacked=(),
            scale=self.scale,
            dtype=self.dtype_policy,
            name="generator",
        )
        network.build((None, *self.condition_kind.shape))
        return network

    def make_discriminator(self) -> Any:
        policy = self.dtype_policy
        parts: list[Any] = [keras.Input(self.image_shape)]
        side, count = min(self.image_shape[:2]), self.width
        parts += [convolution(count, 3, dtype=policy), layers.LeakyReLU(SLOPE, dtype=policy)]
        while side > 4:
            side //= 2
            wider = min(2 * count, 8 * self.width)
            for filters, size, strides in ((count, 4, 2), (wider, 3, 1)):
                parts += [
                    convolution(filters, size, strides, use_bias=False, dtype=policy),
                    layers.BatchNormalization(dtype=policy),
                    layers.LeakyReLU(SLOPE, dtype=policy),
                ]
            count = wider
        parts += [
            layers.Flatten(dtype=policy),
            layers.Dense(DENSE, dtype=policy),
            layers.LeakyReLU(SLOPE, dtype=policy),
            layers.Dense(1, dtype=policy),
        ]
        return keras.Sequential(parts, name="discriminator")

    def _pair(self, given: Any) -> tuple[Any, Any]:
        images, condition = super()._pair(given)
        # To restore it takes others too.
        if tuple(condition.shape[1:]) != self.condition_kind.shape:
            raise ValueError(
                f"{self.name} is trained on low-resolution images of shape "
                f"(n, {sides_of(self.condition_kind.shape)}); got {tuple(condition.shape)}"
            )
        return images, condition

    def scaled(self, images: Tensor) -> Tensor:
        """uint8 images as floats in [0, 1]."""
        return ops.cast(images, "float32") / 255.0

    def grey_levels(self, images: np.ndarray) -> np.ndarray:
        return np.clip(np.rint(images * 255.0), 0, 255).astype("uint8")

    def generated(
        self, images: Tensor, condition: Tensor, noise: StepNoise, training: bool
    ) -> Tensor:
        return self.generator(self.scaled(condition))

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """That real images are more real than the average restoration, and the reverse."""
        return ops.mean(ops.softplus(ops.mean(fake) - real)) + ops.mean(
            ops.softplus(fake - ops.mean(real))
        )

    def generator_loss(
        self, real: Tensor, fake: Tensor, images: Tensor, drawn: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        error = ops.mean(ops.abs(drawn - images))
        adversarial = self.discriminator_loss(fake, real)
        # The step has been counted by now.
        weight = self.adversarial_weight * ops.cast(self.step > self.pretrain_steps, "float32")
        return error + weight * adversarial, {"l1": error}

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        if self.adversarial_weight:
            return super().compute_loss(x, y, y_pred, sample_weight, training)
        images, _ = self._pair(x)
        error = ops.mean(ops.abs(y_pred - self.scaled(images)))
        self.report(generator_loss=error, l1=error)
        return error

    def sample(self, condition: Any, batch_size: int = 64) -> np.ndarray:
        """Restorations, one of each low-resolution image.

        Args:
            condition: uint8 ``(n, h, w, c)`` of any size.
            batch_size: maximum batch size.

        Returns:
            uint8 ``(n, scale h, scale w, c)``.

        Raises:
            ValueError: another dtype or number of channels.
        """
        condition = np.asarray(condition)
        self.condition_kind.check(condition)

        def restored(small: Tensor) -> Tensor:
            return ops.cast(self.generator(self.scaled(small)), "float32")

        return self._draw("sample", restored, (condition,), batch_size)

    def restore(self, picture: np.ndarray) -> np.ndarray:
        """The restoration of one low-resolution image of any size.

        Args:
            picture: uint8 ``(h, w, c)``.

        Returns:
            uint8 ``(1, scale h, scale w, c)``; flows give several with ``n``.

        Raises:
            ValueError: anything but one image of the model's channels.
        """
        picture = np.asarray(picture)
        if picture.ndim != 3:
            raise ValueError(
                "picture must be one low-resolution image, uint8 (h, w, "
                f"{self.image_shape[-1]}); got shape {picture.shape}. sample takes several"
            )
        return self.sample(condition=picture[None], batch_size=1)
