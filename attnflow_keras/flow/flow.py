"""Flow, the Keras model behind every architecture."""

import math
from typing import Any

import keras
from keras import ops

from attnflow_keras import backend
from attnflow_keras.core.checks import check_integer, check_sides
from attnflow_keras.core.preprocess import Preprocess
from attnflow_keras.core.recorded import plain
from attnflow_keras.flow import inputs as checks
from attnflow_keras.flow.compiled import CompiledMethods
from attnflow_keras.flow.configuration import ConfigurationMixin
from attnflow_keras.flow.diagnosis import DiagnosisMixin
from attnflow_keras.flow.inference import CompiledFlow
from attnflow_keras.flow.saving import SavingMixin
from attnflow_keras.flow.summary import SummaryMixin
from attnflow_keras.flow.trainer import FlowTrainer
from attnflow_keras.flow.training_settings import TrainingSettings
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

    ``flow(inputs)`` is log p in nats, ``(n,)``. Inputs are an image batch or
    ``{"image": ..., "condition": ...}``; ``compile`` needs no loss, ``fit`` minimizes bits per
    dimension, ``predict`` scores, ``evaluate`` reports ``bits_per_dim``. Callbacks monitor
    ``"val_loss"``, or ``"val_bits_per_dim"`` with ``mode="min"``.

    Images are uint8 ``(n, h, w, c)`` or floats ``(k + u) / 256 - 0.5``. Scores of uint8 images
    dequantize inside and bound the log-probability of the image; scores of float images are the
    density. ``bits_per_dim`` counts 256 levels for both; the loss of float images is that of the
    density, 8 bits per dimension of ``float_shape`` less.

    In :meth:`log_prob` and its kin, uint8 images with ``preprocess`` get noise in every
    dimension of ``float_shape``, copies of a channel each their own.

    A subclass gives :meth:`make_levels`; see :class:`attnflow_keras.layers.MultiScale` for what
    happens at each.

    >>> images = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 1), "uint8")
    >>> flow = models.Glow((8, 8, 1), levels=1, steps=1, width=8)  # a subclass
    >>> flow.compile(optimizer=keras.optimizers.Adam(1e-3))
    >>> history = flow.fit(images, batch_size=8, verbose=0)
    >>> tuple(flow.bits_per_dim(images).shape)
    (8,)

    Args:
        image_shape: ``(height, width, channels)`` of the images, as the data set has them.
        preprocess: what makes them the flow's own, such as ``{"pad": 2, "replicate": 3}``, see
            :class:`attnflow_keras.core.preprocess.Preprocess`. Float images, latents and densities
            are then those of :attr:`float_shape`; uint8 images and ``bits_per_dim`` stay those
            of ``image_shape``.
        seed: seed of the noise inside ``fit``.
        input_bound: networks of couplings and priors see the flow's maps cut at +-input_bound, in
            standard deviations of the training data. It bounds what they make of images unlike
            those, and keeps ``decode(encode(x))`` exact there; None for no bound.
        **kwargs: arguments of ``keras.Model``, such as ``dtype`` and ``name``.
    """

    # Why the flow is not exported to other runtimes; None where it is.
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

        A level without a prior leaves no latents, all of its channels go on; the top has one.
        Layers with ``condition_channels`` get the condition's features: the same in all levels,
        or part i of a tuple in level i.
        """
        raise NotImplementedError(f"{type(self).__name__} does not define make_levels")

    def build(self, input_shape: Any = None) -> None:
        """Create and build all layers; the shape is ``float_shape`` whatever is given."""
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
        """A layer in front of the first level, which gets the last of the condition's features."""
        return None

    def levels(self) -> list[Level]:
        """``(steps, prior)`` for each level."""
        return self.multi_scale.levels

    def traced_condition(self, condition: Any) -> Any:
        """Features of a raw condition, without checks, for graphs."""
        return condition

    def training_noise(self, u: Tensor) -> Tensor:
        """Noise of a training step, in grey levels, from the uniform one that scores use."""
        return u

    def traced_dequantized(
        self, image: Tensor, u: Tensor, noise: StepNoise | None = None
    ) -> tuple[Tensor, Tensor]:
        """Float images of grey levels with noise u, and what it adds to their log-probability."""
        return checks.float_images(image, u, self.variable_dtype), 0.0

    def training_features(self, features: Any, noise: StepNoise) -> Any:
        """The condition's features as a training step uses them; a schedule may change them."""
        return features

    # --- the map alone, for graphs: no checks, no batches --------------------------------

    def traced_encode(
        self, x: Tensor, features: Any = None, noise: StepNoise | None = None
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Latents and log-determinant of float images, given the condition's features.

        With the noise of a training step there is dropout, and recomputation if ``compile`` was
        asked for it.
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
        """Log-density of float images in nats, given the condition's features."""
        return self.traced_log_prob_of(*self.traced_encode(x, features, noise))

    def traced_log_prob_of(self, latents: tuple[Tensor, ...], log_det: Tensor) -> Tensor:
        """Log-density of images in nats, given their latents and log-determinants."""
        return log_det + sum(standard_normal_log_prob(eps) for eps in latents)

    # --- Keras ---------------------------------------------------------------------------

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Tensor:
        """Check the inputs before Keras wraps the error of a wrong one in its own."""
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
        image = self.preprocess.expand(image)
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
            image = checks.float_images(self.preprocess.expand(image), 0.5, self.variable_dtype)
        latents = [
            ops.zeros((ops.shape(image)[0], *shape), self.variable_dtype)
            for shape in self.latent_shapes
        ]
        picture = self.traced_decode(latents, features)
        return ops.mean(ops.abs(picture - ops.cast(image, picture.dtype)), axis=(1, 2, 3))

    # --- initialization ------------------------------------------------------------------

    def adapt(self, batch: Any, seed: int = 0) -> None:
        """Data-dependent initialization: walk the layers in order and set each from one batch.

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
            # The noise of dequantization would hide it from the layers.
            checks.check_varied(image)
        x = self._as_floats(image, seed)
        before = self.get_weights()
        features = self._features(given["condition"])
        try:
            self.multi_scale.adapt(ops.convert_to_tensor(x, dtype=self.variable_dtype), features)
        except ValueError:
            # A half-adapted flow is worse than an untouched one.
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
