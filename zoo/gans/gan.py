"""What the adversarial models have in common: a training step of both networks, and checks."""

import abc
from typing import Any, NoReturn

import keras
import numpy as np
from keras import ops

from attnflow_keras import backend
from attnflow_keras.core import arrays, noise
from attnflow_keras.core.checks import check_integer, check_sides
from attnflow_keras.core.recorded import records_arguments
from attnflow_keras.flow.compiled import CompiledMethods
from attnflow_keras.ops.step_noise import StepNoise

Tensor = Any

SLOPE = 0.2  # of leaky ReLUs
START = 0.02  # standard deviation of the kernels' start values
RATE = 2e-4


@records_arguments
class GAN(keras.Model):
    """A generator and a discriminator, trained together (Goodfellow et al., arXiv:1406.2661).

    A step updates both, from the same samples: the loss is the discriminator's, which sees samples
    without their gradient, plus the generator's, which sees the discriminator with its weights
    held constant. Each network so has the gradient of its own loss alone, and Keras' ``fit`` with
    one optimizer trains both; Adam treats each weight by itself, as two of them would. Published
    loops update the networks one after the other.

    Each model is compiled as it is made, with Adam (2e-4, ``beta_1`` 0.5); ``compile`` again
    changes that. The noise of ``fit`` is a function of ``seed`` and of the number of steps that
    the model has been trained for, which is kept with its weights.

    A subclass makes the networks and says how they are called.

    Args:
        image_shape: ``(height, width, channels)``.
        seed: seed of the noise inside ``fit``.
        **kwargs: arguments of ``keras.Model``, such as ``name`` and ``dtype``.
    """

    def __init__(self, image_shape: tuple[int, int, int], seed: int = 0, **kwargs: Any) -> None:
        super().__init__(autocast=False, **kwargs)
        self.image_shape = check_sides("image_shape", image_shape)
        self.seed = check_integer("seed", seed, 0)
        self.generator = self.make_generator()
        self.discriminator = self.make_discriminator()
        self.step = self.add_weight(
            name="step", shape=(), dtype="int32", initializer="zeros", trainable=False
        )
        names = ("discriminator_loss", "generator_loss", *self.parts)
        self._means = {name: keras.metrics.Mean(name=name) for name in names}
        self._compiled = CompiledMethods()
        self.built = True
        self.compile(keras.optimizers.Adam(RATE, beta_1=0.5), jit_compile=backend.jit_compile(None))

    #: Names of what the generator's loss reports beside itself.
    parts: tuple[str, ...] = ()
    #: What the images are conditioned on; None for nothing.
    condition_kind: Any = None

    @abc.abstractmethod
    def make_generator(self) -> Any:
        """The generator, built."""

    @abc.abstractmethod
    def make_discriminator(self) -> Any:
        """The discriminator, built: to logits, positive for real images."""

    @abc.abstractmethod
    def generated(
        self, images: Tensor, condition: Tensor, noise: StepNoise, training: bool
    ) -> Tensor:
        """As many images as there are in a batch, floats as :meth:`scaled` gives them."""

    def judged(self, images: Tensor, condition: Tensor, training: bool) -> Tensor:
        """Logits of float images, and their conditions if there are some, by the discriminator."""
        return ops.cast(self.discriminator(images, training=training), "float32")

    def scaled(self, images: Tensor) -> Tensor:
        """uint8 images as floats in [-1, 1]."""
        return ops.cast(images, "float32") / 127.5 - 1.0

    def grey_levels(self, images: np.ndarray) -> np.ndarray:
        """The inverse of :meth:`scaled`, with the nearest level in [0, 255]."""
        return np.clip(np.rint((images + 1.0) * 127.5), 0, 255).astype("uint8")

    def discriminator_loss(self, real: Tensor, fake: Tensor) -> Tensor:
        """Cross-entropy of real and generated images, from logits."""
        return ops.mean(ops.softplus(-real)) + ops.mean(ops.softplus(fake))

    def generator_loss(
        self, real: Tensor, fake: Tensor, images: Tensor, drawn: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and :attr:`parts` of it.

        Args:
            real: logits of real images, without gradient.
            fake: logits of generated ones.
            images: real images, floats.
            drawn: generated images, floats.
        """
        return ops.mean(ops.softplus(-fake)), {}

    def call(self, inputs: Any, training: bool = False) -> Tensor:
        """Generated images, floats, for a batch as ``fit`` takes it."""
        images, condition = self._pair(inputs)
        drawn = self.generated(images, condition, StepNoise(self.seed, self.step), training)
        if training:
            self.step.assign_add(1)
        return ops.cast(drawn, "float32")

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Tensor:
        """The sum of both losses, see :class:`GAN`."""
        if y is not None or sample_weight is not None:
            raise ValueError(
                f"{self.name} takes {self.expected}, without targets or weights; got more"
            )
        images, condition = self._pair(x)
        images = self.scaled(images)
        real = self.judged(images, condition, training)
        fake = self.judged(ops.stop_gradient(y_pred), condition, training)
        constant = [(v, ops.stop_gradient(v.value)) for v in self.discriminator.variables]
        with keras.StatelessScope(state_mapping=constant):
            # What batch normalization would count a second time is lost at the end of the scope.
            seen = self.judged(y_pred, condition, training)
        own = self.discriminator_loss(real, fake)
        other, parts = self.generator_loss(ops.stop_gradient(real), seen, images, y_pred)
        self.report(discriminator_loss=own, generator_loss=other, **parts)
        return own + other

    def report(self, **values: Tensor) -> None:
        """Hand values of a step to the metrics of these names."""
        for name, value in values.items():
            self._means[name].update_state(value)

    def fit(self, x: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As ``keras.Model.fit``, without targets.

        Args:
            x: uint8 images ``(n, h, w, c)``; of a conditional model
                ``{"image": ..., "condition": ...}``; or what gives batches of these, such as a
                ``tf.data.Dataset`` or an iterator over ``(batch,)``.
            *args: as in Keras.
            **kwargs: as in Keras.

        Raises:
            ValueError: images or conditions of another shape, dtype or number.
        """
        if isinstance(x, np.ndarray | dict):
            self._pair(x)
        return super().fit(x, *args, **kwargs)

    @property
    def expected(self) -> str:
        """What ``fit`` takes, in words."""
        images = f"uint8 images of shape (n, {arrays.sides(self.image_shape)})"
        if self.condition_kind is None:
            return images
        return f'{{"image": {images}, "condition": {self.condition_kind.expected}}}'

    def _pair(self, given: Any) -> tuple[Any, Any]:
        """Images and conditions of a batch or of all data, checked as far as they are known."""
        if self.condition_kind is not None:
            if not isinstance(given, dict) or set(given) != {"image", "condition"}:
                raise ValueError(f"{self.name} takes {self.expected}; got {_described(given)}")
            images, condition = given["image"], given["condition"]
            self.condition_kind.check(condition)
            condition = self.condition_kind.plain(condition)
        else:
            images, condition = given, None
        if isinstance(images, dict) or not hasattr(images, "shape"):
            raise ValueError(f"{self.name} takes {self.expected}; got {_described(images)}")
        if tuple(images.shape[1:]) != self.image_shape or arrays.dtype_name(images) != "uint8":
            raise ValueError(f"{self.name} takes {self.expected}; got {_described(images)}")
        if condition is not None and images.shape[0] != condition.shape[0]:
            raise ValueError(
                f"{self.name} takes one condition for each image; got {images.shape[0]} images and "
                f"{condition.shape[0]} conditions"
            )
        return images, condition

    def _draw(self, name: str, function: Any, inputs: tuple[Any, ...], size: int) -> np.ndarray:
        """uint8 images by a function of arrays, at most ``size`` at a time."""
        self._compiled.owner = self
        drawn = np.asarray(
            ops.convert_to_numpy(self._compiled.run(name, function, inputs, size)), "float32"
        )
        if not np.isfinite(drawn).all():
            raise noise.NotFiniteError(
                f"{self.name} gave images that are not finite: its weights are damaged, or "
                "training has diverged"
            )
        return self.grey_levels(drawn)

    def log_prob(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Raises ValueError: there is no likelihood."""
        raise ValueError(
            f"{self.name} has no likelihood: a {type(self).__name__} only draws images. Load a "
            "flow, see zoo.list()"
        )

    bits_per_dim = log_prob


def convolution(filters: int, size: int, strides: int = 1, up: bool = False, **options: Any) -> Any:
    """A convolution, or a transposed one, whose kernel starts normal with a deviation of 0.02."""
    kind = keras.layers.Conv2DTranspose if up else keras.layers.Conv2D
    return kind(
        filters,
        size,
        strides,
        padding="same",
        data_format="channels_last",
        kernel_initializer=keras.initializers.RandomNormal(stddev=START),
        **options,
    )


def _described(given: Any) -> str:
    if isinstance(given, dict):
        return f"a dict of {', '.join(map(repr, given)) or 'nothing'}"
    if hasattr(given, "shape") and hasattr(given, "dtype"):
        return f"{arrays.dtype_name(given)} of shape {tuple(given.shape)}"
    return f"a {type(given).__name__}"
