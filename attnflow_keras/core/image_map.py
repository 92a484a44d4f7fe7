"""ImageMap: encode, decode and score, independent of the backend."""

import math
from typing import Any

import numpy as np

from attnflow_keras.core import arrays, noise
from attnflow_keras.core.checks import check_integer
from attnflow_keras.core.conditions import ConditionKind
from attnflow_keras.core.exactness import level_errors, require_exact
from attnflow_keras.core.preprocess import Preprocess
from attnflow_keras.core.wording import counted

BATCH_SIZE = 64

Array = Any  # NumPy; also backend tensors where the model has them


class ImageMap:
    """A normalizing flow over images, independent of the backend.

    A subclass sets the attributes below and implements four primitives, ``_encode``, ``_decode``,
    ``_log_prob`` and ``_condition``, which receive checked arrays. All checks, noise and
    conversions are here, in NumPy only, so that seeds and errors are the same in every subclass.

    Images are uint8 ``(n, h, w, c)`` or floats ``(k + u) / 256 - 0.5``. In a conditional model,
    every method takes ``condition=``: one for each image or one for all, either raw or as returned
    by :meth:`encode_condition`. Methods work in batches of ``batch_size``.
    """

    image_shape: tuple[int, int, int]
    float_shape: tuple[int, int, int]  # with preprocess applied
    latent_shapes: tuple[tuple[int, ...], ...]
    num_dims: int
    float_dims: int
    preprocess: Preprocess
    conditional: bool
    any_size = False  # whether conditions of other sizes than the model's own are taken

    # --- implemented by subclasses -------------------------------------------------------

    @property
    def condition_kind(self) -> ConditionKind | None:
        """Kind of the model's condition; None for an unconditional model."""
        raise NotImplementedError

    @property
    def side_multiple(self) -> int:
        """The sides of tiles must be multiples of this."""
        return max(1, *(self.image_shape[0] // shape[0] for shape in self.latent_shapes))

    @property
    def value_order(self) -> dict[str, Any] | None:
        """``patch`` and ``order`` of the values of a causal model's images, see
        :func:`attnflow_keras.core.completion.value_order`; None for other models."""
        return None

    def _encode(self, x: Array, condition: Any, batch_size: int) -> tuple[tuple, Array]:
        """Latents and log-determinants. The condition is None, raw, or a tuple of features."""
        raise NotImplementedError

    def _decode(self, latents: tuple, condition: Any, batch_size: int) -> Array:
        """Float images."""
        raise NotImplementedError

    def _log_prob(self, x: Array, condition: Any, batch_size: int, progress: Any) -> Array:
        """Log-densities of float images."""
        raise NotImplementedError

    def _draw(
        self, latents: tuple, condition: Any, guidance: float | None, method: str, batch_size: int
    ) -> Array:
        """As ``_decode``, with guidance or another method; only causal flows support these."""
        if guidance is not None:
            raise ValueError(
                "guidance needs a causal flow that was trained with class_dropout, in Keras; got "
                f"guidance={guidance} for another model"
            )
        raise ValueError(f"method={method!r} needs a causal flow, in Keras; this model is another")

    def _condition(self, condition: Any, batch_size: int) -> Any:
        """Features of a raw condition."""
        raise NotImplementedError

    def _repeat(self, part: Array, n: int) -> Array:
        """Each item of an array n times in a row."""
        return np.repeat(part, n, axis=0)

    def _check_features(self, features: tuple) -> None:
        """Raise ValueError unless these can be features of this model."""

    def _sized_for(self, condition: Any, images: Any = None) -> "ImageMap":
        """The model for the size of a checked condition; itself if it has a fixed size."""
        return self

    def _sized(self, size: tuple[int, int]) -> "ImageMap":
        """The model for images of this size."""
        return self

    # --- images --------------------------------------------------------------------------

    def dequantize(
        self, images: np.ndarray, seed: int | None = 0, center: bool = False
    ) -> np.ndarray:
        """``(k + u) / 256 - 0.5`` with u uniform in (0, 1): uint8 to float32 in (-0.5, 0.5).

        The result has shape ``(n, *float_shape)``, with ``preprocess`` applied.

        Args:
            images: uint8 ``(n, h, w, c)``.
            seed: seed of u; None for a random one.
            center: use u = 1/2, the centre of each grey level, instead. With u close to 0 or 1,
                rounding in decode(encode(x)) can reach the neighbouring level.
        """
        arrays.check_array("images", images)
        images = arrays.as_array(images)
        if not arrays.is_uint8(images):
            raise ValueError(f"dequantize takes uint8 images; got dtype {images.dtype}")
        images = arrays.as_images(images, self._any_side(self.image_shape))
        images = self.preprocess.expand(np.asarray(images))
        if center:
            return noise.dequantize(images, 0.5)
        rng = noise.generator(seed, noise.DEQUANTIZATION)
        return noise.dequantize(images, noise.uniform_noise(rng, images.shape))

    def to_uint8(self, x: Array) -> np.ndarray:
        """Convert float images ``(n, *float_shape)`` to uint8; inverts :meth:`dequantize`.

        Values outside [-0.5, 0.5) are clipped.
        """
        x = arrays.as_array(x)
        if arrays.is_uint8(x):
            raise ValueError("to_uint8 takes float images, as decode gives them; got uint8")
        x = arrays.as_images(x, self._any_side(self.float_shape), "x", math.inf)
        return noise.quantize(self.preprocess.reduce(np.asarray(x)))

    # --- the map -------------------------------------------------------------------------

    def encode(
        self, x: Array, condition: Any = None, batch_size: int = BATCH_SIZE, check: bool = False
    ) -> tuple[tuple[Array, ...], Array]:
        """Latents of float images, and the log-determinant.

        ``decode(encode(x))`` equals x within half a grey level for images like the training data.
        For very different images, float32 rounding errors can grow without bound in the inverse.
        The bounds of flows (``input_bound``, ``scale_floor``, ``component_bound``) keep flat,
        striped, noisy and saturated images exact, but do not guarantee it for every image.
        ``check=True`` verifies it.

        Args:
            x: float images ``(n, *float_shape)``, as returned by :meth:`dequantize`.
            condition: condition or its features, for a conditional model.
            batch_size: maximum batch size.
            check: also decode the latents, and raise if an image is not reproduced.

        Returns:
            ``latents``, a tuple of arrays ``(n, *shape)`` for the shapes in ``latent_shapes``,
            standard normal under the model; and ``log_det`` ``(n,)`` in nats:
            ``log p(x) = log_det + log N(latents; 0, I)``.

        Raises:
            ValueError: uint8 images, a wrong shape, NaN, a condition missing or not expected;
                with ``check``, an image whose round trip is off by half a grey level or more.
        """
        check_integer("batch_size", batch_size)
        arrays.check_array("x", x)
        condition = self._checked(condition)
        x = arrays.as_array(x)
        if arrays.is_uint8(x):
            raise ValueError(
                "encode takes float images; convert uint8 images with dequantize(images) first"
            )
        model = self._sized_for(condition, x)
        x = model._as_images(x, "x")
        condition = model._one_each(condition, x.shape[0])
        latents, log_det = model._encode(x, condition, batch_size)
        if check:
            require_exact(level_errors(x, model.decode(latents, condition, batch_size)))
        return latents, log_det

    def decode(self, latents: Any, condition: Any = None, batch_size: int = BATCH_SIZE) -> Array:
        """Float images ``(n, *float_shape)`` of latents; the inverse of :meth:`encode`.

        See :meth:`encode` for how exact it is.

        Raises:
            ValueError: a wrong number or shape of latents, NaN.
        """
        check_integer("batch_size", batch_size)
        condition = self._checked(condition)
        model = self._sized_for(condition)
        latents = tuple(latents) if isinstance(latents, list | tuple) else (latents,)
        shapes = model.latent_shapes
        if len(latents) != len(shapes):
            raise ValueError(
                f"latents must be a tuple of {len(shapes)} arrays with shapes (n, *s) for s in "
                f"{shapes}; got {len(latents)}"
            )
        latents = tuple(map(arrays.as_array, latents))
        for i, (z, shape) in enumerate(zip(latents, shapes, strict=True)):
            arrays.check_floats(f"latents[{i}]", z, shape)
        counts = [z.shape[0] for z in latents]
        if len(set(counts)) != 1 or counts[0] == 0:
            raise ValueError(f"latents must hold the same number of images each; got {counts}")
        condition = model._one_each(condition, counts[0])
        return model._decode(latents, condition, batch_size)

    def encode_condition(self, condition: Any, batch_size: int = BATCH_SIZE) -> Any:
        """Features of a condition, which can be passed as ``condition=`` to every method.

        An encoder then runs only once for any number of samples.
        """
        check_integer("batch_size", batch_size)
        condition = self._checked(condition)
        return None if condition is None else self._condition(condition, batch_size)

    # --- scores --------------------------------------------------------------------------

    def log_prob(
        self,
        images: Array,
        condition: Any = None,
        seed: int | None = 0,
        batch_size: int = BATCH_SIZE,
        progress: Any = None,
    ) -> Array:
        """Log-probability in nats, ``(n,)``.

        For uint8 images, a lower bound on log P(image) from one draw of dequantization noise,
        including the ``-D ln 256``; for float images, the log-density.

        Args:
            images: ``(n, h, w, c)``, uint8 or float.
            condition: condition or its features, for a conditional model.
            seed: seed of the dequantization noise.
            batch_size: maximum batch size.
            progress: called with the number of images done after each batch.
        """
        check_integer("batch_size", batch_size)
        arrays.check_array("images", images)
        condition = self._checked(condition)
        model = self._sized_for(condition, images)
        x = model._as_images(images)
        constant = model.float_dims * math.log(256.0) if arrays.is_uint8(x) else 0.0
        x = model._as_floats(x, seed)
        condition = model._one_each(condition, x.shape[0])
        return model._log_prob(x, condition, batch_size, progress) - constant

    def bits_per_dim(
        self,
        images: Array,
        condition: Any = None,
        seed: int | None = 0,
        batch_size: int = BATCH_SIZE,
        progress: Any = None,
    ) -> Array:
        """Bits per dimension at 256 levels, ``(n,)``; lower is better.

        ``-log P(image) / (D ln 2)`` with uniform dequantization. Float images must already be
        dequantized, in [-0.5, 0.5]; the 256 levels are included for them too. D is the number of
        dimensions of ``image_shape``, independent of ``preprocess``.
        """
        arrays.check_array("images", images)
        condition = self._checked(condition)
        model = self._sized_for(condition, images)
        x = model._as_images(images, limit=noise.DATA_LIMIT)
        offset = 0.0 if arrays.is_uint8(x) else 8.0 * model.float_dims / model.num_dims
        log_prob = model.log_prob(x, condition, seed, batch_size, progress)
        return offset - log_prob / (model.num_dims * math.log(2.0))

    # --- helpers -------------------------------------------------------------------------

    def _any_side(self, shape: tuple[int, int, int]) -> tuple[Any, ...]:
        return (None, None, shape[-1]) if self.any_size else shape

    def _as_images(
        self, images: Any, name: str = "images", limit: float = noise.FLOAT_LIMIT
    ) -> Any:
        """Checked images: uint8 of ``image_shape``, or floats of ``float_shape``."""
        arrays.check_array(name, images)
        images = arrays.as_array(images)
        return arrays.as_images(images, self._shape_of(images), name, limit)

    def _shape_of(self, images: Any) -> tuple[int, int, int]:
        """The shape that each of these images must have."""
        return self.image_shape if arrays.is_uint8(images) else self.float_shape

    def _as_floats(self, images: Any, seed: int | None) -> Any:
        """Checked images as float images."""
        return self.dequantize(np.asarray(images), seed) if arrays.is_uint8(images) else images

    def _check_condition(self, condition: Any) -> None:
        """Raise ValueError unless the model takes this condition, or these features."""
        kind = self.condition_kind
        if kind is None:
            if condition is not None:
                raise ValueError("condition was given, but this flow is unconditional")
        elif condition is None:
            raise ValueError(f"condition is missing; expected {kind.expected}")
        elif isinstance(condition, tuple):
            self._check_features(condition)
        else:
            kind.check(arrays.as_array(condition))

    def _checked(self, condition: Any) -> Any:
        """A checked condition as graphs take it, or its features."""
        self._check_condition(condition)
        kind = self.condition_kind
        if kind is None or isinstance(condition, tuple):
            return condition
        return kind.plain(arrays.as_array(condition))

    def _one_each(self, condition: Any, n: Any) -> Any:
        """A checked condition for each of n images; a single one is repeated for all.

        Raises:
            ValueError: another number of conditions.
        """
        if condition is None or not isinstance(n, int):
            return condition  # a number that a graph under construction does not know
        count = arrays.count_of(condition)
        if count is None or count == n:
            return condition
        if count != 1:
            raise ValueError(
                f"condition must be one for each of {counted(n, 'image')}, or one; got {count}"
            )
        if not isinstance(condition, tuple):
            condition = self._condition(condition, 1)  # once, not for every image
        return arrays.map_parts(lambda part: self._repeat(part, n), condition)
