"""Pix2Pix: photos of label maps by a U-Net against a discriminator of patches."""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from attnflow_keras.core import noise as streams
from attnflow_keras.core.checks import check_integer, check_number, check_sides
from attnflow_keras.core.conditions import LabelKind
from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.flow.palette import as_palette, colours
from attnflow_keras.ops.step_noise import StepNoise
from zoo.gans.gan import GAN, SLOPE, convolution

Tensor = Any

DROPPED = 3  # layers of the decoder with dropout
DROPOUT = 0.5


@keras.saving.register_keras_serializable(package="zoo")
@records_arguments
class Pix2Pix(GAN):
    """Pix2Pix (Isola, Zhu, Zhou and Efros, arXiv:1611.07004).

    The generator is a U-Net of strided 4x4 convolutions from the label map's colours to the photo.
    Its only noise is dropout in the first layers of the decoder, in sampling too. The
    discriminator judges patches of pairs of label map and photo. Both normalize each image by
    itself, which is what batch normalization does in the paper, with batches of one image.

    >>> from zoo.gans import Pix2Pix
    >>> gan = Pix2Pix((8, 8, 3), palette=[[0, 0, 0], [0, 128, 0]], width=4, patch_layers=1)
    >>> labels = np.zeros((2, 8, 8), "uint8")
    >>> gan.sample(condition=labels, seed=0).shape
    (2, 8, 8, 3)
    >>> gan.translate(labels[0], n=3, seed=0).shape
    (3, 8, 8, 3)

    Args:
        image_shape: ``(height, width, 3)``; both sides are multiples of ``2 ** depth``.
        palette: colour of each class, ``(classes, 3)``; None for maps of any colours.
        width: channels at half of the side, doubled at each smaller one up to 8 times; 64.
        depth: how often the generator halves the sides; None for a smallest one of 2 or 3.
        patch_layers: how often the discriminator halves them: it sees patches of 16, 34, 70
            pixels with 1, 2, 3.
        l1_weight: of the mean absolute error, of images in [-1, 1], beside 1 for the adversarial
            loss.
        seed: seed of the dropout inside ``fit``.
        **kwargs: arguments of ``keras.Model``, such as ``name`` and ``dtype``.
    """

    parts = ("l1",)

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        palette: Any = None,
        width: int = 64,
        depth: int | None = None,
        patch_layers: int = 3,
        l1_weight: float = 100.0,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        sides = check_sides("image_shape", image_shape)
        table = as_palette(palette)
        self.palette = None if table is None else table.tolist()
        self.condition_kind = LabelKind(sides[:2], table)
        self._table = table
        self.width = check_integer("width", width)
        self.l1_weight = check_number("l1_weight", l1_weight)
        self.patch_layers = check_integer("patch_layers", patch_layers)
        self.depth = check_integer("depth", depth, none=True)
        self._halvings = self.depth or max(min(sides[:2]).bit_length() - 2, 1)
        if any(side % 2**self._halvings for side in sides[:2]):
            raise ValueError(
                f"image_shape must have sides that can be halved depth={self._halvings} times; got "
                f"{image_shape!r}"
            )
        super().__init__(sides, seed, **kwargs)

    @property
    def mask_shapes(self) -> list[tuple[int, int, int]]:
        """Shapes of the dropout masks of an image, from the innermost."""
        height, width, _ = self.image_shape
        places = range(self._halvings - 1, 0, -1)[:DROPPED]
        return [(height >> i, width >> i, self._channels(i - 1)) for i in places]

    def make_generator(self) -> Any:
        policy, last = self.dtype_policy, self._halvings - 1
        given = keras.Input(self.condition_kind.colour_shape)
        masks = [keras.Input(shape) for shape in self.mask_shapes]
        x, maps = given, []
        for i in range(self._halvings):
            if i:
                x = layers.LeakyReLU(SLOPE, dtype=policy)(x)
            inner = 0 < i < last
            x = convolution(self._channels(i), 4, 2, use_bias=not inner, dtype=policy)(x)
            if inner:
                x = _normalized(policy)(x)
            maps.append(x)
        for i in range(last, 0, -1):
            x = layers.ReLU(dtype=policy)(x)
            count = self._channels(i - 1)
            x = convolution(count, 4, 2, up=True, use_bias=False, dtype=policy)(x)
            x = _normalized(policy)(x)
            if last - i < len(masks):
                x = layers.Multiply(dtype=policy)([x, masks[last - i]])
            x = layers.Concatenate(dtype=policy)([x, maps[i - 1]])
        x = layers.ReLU(dtype=policy)(x)
        x = convolution(self.image_shape[-1], 4, 2, up=True, dtype=policy)(x)
        x = layers.Activation("tanh", dtype=policy)(x)
        return keras.Model([given, *masks], x, name="generator")

    def make_discriminator(self) -> Any:
        policy, height = self.dtype_policy, self.image_shape[:2]
        channels = self.condition_kind.colour_shape[-1] + self.image_shape[-1]
        parts: list[Any] = [keras.Input((*height, channels))]
        for i in range(self.patch_layers + 1):
            strides = 2 if i < self.patch_layers else 1
            count = self._channels(i)
            parts.append(convolution(count, 4, strides, use_bias=not i, dtype=policy))
            if i:
                parts.append(_normalized(policy))
            parts.append(layers.LeakyReLU(SLOPE, dtype=policy))
        parts.append(convolution(1, 4, dtype=policy))
        return keras.Sequential(parts, name="discriminator")

    def generated(
        self, images: Tensor, condition: Tensor, noise: StepNoise, training: bool
    ) -> Tensor:
        count = ops.shape(condition)[0]
        masks = [noise.keep_mask((count, *s), DROPOUT, "float32") for s in self.mask_shapes]
        return self.generator([self._coloured(condition), *masks], training=training)

    def judged(self, images: Tensor, condition: Tensor, training: bool) -> Tensor:
        pairs = ops.concatenate([self._coloured(condition), images], axis=-1)
        return super().judged(pairs, None, training)

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Half of the cross-entropy, which slows the discriminator down."""
        return 0.5 * super().discriminator_loss(real, fake)

    def generator_loss(
        self, real: Tensor, fake: Tensor, images: Tensor, drawn: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        error = ops.mean(ops.abs(drawn - images))
        adversarial, _ = super().generator_loss(real, fake, images, drawn)
        return adversarial + self.l1_weight * error, {"l1": error}

    def sample(
        self,
        condition: Any,
        n: int | None = None,
        seed: int | None = None,
        batch_size: int = 64,
    ) -> np.ndarray:
        """Photos for label maps, uint8 ``(n, h, w, 3)``.

        Args:
            condition: label maps, classes of the palette ``(n, h, w)`` or colours, uint8
                ``(n, h, w, 3)``: one for each photo, or one for all.
            n: number of photos; if not given that of the label maps.
            seed: seed of the dropout; None for fresh noise.
            batch_size: maximum batch size; photos don't depend on it.

        Raises:
            ValueError: label maps of another shape or dtype, or another number than ``n``.
        """
        condition = np.asarray(condition)
        self.condition_kind.check(condition)
        condition = self.condition_kind.plain(condition)
        count = len(condition) if n is None else check_integer("n", n)
        if len(condition) not in (1, count):
            raise ValueError(
                f"n must be the number of label maps, {len(condition)}, or there must be one for "
                f"all photos; got n={n}"
            )
        condition = np.repeat(condition, count // len(condition), axis=0)
        shapes = self.mask_shapes
        flat = streams.uniform_noise(
            streams.generator(seed, streams.LATENTS), (count, sum(map(np.prod, shapes)))
        )
        kept = (flat >= DROPOUT).astype("float32") / np.float32(1 - DROPOUT)
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])[:-1]
        parts = zip(np.split(kept, ends, axis=1), shapes, strict=True) if shapes else ()
        masks = [part.reshape(count, *shape) for part, shape in parts]

        def photos(labels: Tensor, *masks: Tensor) -> Tensor:
            drawn = self.generator([self._coloured(labels), *masks], training=False)
            return ops.cast(drawn, "float32")

        return self._draw("sample", photos, (condition, *masks), batch_size)

    def translate(self, label: np.ndarray, n: int = 1, seed: int | None = None) -> np.ndarray:
        """Photos for one label map of the model's size, uint8 ``(n, h, w, 3)``.

        Args:
            label: classes ``(h, w)``, or colours, uint8 ``(h, w, 3)``.
            n: number of photos.
            seed: seed of the dropout; None for fresh noise.

        Raises:
            ValueError: another shape or dtype, or a class or colour that the palette lacks.
        """
        return self.sample(np.asarray(label)[None], n, seed)

    def _channels(self, i: int) -> int:
        return min(self.width << i, 8 * self.width)

    def _coloured(self, condition: Tensor) -> Tensor:
        return self.scaled(colours(condition, self._table))


def _normalized(policy: Any) -> Any:
    """Normalization of each channel of an image by itself."""
    return layers.GroupNormalization(groups=-1, epsilon=1e-5, dtype=policy)
