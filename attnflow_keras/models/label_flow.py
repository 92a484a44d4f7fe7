"""What flows of photos given label maps share: palette, checks, transfer, a source's likelihood."""

from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from attnflow_keras.core.checks import check_integer, check_number
from attnflow_keras.core.palettes import as_classes
from attnflow_keras.core.tiles import check_tiles, draw_in_tiles
from attnflow_keras.flow import inputs as checks
from attnflow_keras.flow.flow import Flow
from attnflow_keras.flow.palette import as_palette, check_labels, colours
from attnflow_keras.layers import ActNorm
from attnflow_keras.models.glow import Glow
from attnflow_keras.ops.numerics import LN2
from attnflow_keras.ops.step_noise import step_uniform

Tensor = Any

# Keeps the noise of labels apart from that of photos.
SOURCE_SEED = 7919


class LabelFlow(Flow):
    """A flow of photos given label maps; a subclass gives the layers and the features.

    Args:
        image_shape: ``(height, width, 3)`` of photos.
        palette: colour of each class, ``(classes, 3)`` of 0 to 255; label maps are then classes
            ``(n, h, w)``, or colours. None: colours ``(n, h, w, 3)`` only. A class beyond the
            palette is refused. One that is to be ignored, such as 255 in Cityscapes, gets a colour
            of its own at the palette's end, and is mapped there before:
            ``np.where(labels == 255, len(palette) - 1, labels)``.
        extra_channels: channels that label maps of colours have besides.
        **kwargs: arguments of :class:`Flow`.
    """

    conditional = True
    condition_dtype = "uint8"

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        palette: Any = None,
        extra_channels: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(image_shape, **kwargs)
        if self.image_shape[-1] != 3:
            raise ValueError(f"image_shape must have 3 channels, as labels do; got {image_shape}")
        self.palette = as_palette(palette)
        if extra_channels and palette is not None:
            raise ValueError("palette must be None where label maps have boundaries; got one")
        self.extra_channels = extra_channels
        self.condition_shape = (*self.image_shape[:2], 3 + extra_channels)
        if palette is not None:
            self.condition_shape = self.image_shape[:2]

    def transfer(
        self,
        photo: np.ndarray,
        label: np.ndarray,
        new_label: np.ndarray,
        batch_size: int = 64,
    ) -> np.ndarray:
        """Keep a photo's latents and change its label (Full-Glow, section 4.3).

        Args:
            photo: uint8 ``(n, h, w, 3)``.
            label: its label maps.
            new_label: the label maps to show instead, one for each photo; or one for all, or
                several for one photo.
            batch_size: maximum batch size.

        Returns:
            uint8 ``(n, h, w, 3)``, as many as there are photos or new label maps.

        Raises:
            ValueError: photos or label maps of a wrong shape, number or dtype.
        """
        self._check_condition(new_label)
        latents, _ = self.encode(self.dequantize(photo, center=True), label, batch_size)
        latents = tuple(ops.convert_to_numpy(z) for z in latents)
        count = len(new_label)
        if len(latents[0]) == 1 and count > 1:
            latents = tuple(np.repeat(z, count, axis=0) for z in latents)
        return self._quantize_images(self.decode(latents, new_label, batch_size))

    def translate(
        self,
        label: np.ndarray,
        n: int = 1,
        temperature: float = 0.7,
        seed: int | None = None,
        overlap: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> np.ndarray:
        """Photos for one label map of any size, in tiles of the flow's where it is another.

        Args:
            label: classes ``(h, w)``, or colours, uint8 ``(h, w, 3)``.
            n: number of photos.
            temperature: standard deviation of the latents.
            seed: seed of the latents; photo i of a map in tiles has ``seed + i``.
            overlap: how far neighbouring tiles overlap, in pixels; None for a quarter of a tile.
            progress: called with the number of tiles done and of all.

        Returns:
            uint8 ``(n, h, w, 3)``.

        Raises:
            ValueError: anything but one label map, a class or a colour that the palette lacks, or
                a wrong number.
        """
        label = np.asarray(label)
        size, classes = self.image_shape[:2], label.ndim == 2 and self.palette is not None
        if not classes and (label.ndim != 3 or label.shape[-1] != 3 + self.extra_channels):
            raise ValueError(f"label must be one label map, (h, w) or (h, w, 3); got {label.shape}")
        n = check_integer("n", n)
        if label.shape[:2] == size:
            photos = self.sample(n, label[None], temperature=temperature, seed=seed)
            if progress is not None:
                progress(1, 1)
            return photos
        step = max(size[0] // shape[0] for shape in self.latent_shapes)
        if overlap is None:
            overlap = min(size) // (4 * step) * step
        check_tiles(min(size), overlap, step)
        missing = [
            max(tile - side, -side % step) for side, tile in zip(label.shape[:2], size, strict=True)
        ]
        pads = [*((0, more) for more in missing), *[(0, 0)] * (label.ndim - 2)]
        padded = np.pad(label, pads, mode="symmetric")
        photos = np.stack(
            [
                draw_in_tiles(self, padded, temperature, one, overlap, progress)
                for one in (None if seed is None else seed + i for i in range(n))
            ]
        )
        return photos[:, : label.shape[0], : label.shape[1]]

    def label_floats(self, labels: Any, noise: Any = 0.5) -> Tensor:
        """Label maps as float images, at the middle of each grey level without noise."""
        if self.extra_channels:
            labels = labels[..., :3]
        return checks.float_images(colours(labels, self.palette), noise, self.variable_dtype)

    def _check_condition(self, condition: Any) -> None:
        super()._check_condition(condition)
        if condition is None or isinstance(condition, tuple):
            return
        shape = (*self.image_shape[:2], 3 + self.extra_channels)
        check_labels(condition, shape, self.palette)

    def _checked(self, condition: Any) -> Any:
        """Label maps as uint8 classes where there is a palette, so that all kinds share a trace."""
        condition = super()._checked(condition)
        if self.palette is None or not isinstance(condition, np.ndarray):
            return condition
        if condition.ndim == 4:
            return as_classes(condition, self.palette)
        return condition.astype("uint8")

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("preprocess")
        return {**config, "palette": None if self.palette is None else self.palette.tolist()}


class SourcedFlow(LabelFlow):
    """A flow of photos that reads a second flow, its source, of the label maps.

    The condition is deterministic: label maps get noise only in the source's own likelihood,
    which ``fit`` adds to the loss.

    Args:
        image_shape: ``(height, width, 3)`` of photos.
        source_weight: weight of the source's bits per dimension in the loss of ``fit``.
        **kwargs: arguments of :class:`LabelFlow`.
    """

    def __init__(
        self, image_shape: tuple[int, int, int], source_weight: float = 1e-4, **kwargs: Any
    ) -> None:
        super().__init__(image_shape, **kwargs)
        self.source_weight = check_number("source_weight", source_weight)

    def make_source(self) -> Glow:
        """The flow of label maps."""
        raise NotImplementedError(f"{type(self).__name__} does not define make_source")

    def build(self, input_shape: Any = None) -> None:
        if getattr(self, "built", False):
            return
        self.source = self.make_source()
        for layer in self.source._flatten_layers():
            if isinstance(layer, ActNorm):
                layer.allow_constant = True
        super().build(input_shape)

    def call(self, inputs: Any, training: bool = False) -> Tensor:
        """Log-probability in nats, ``(n,)``, of ``{"image", "condition"}``."""
        if training and self.source_weight:
            self.add_loss(self.source_weight * self._source_bits(inputs))
        return super().call(inputs, training=training)

    def _source_bits(self, inputs: Any) -> Tensor:
        """Mean bits per dimension of the label maps under the source."""
        labels = checks.unpack(inputs)["condition"]
        step = self.step_number()
        seed = self.noise_seed + SOURCE_SEED
        shape = (ops.shape(labels)[0], *self.image_shape)
        x = self.label_floats(labels, step_uniform(shape, seed, step, self.variable_dtype))
        return 8.0 - ops.mean(self.source.traced_log_prob(x)) / (self.num_dims * LN2)

    def adapt(self, batch: Any, seed: int = 0) -> None:
        """Data-dependent initialization of the source and then of the flow itself.

        Args:
            batch: ``{"image": photos, "condition": label maps}``; some 100 varied pairs are
                enough.
            seed: seed of the dequantization noise of the photos.

        Raises:
            ValueError: a wrong shape or dtype, NaN, or photos a channel of which is constant.
        """
        labels = checks.unpack(batch)["condition"]
        self._check_condition(labels)
        if not self.source.is_adapted:
            pictures = ops.convert_to_numpy(colours(labels, self.palette))[..., :3]
            # A palette may leave a channel constant, and a batch may hold but one class. Noise
            # would hide that from the layers, which would scale it up.
            constant = (pictures == pictures[:1, :1, :1]).all(axis=(0, 1, 2)).any()
            self.source.adapt(self.source.dequantize(pictures, seed, center=bool(constant)), seed)
        super().adapt(batch, seed)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "source_weight": self.source_weight}
