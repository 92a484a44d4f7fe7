"""Base classes of flows of photos given label maps: palette, source flow."""

from typing import Any

from keras import ops

from attnflow_keras.core.checks import check_number
from attnflow_keras.core.conditions import LabelKind
from attnflow_keras.flow import inputs as checks
from attnflow_keras.flow.flow import Flow
from attnflow_keras.flow.palette import as_palette, colours
from attnflow_keras.models.glow import Glow
from attnflow_keras.ops.numerics import LN2
from attnflow_keras.ops.step_noise import StepNoise

Tensor = Any

# Keeps the noise of labels apart from that of photos.
SOURCE_SEED = 7919


class LabelFlow(Flow):
    """A flow of photos given label maps; a subclass implements the layers and features.

    Args:
        image_shape: ``(height, width, 3)`` of photos.
        palette: colour of each class, ``(classes, 3)`` of 0 to 255; label maps are then classes
            ``(n, h, w)``, or colours. None: colours ``(n, h, w, 3)`` only. Classes outside
            the palette are an error. To ignore a class, such as 255 in Cityscapes, append a colour
            for it to the palette and map it there:
            ``np.where(labels == 255, len(palette) - 1, labels)``.
        extra_channels: additional channels of label maps in colours.
        **kwargs: arguments of :class:`Flow`.
    """

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
        self.condition_kind = LabelKind(self.image_shape[:2], self.palette, extra_channels)

    def label_floats(self, labels: Any, noise: Any = 0.5) -> Tensor:
        """Label maps as float images, at the middle of each grey level without noise."""
        if self.extra_channels:
            labels = labels[..., :3]
        return checks.float_images(colours(labels, self.palette), noise, self.variable_dtype)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("preprocess")
        return {**config, "palette": None if self.palette is None else self.palette.tolist()}


class SourcedFlow(LabelFlow):
    """A flow of photos with a second flow, the source, of the label maps.

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
        super().build(input_shape)

    def call(self, inputs: Any, training: bool = False) -> Tensor:
        """Log-probability in nats, ``(n,)``, of ``{"image", "condition"}``."""
        if training and self.source_weight:
            self.add_loss(self.source_weight * self._source_bits(inputs))
        return super().call(inputs, training=training)

    def _source_bits(self, inputs: Any) -> Tensor:
        """Mean bits per dimension of the label maps under the source."""
        given = checks.unpack(inputs)
        labels = given["condition"]
        noise = StepNoise(self.noise_seed + SOURCE_SEED, self.step_number(), given["share"])
        shape = (ops.shape(labels)[0], *self.image_shape)
        x = self.label_floats(labels, noise.dequantization(shape, self.variable_dtype))
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
