"""Flow, the Keras model behind every architecture."""

import math
from typing import Any

import keras
from keras import ops

from attnflow_keras import backend
from attnflow_keras.core.checks import check_integer, check_sides
from attnflow_keras.core.preprocess import Preprocess
from attnflow_keras.core.recorded import plain
from attnflow_keras.core.training_settings import TrainingSettings
from attnflow_keras.flow import inputs as checks
from attnflow_keras.flow.compiled import CompiledMethods
from attnflow_keras.flow.configuration import ConfigurationMixin
from attnflow_keras.flow.diagnosis import DiagnosisMixin
from attnflow_keras.flow.inference import CompiledFlow
from attnflow_keras.flow.saving import SavingMixin
from attnflow_keras.flow.summary import SummaryMixin
from attnflow_keras.flow.trainer import FlowTrainer
from attnflow_keras.layers.chain import calling, recomputing
from attnflow_keras.layers.conditioner import bound_inputs
from attnflow_keras.layers.flow_layer import FlowLayer, check_policy
from attnflow_keras.layers.multi_scale import Level, MultiScale
from attnflow_keras.ops.numerics import INPUT_BOUND, check_input_bound, standard_normal_log_prob
from attnflow_keras.ops.step_noise import StepNoise

Tensor = Any


class Flow(
    CompiledFlow, DiagnosisMixin, SummaryMixin, ConfigurationMixin, SavingMixin, FlowTrainer
):
    """A multi-scale normalizing flow over images.

    ``flow(inputs)`` returns log p in nats, ``(n,)``. Inputs are a batch of images or
    ``{"image": ..., "condition": ...}``. ``compile`` needs no loss, ``fit`` minimizes bits per
    dimension, ``predict`` returns log p, and ``evaluate`` reports ``bits_per_dim``. Callbacks
    monitor ``"val_loss"``, or ``"val_bits_per_dim"`` with ``mode="min"``.

    Images are uint8 ``(n, h, w, c)`` or floats ``(k + u) / 256 - 0.5``. uint8 images are
    dequantized internally, and their score is a lower bound of the log-probability; the score of
    float images is the density. ``bits_per_dim`` includes the 256 levels for both. The loss of
    float images is that of the density, which is lower by 8 bits per dimension of ``float_shape``.

    With ``preprocess``, uint8 images get independent noise in every dimension of ``float_shape``,
    including copies of a channel.

    A subclass implements :meth:`make_levels`; see :class:`attnflow_keras.layers.MultiScale`.

    >>> images = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 1), "uint8")
    >>> flow = models.Glow((8, 8, 1), levels=1, steps=1, width=8)  # a subclass
    >>> flow.compile(optimizer=keras.optimizers.Adam(1e-3))
    >>> history = flow.fit(images, batch_size=8, verbose=0)
    >>> tuple(flow.bits_per_dim(images).shape)
    (8,)

    Args:
        image_shape: ``(height, width, channels)`` of the images in the data set.
        preprocess: padding and replication, such as ``{"pad": 2, "replicate": 3}``, see
            :class:`attnflow_keras.core.preprocess.Preprocess`. Float images, latents and densities
            then refer to :attr:`float_shape`, uint8 images and ``bits_per_dim`` to
            ``image_shape``.
        seed: seed of the noise inside ``fit``.
        input_bound: inputs of the networks of couplings and priors are clipped at +-input_bound, in
            standard deviations of the training data. This bounds their outputs for images unlike
            the training data, and keeps ``decode(encode(x))`` exact; None for no bound.
        **kwargs: arguments of ``keras.Model``, such as ``dtype`` and ``name``.
    """

    # Why the flow can't be exported to other runtimes; None if it can.
    not_exported: str | None = None

    # Whether the flow takes a condition; a conditional model overrides these.
    conditional = False
    condition_shape: tuple[int, ...] | None = None  # of one raw condition, for exports
    condition_dtype = "float32"

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        preprocess: dict[str, int] | None = None,
        seed: int = 0,
        input_bound: float | None = INPUT_BOUND,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("autocast", None)
        # Without autocast=False Keras would cast images to half precision before the flow
        # sees them, which alone costs bits.
        super().__init__(autocast=False, **kwargs)
        check_policy(self.dtype_policy.name)
        self.image_shape = check_sides("image_shape", image_shape)
        self.preprocess = Preprocess.from_config(preprocess)
        self.float_shape = self.preprocess.float_shape(self.image_shape)
        # Bits are counted a dimension of the data; the flow may work in more of them.
        self.num_dims = math.prod(self.image_shape)
        self.float_dims = math.prod(self.float_shape)
        self.seed = check_integer("seed", seed, 0)
        self.input_bound = check_input_bound(input_bound)
        self._settings = TrainingSettings()
        self._config: dict[str, Any] = {}  # a subclass's own arguments, as JSON has them
        self._compiled = CompiledMethods()
        self._bits_per_dim = keras.metrics.Mean(name="bits_per_dim")
        self._zero_latent_error = keras.metrics.Mean(name="zero_latent_error")

    # --- structure -----------------------------------------------------------------------

    def make_levels(self) -> list[tuple[FlowLayer, FlowLayer | None]]:
        """``(steps, prior)`` for each level, from the image to the top.

        A level without a prior has no latents: all of its channels continue to the next level. The
        last level must have a prior. Layers with ``condition_channels`` get the condition's
        features: the same in all levels, or part i of a tuple in level i.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define make_levels")

    def build(self, input_shape: Any = None) -> None:
        """Create and build all layers for ``float_shape``; the argument is ignored."""
        if getattr(self, "built", False):
            return
        with backend.start_values():
            self._build_levels()
        self.adapted = self.add_weight(
            (), "zeros", dtype="int32", trainable=False, name="adapted", autocast=False
        )
        self.built = True

    def _build_levels(self) -> None:
        self.multi_scale = MultiScale(self.make_levels(), self.make_shift())
        self.num_levels = len(self.multi_scale.levels)
        named = self.multi_scale.named_layers()
        bound_inputs(list(named.values()), self.input_bound)
        for name, layer in named.items():
            setattr(self, name, layer)
        self.latent_shapes = self.multi_scale.build(self.float_shape)

    def make_shift(self) -> FlowLayer | None:
        """A layer before the first level, which gets the last of the condition's features."""
        return None

    def levels(self) -> list[Level]:
        """``(steps, prior)`` for each level."""
        return self.multi_scale.levels

    def traced_condition(self, condition: Any) -> Any:
        """Features of a raw condition, without checks, for use in graphs."""
        return condition

    def training_noise(self, u: Tensor) -> Tensor:
        """Dequantization noise of a training step, from uniform noise u; in grey levels."""
        return u

    def traced_dequantized(
        self, image: Tensor, u: Tensor, noise: StepNoise | None = None
    ) -> tuple[Tensor, Tensor]:
        """Float images from grey levels and noise u, and the term to add to the log-probability."""
        return checks.float_images(image, u, self.variable_dtype), 0.0

    def training_features(self, features: Any, noise: StepNoise) -> Any:
        """Features of the condition in a training step; a subclass may change them."""
        return features

    # --- for use in graphs: no checks, no batching ---------------------------------------

    def traced_encode(
        self, x: Tensor, features: Any = None, noise: StepNoise | None = None
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Latents and log-determinant of float images, given the condition's features.

        ``noise`` enables dropout, and gradient recomputation if ``compile`` got ``remat=True``.
        """
        again = noise is not None and self.training_settings.remat
        apply = recomputing(noise) if again else calling(noise)
        return self.multi_scale.encode(x, features, apply)

    def traced_decode(self, latents: Any, features: Any = None) -> Tensor:
        """Float images of latents, given the condition's features."""
        return self.multi_scale.decode(latents, features)

    def traced_log_prob(
        self, x: Tensor, features: Any = None, noise: StepNoise | None = None
    ) -> Tensor:
        """Log-density of float images in nats, given the condition's features.

        A subclass that overrides it changes ``fit``, every score and exports.
        """
        return self.traced_log_prob_of(*self.traced_encode(x, features, noise))

    def scores_latents(self) -> bool:
        """Whether the log-density is that of the latents, so that one trace gives both.

        False for a subclass with a :meth:`traced_log_prob` of its own.
        """
        return type(self).traced_log_prob is Flow.traced_log_prob

    def traced_log_prob_of(self, latents: tuple[Tensor, ...], log_det: Tensor) -> Tensor:
        """Log-density of images in nats, given their latents and log-determinants."""
        return log_det + sum(standard_normal_log_prob(eps) for eps in latents)

    # --- Keras ---------------------------------------------------------------------------

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Tensor:
        """Check the inputs here, because Keras would wrap the errors in its own."""
        given = checks.unpack(inputs)
        self._check_image(given["image"])
        self._check_condition(given["condition"])
        return super().__call__(inputs, *args, **kwargs)

    def call(self, inputs: Any, training: bool = False) -> Tensor:
        """Log-probability in nats, ``(n,)``, of images or ``{"image", "condition"}``."""
        given = checks.unpack(inputs)
        image = given["image"]
        step = self.step_number() if training else 0
        noise = StepNoise(self.noise_seed, step, given["share"])
        dropout = noise if training else None
        features = self._features(given["condition"])
        if training and features is not None:
            features = self.training_features(features, noise)
        if not checks.is_uint8(image):
            x = ops.cast(image, self.variable_dtype)
            return self.traced_log_prob(x, features, dropout)
        image = self.preprocess.expand(image, ops)
        u = given["noise"]
        if u is None:
            u = noise.dequantization(ops.shape(image), self.variable_dtype)
        if training:
            u = self.training_noise(u)
        x, gained = self.traced_dequantized(image, u, dropout)
        log_prob = self.traced_log_prob(x, features, dropout) + gained
        return log_prob - self.float_dims * math.log(256.0)

    def traced_zero_latent_error(self, inputs: Any, training: bool) -> Tensor:
        """Mean absolute errors of the zero-temperature samples, in units of 256 grey levels.

        Returns:
            ``(n,)``, one for each image.
        """
        given = checks.unpack(inputs)
        image, features = given["image"], self._features(given["condition"])
        if training:
            noise = StepNoise(self.noise_seed, self.step_number(), given["share"])
            features = self.training_features(features, noise)
        if checks.is_uint8(image):
            image = checks.float_images(
                self.preprocess.expand(image, ops), 0.5, self.variable_dtype
            )
        latents = [
            ops.zeros((ops.shape(image)[0], *shape), self.variable_dtype)
            for shape in self.latent_shapes
        ]
        picture = self.traced_decode(latents, features)
        return ops.mean(ops.abs(picture - ops.cast(image, picture.dtype)), axis=(1, 2, 3))

    # --- initialization ------------------------------------------------------------------

    def adapt(self, batch: Any, seed: int = 0) -> None:
        """Data-dependent initialization: set each layer in turn from one batch.

        Args:
            batch: images, uint8 or float, or ``{"image": ..., "condition": ...}``; some 100
                varied images are enough.
            seed: seed of the dequantization noise.

        Raises:
            ValueError: a wrong shape or dtype, NaN, or a channel that is constant.
        """
        given = checks.unpack(batch)
        image = self._as_images(given["image"], limit=checks.DATA_LIMIT)
        if checks.is_uint8(image):
            # Dequantization noise would hide constant channels from the layers.
            checks.check_varied(image)
        x = self._as_floats(image, seed)
        before = self.get_weights()
        features = self._features(given["condition"])
        try:
            self.multi_scale.adapt(ops.convert_to_tensor(x, dtype=self.variable_dtype), features)
        except ValueError:
            # Don't leave the flow partly initialized.
            self.set_weights(before)
            raise
        self.adapted.assign(1)

    # --- helpers -------------------------------------------------------------------------

    def _check_image(self, image: Any) -> None:
        floats = not checks.is_uint8(image)
        checks.check_shape("image", image, self.float_shape if floats else self.image_shape)
        if floats:
            checks.check_finite("image", image, checks.FLOAT_LIMIT, images=True)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "name": self.name,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
            "image_shape": list(self.image_shape),
            "preprocess": self.preprocess.to_config(),
            "seed": self.seed,
            "input_bound": self.input_bound,
            **plain(self._config),
        }
