"""Flow, the Keras model behind every architecture."""

import math
from typing import Any

import keras
import numpy as np
from keras import ops

from attnflow_keras import noise
from attnflow_keras.layers.flow_layer import FlowLayer, check_policy
from attnflow_keras.models import inputs as checks
from attnflow_keras.models.compiled import CompiledMethods
from attnflow_keras.models.diagnosis import DiagnosisMixin
from attnflow_keras.models.inference import InferenceMixin
from attnflow_keras.models.peek import can_peek, first_batch
from attnflow_keras.numerics import LN2, standard_normal_log_prob
from attnflow_keras.preprocess import Preprocess
from attnflow_keras.step_noise import step_uniform, training_step

Tensor = Any

ADAPT_IMAGES = 256


class Flow(InferenceMixin, DiagnosisMixin, keras.Model):
    """A multi-scale normalizing flow over images.

    ``flow(inputs)`` is log p in nats, ``(n,)``. Inputs are an image batch or
    ``{"image": ..., "condition": ...}``; ``compile`` needs no loss, ``fit`` minimizes bits per
    dimension, ``predict`` scores, ``evaluate`` reports ``bits_per_dim``. Callbacks monitor
    ``"val_loss"``, or ``"val_bits_per_dim"`` with ``mode="min"``.

    Images are uint8 ``(n, h, w, c)`` or floats ``(k + u) / 256 - 0.5``. Scores of uint8
    images dequantize inside and bound the log-probability of the image; scores of float
    images are the density. ``bits_per_dim`` counts 256 levels for both; the loss of float
    images is that of the density, 8 bits a dimension of ``float_shape`` less.

    In :meth:`log_prob` and its kin, uint8 images with ``preprocess`` get noise in every
    dimension of ``float_shape``, copies of a channel each their own.

    A subclass gives :meth:`make_levels`; after every level but the last, the second half of
    the channels is left as a latent and the first half goes on.

    Args:
        image_shape: ``(height, width, channels)`` of the images, as the data set has them.
        preprocess: what makes them the flow's own, such as ``{"pad": 2, "replicate": 3}``, see
            :class:`attnflow_keras.preprocess.Preprocess`. Float images, latents and densities
            are then those of :attr:`float_shape`; uint8 images and ``bits_per_dim`` stay those
            of ``image_shape``.
        seed: seed of the noise inside ``fit``.
        **kwargs: arguments of ``keras.Model``, such as ``dtype`` and ``name``.
    """

    # Whether the flow takes a condition; a conditional model overrides these.
    conditional = False
    condition_shape: tuple[int, ...] | None = None  # of one raw condition, for exports
    condition_dtype = "float32"

    def __init__(
        self,
        image_shape: tuple[int, int, int],
        preprocess: dict[str, int] | None = None,
        seed: int = 0,
        **kwargs: Any,
    ) -> None:
        kwargs.pop("autocast", None)
        # Without autocast=False Keras would cast images to half precision before the flow
        # sees them, which alone costs bits.
        super().__init__(autocast=False, **kwargs)
        check_policy(self.dtype_policy.name)
        shape = tuple(image_shape) if isinstance(image_shape, list | tuple) else ()
        if len(shape) != 3 or not all(isinstance(s, int | np.integer) and s > 0 for s in shape):
            raise ValueError(f"image_shape must be (height, width, channels); got {image_shape!r}")
        self.image_shape = (int(shape[0]), int(shape[1]), int(shape[2]))
        self.preprocess = Preprocess.from_config(preprocess)
        self.float_shape = self.preprocess.float_shape(self.image_shape)
        # Bits are counted a dimension of the data; the flow may work in more of them.
        self.num_dims = math.prod(self.image_shape)
        self.float_dims = math.prod(self.float_shape)
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0:
            raise ValueError(f"seed must be an integer of at least 0; got {seed!r}")
        self.seed = int(seed)
        self.noise_seed = self.seed
        self._compiled_methods = CompiledMethods()
        self._bits_per_dim = keras.metrics.Mean(name="bits_per_dim")

    def __new__(cls, *args: Any, **kwargs: Any) -> "Flow":
        """Give ``quantize`` its second meaning beside that of ``keras.Model.quantize``.

        ``flow.quantize(x)`` of float images gives grey levels, uint8; with a mode such as
        ``"int8"`` it is Keras' quantization of weights. Keras wraps the method of every
        instance when it is created, so overriding it in the class has no effect.
        """
        flow = super().__new__(cls, *args, **kwargs)
        quantize_weights = flow.quantize

        def quantize(x: Any = None, config: Any = None, **options: Any) -> Any:
            if hasattr(x, "shape"):
                return flow._quantize_images(x)
            return quantize_weights(x, config=config, **options)

        flow.quantize = quantize
        return flow

    # --- structure -----------------------------------------------------------------------

    def make_levels(self) -> list[tuple[FlowLayer, FlowLayer]]:
        """``(steps, prior)`` for each level, from the image to the top."""
        raise NotImplementedError(f"{type(self).__name__} does not define make_levels")

    def build(self, input_shape: Any = None) -> None:
        """Create and build all layers; the shape is ``float_shape`` whatever is given."""
        if getattr(self, "built", False):
            return
        shape = self.float_shape
        levels = self.make_levels()
        self.num_levels = len(levels)
        latent_shapes = []
        for i, (steps, prior) in enumerate(levels, start=1):
            setattr(self, f"level_{i}", steps)
            setattr(self, f"prior_{i}", prior)
            steps.build((None, *shape))
            height, width, channels = steps.output_map_shape(shape)
            kept = channels // 2 if i < self.num_levels else 0
            latent_shapes.append((height, width, channels - kept))
            prior.build((None, *latent_shapes[-1]))
            shape = (height, width, kept)
        self.latent_shapes = tuple(latent_shapes)
        self.adapted = self.add_weight(
            (), "zeros", dtype="int32", trainable=False, name="adapted", autocast=False
        )
        self.built = True

    def levels(self) -> list[tuple[FlowLayer, FlowLayer]]:
        """``(steps, prior)`` for each level."""
        return [
            (getattr(self, f"level_{i}"), getattr(self, f"prior_{i}"))
            for i in range(1, self.num_levels + 1)
        ]

    def encode_condition(self, condition: Any) -> Any:
        """Features of a condition, which every ``condition=`` takes in place of the condition."""
        self._check_condition(condition)
        return self.traced_condition(condition)

    def traced_condition(self, condition: Any) -> Any:
        """Features of a raw condition, without checks, for graphs."""
        return condition

    def level_condition(self, features: Any, level: int) -> Any:
        """What the steps of a level (from 0) get of the condition's features."""
        return features

    # --- the map alone, for graphs: no checks, no batches --------------------------------

    def traced_encode(self, x: Tensor, features: Any = None) -> tuple[tuple[Tensor, ...], Tensor]:
        """Latents and log-determinant of float images, given the condition's features."""
        latents = []
        total = 0.0
        levels = self.levels()
        for i, (steps, prior) in enumerate(levels):
            x, log_det = steps(x, condition=self.level_condition(features, i))
            total = total + log_det
            kept, z = (x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :])
            if i == len(levels) - 1:
                kept, z = None, x
            eps, log_det = prior(z, condition=kept)
            total = total + log_det
            latents.append(eps)
            x = kept
        return tuple(latents), total

    def traced_decode(self, latents: Any, features: Any = None) -> Tensor:
        """Float images of latents, given the condition's features."""
        x = None
        for i, (steps, prior) in reversed(list(enumerate(self.levels()))):
            z, _ = prior(latents[i], condition=x, inverse=True)
            x = z if x is None else ops.concatenate([x, z], axis=-1)
            x, _ = steps(x, condition=self.level_condition(features, i), inverse=True)
        return x

    def traced_log_prob(self, x: Tensor, features: Any = None) -> Tensor:
        """Log-density of float images in nats, given the condition's features."""
        latents, log_det = self.traced_encode(x, features)
        return log_det + sum(standard_normal_log_prob(eps) for eps in latents)

    # --- Keras ---------------------------------------------------------------------------

    def __call__(self, inputs: Any, *args: Any, **kwargs: Any) -> Tensor:
        """Check the inputs before Keras wraps the error of a wrong one in its own."""
        given = checks.unpack(inputs)
        self._check_image(given["image"])
        self._check_condition(given["condition"])
        return super().__call__(inputs, *args, **kwargs)

    def compile(self, optimizer: Any = "adam", loss: Any = None, **kwargs: Any) -> None:
        """As ``keras.Model.compile``, without loss and metrics: a flow has its own.

        Raises:
            ValueError: a loss, loss weights or metrics; there is no target that they could
                compare with.
        """
        if loss is not None:
            raise ValueError(
                f"loss must be None, a flow minimizes bits per dimension; got {loss!r}"
            )
        for name in ("loss_weights", "metrics", "weighted_metrics"):
            if kwargs.get(name):
                raise ValueError(
                    f"{name} must be None, a flow has no target and reports bits_per_dim; got "
                    f"{kwargs[name]!r}"
                )
        super().compile(optimizer=optimizer, **kwargs)

    def compile_from_config(self, config: dict[str, Any]) -> None:
        """Compile a loaded flow as it was when it was saved."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def call(self, inputs: Any, training: bool = False) -> Tensor:
        """Log-probability in nats, ``(n,)``, of images or ``{"image", "condition"}``."""
        given = checks.unpack(inputs)
        image = given["image"]
        features = self._features(given["condition"])
        optimizer = getattr(self, "optimizer", None)
        step = optimizer.iterations if training and optimizer is not None else 0
        if not checks.is_integer(image):
            return self._log_prob_of_step(ops.cast(image, self.variable_dtype), features, step)
        image = self.preprocess.expand(image)
        u = given["noise"]
        if u is None:
            u = step_uniform(ops.shape(image), self.noise_seed, step, self.variable_dtype)
        x = checks.float_images(image, u, self.variable_dtype)
        return self._log_prob_of_step(x, features, step) - self.float_dims * math.log(256.0)

    def _log_prob_of_step(self, x: Tensor, features: Any, step: Tensor) -> Tensor:
        with training_step(self.noise_seed, step):
            return self.traced_log_prob(x, features)

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """``-mean(log_prob) / (D ln 2)`` plus the layers' own losses.

        With weights ``-mean(weight log_prob) / (D ln 2)``, as Keras' own losses.
        """
        if y is not None and self.conditional:
            raise ValueError(
                f"{self.name}: got a second element as target y; Keras reads (a, b) as (x, y). "
                f"A conditional flow takes {checks.FORMS}"
            )
        log_prob = y_pred
        weight = self._weight(x, sample_weight)
        if weight is not None:
            log_prob = log_prob * ops.cast(weight, log_prob.dtype)
        loss = -ops.mean(log_prob) / (self.num_dims * LN2)
        return loss + sum(self.losses) if self.losses else loss

    def compute_metrics(
        self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None
    ) -> dict[str, Any]:
        """Adds ``bits_per_dim`` (256 levels) to the metrics given to ``compile``."""
        bits = -y_pred / (self.num_dims * LN2)
        if not checks.is_integer(checks.unpack(x)["image"]):
            bits = bits + 8.0 * self.float_dims / self.num_dims
        weight = self._weight(x, sample_weight)
        self._bits_per_dim.update_state(bits, sample_weight=weight)
        return super().compute_metrics(x, y, y_pred, sample_weight=sample_weight)

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As ``keras.Model.fit``, with two additions.

        Data-dependent initialization comes first if it is still due, and training stops at a
        loss that is NaN or Inf. An unconditional flow ignores a target ``y``, so that data sets
        of (image, label) serve; a conditional one refuses it.
        """
        if kwargs.get("class_weight") is not None:
            raise ValueError(
                "class_weight must be None, a flow has no classes; got "
                f"{kwargs['class_weight']!r}. Weight images with sample_weight"
            )
        self._check_data(x)
        x = self._with_weight(x, kwargs.pop("sample_weight", None))
        if not self.is_adapted:
            self.adapt(first_batch(x, ADAPT_IMAGES))
        elif can_peek(x):
            # A wrong first batch is better found here than by what it does to the weights.
            image = checks.unpack(first_batch(x, ADAPT_IMAGES))["image"]
            self._as_images(image, limit=checks.DATA_LIMIT)
        if kwargs.get("validation_data") is not None:
            kwargs["validation_data"] = self._with_noise_in_tuple(kwargs["validation_data"])
        callbacks = kwargs.get("callbacks")
        if callbacks is None or isinstance(callbacks, list | tuple):
            kwargs["callbacks"] = [keras.callbacks.TerminateOnNaN(), *(callbacks or [])]
        return super().fit(x, y, *args, **kwargs)

    def evaluate(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As ``keras.Model.evaluate``; uint8 arrays get the noise of seed 0."""
        self._check_data(x)
        x = self._with_weight(x, kwargs.pop("sample_weight", None))
        return super().evaluate(self._with_noise(x), *args, **kwargs)

    def predict(self, x: Any, *args: Any, **kwargs: Any) -> np.ndarray:
        """Log-probabilities ``(n,)``; uint8 arrays get the noise of seed 0, as in log_prob."""
        self._check_data(x)
        return super().predict(self._with_noise(x), *args, **kwargs)

    # --- initialization ------------------------------------------------------------------

    @property
    def is_adapted(self) -> bool:
        """Whether data-dependent initialization has happened, here or before saving."""
        return bool(ops.convert_to_numpy(self.adapted))

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
        if checks.is_integer(image):
            # The noise of dequantization would hide it from the layers.
            checks.check_varied(image)
        x = self._as_floats(image, seed)
        before = self.get_weights()
        features = self._features(given["condition"])
        x = ops.convert_to_tensor(x, dtype=self.variable_dtype)
        try:
            levels = self.levels()
            for i, (steps, prior) in enumerate(levels):
                x = steps.adapt(x, self.level_condition(features, i))
                kept, z = x[..., : x.shape[-1] // 2], x[..., x.shape[-1] // 2 :]
                if i == len(levels) - 1:
                    kept, z = None, x
                prior.adapt(z, kept)
                x = kept
        except ValueError:
            # A half-adapted flow is worse than an untouched one.
            self.set_weights(before)
            raise
        self.adapted.assign(1)

    # --- helpers -------------------------------------------------------------------------

    def _features(self, condition: Any) -> Any:
        self._check_condition(condition)
        return None if condition is None else self.encode_condition(condition)

    def _check_condition(self, condition: Any) -> None:
        if condition is None and self.conditional:
            raise ValueError(f"{self.name}: condition is missing; give {checks.FORMS}")
        if condition is not None and not self.conditional:
            raise ValueError(f"{self.name}: condition was given, but this flow is unconditional")

    def _check_image(self, image: Any) -> None:
        shape = self.image_shape if checks.is_integer(image) else self.float_shape
        checks.check_shape("image", image, shape)

    def _check_data(self, x: Any) -> None:
        # Keras' own message for a wrong shape comes from deep inside a graph.
        if x is None or isinstance(x, str | int | float):
            raise ValueError(f"x must be {checks.FORMS}; got {x!r}")
        if isinstance(x, dict | list | tuple | np.ndarray):
            image = checks.unpack(x)["image"]
            if isinstance(image, np.ndarray):
                self._as_images(image, limit=checks.DATA_LIMIT)

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
        weight = np.asarray(ops.convert_to_numpy(sample_weight), dtype="float32")
        expected = (len(given["image"]),)
        if weight.shape != expected:
            raise ValueError(
                f"sample_weight must have shape {expected}, one number an image; got {weight.shape}"
            )
        if not np.isfinite(weight).all() or weight.min() < 0:
            raise ValueError("sample_weight must hold finite numbers of at least 0")
        given["weight"] = weight
        return {key: value for key, value in given.items() if value is not None}

    def _with_noise(self, x: Any) -> Any:
        if isinstance(x, dict | np.ndarray):
            given = checks.unpack(x)
            image = given["image"]
            if isinstance(image, np.ndarray) and given["noise"] is None:
                image = self._as_images(image)
                if checks.is_integer(image):
                    rng = noise.generator(0, noise.DEQUANTIZATION)
                    given["noise"] = noise.uniform_noise(rng, (len(image), *self.float_shape))
                    return {key: value for key, value in given.items() if value is not None}
        return x

    def _with_noise_in_tuple(self, data: Any) -> Any:
        if isinstance(data, list | tuple):
            x, y, weight = (*data, None, None)[:3]
            if y is None:
                return self._with_noise(self._with_weight(x, weight))
            return (self._with_noise(x), *data[1:])
        return self._with_noise(data)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "name": self.name,
            "dtype": keras.saving.serialize_keras_object(self.dtype_policy),
            "image_shape": list(self.image_shape),
            "preprocess": self.preprocess.to_config(),
            "seed": self.seed,
        }
