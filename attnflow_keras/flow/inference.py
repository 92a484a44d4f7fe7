"""What a trained flow is used for: encode, decode, score, sample, interpolate."""

import math
from typing import Any

import numpy as np
from keras import ops, tree

from attnflow_keras.core import noise
from attnflow_keras.core.checks import check_integer, is_integer
from attnflow_keras.core.exactness import level_errors, require_exact
from attnflow_keras.core.preprocess import Preprocess
from attnflow_keras.core.wording import counted
from attnflow_keras.flow import inputs as checks
from attnflow_keras.flow.compiled import CompiledMethods
from attnflow_keras.ops.numerics import LN2

Tensor = Any

BATCH_SIZE = 64


class InferenceMixin:
    """The public methods of a flow besides those of ``keras.Model``.

    They take NumPy arrays or backend tensors, work in batches of ``batch_size``, and run as
    compiled functions. Set :attr:`jit` for XLA: slower to start, faster on long runs.
    """

    # What ``Flow`` provides.
    image_shape: tuple[int, int, int]
    float_shape: tuple[int, int, int]
    latent_shapes: tuple[tuple[int, int, int], ...]
    num_dims: int
    float_dims: int
    preprocess: Preprocess
    variable_dtype: Any
    _compiled: CompiledMethods
    traced_encode: Any
    traced_decode: Any
    traced_log_prob: Any
    traced_condition: Any
    _features: Any
    _check_condition: Any

    @property
    def _compiled_methods(self) -> CompiledMethods:
        # Attached here, so that a copy of the flow has its own.
        self._compiled.owner = self
        return self._compiled

    @property
    def jit(self) -> bool:
        """Whether these methods are compiled with XLA; False at first."""
        return self._compiled_methods.jit

    @jit.setter
    def jit(self, value: bool) -> None:
        self._compiled_methods.jit = bool(value)

    # --- images --------------------------------------------------------------------------

    def dequantize(
        self, images: np.ndarray, seed: int | None = 0, center: bool = False
    ) -> np.ndarray:
        """``(k + u) / 256 - 0.5`` with u uniform in (0, 1): uint8 to float32 in (-0.5, 0.5).

        The result has shape ``(n, *float_shape)``, with ``preprocess`` applied.

        Args:
            images: uint8 ``(n, h, w, c)``.
            seed: seed of u; None for fresh noise.
            center: use u = 1/2, the middle of each grey level, instead. Noise near 0 or 1 lies
                so close to the next level that rounding in decode(encode(x)) can reach it.
        """
        images = images if hasattr(images, "dtype") else np.asarray(images)
        if not checks.is_integer(images):
            raise ValueError(f"dequantize takes uint8 images; got dtype {images.dtype}")
        images = self.preprocess.expand(np.asarray(self._as_images(images)))
        if center:
            return noise.dequantize(images, 0.5)
        rng = noise.generator(seed, noise.DEQUANTIZATION)
        return noise.dequantize(images, noise.uniform_noise(rng, images.shape))

    def _quantize_images(self, x: Any) -> np.ndarray:
        """Grey levels (uint8) of float images, the inverse of :meth:`dequantize`."""
        x = np.asarray(ops.convert_to_numpy(x))
        if checks.is_integer(x):
            raise ValueError("quantize takes float images, as decode gives them; got uint8")
        checks.check_shape("x", x, self.float_shape)
        return noise.quantize(self.preprocess.reduce(x))

    def _as_images(
        self, images: Any, name: str = "images", limit: float = checks.FLOAT_LIMIT
    ) -> Any:
        """Checked images: uint8 of ``image_shape``, or floats of ``float_shape``."""
        checks.check_array(name, images)
        images = images if hasattr(images, "dtype") else np.asarray(images)
        return checks.as_images(images, self._shape_of(images), name, limit)

    def _shape_of(self, images: Any) -> tuple[int, int, int]:
        """The shape that each of these images must have."""
        return self.image_shape if checks.is_integer(images) else self.float_shape

    # --- the map -------------------------------------------------------------------------

    def encode(
        self, x: Any, condition: Any = None, batch_size: int = BATCH_SIZE, check: bool = False
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Latents of float images, and the log-determinant.

        ``decode(encode(x))`` is x within half a grey level for images like the training data.
        Rounding grows in the inverse, in float32 without end if the image is unlike enough: the
        bounds of flows (``input_bound``, ``scale_floor``, ``component_bound``) keep flat, striped,
        noisy and saturated images exact, but are no proof for every image. ``check=True`` is.

        Args:
            x: float images ``(n, h, w, c)``, as :meth:`dequantize` gives them.
            condition: condition or its features, for a conditional flow: one for each image, or
                one for all.
            batch_size: maximum batch size.
            check: decode the latents too, and raise if an image does not come back.

        Returns:
            ``latents``, a tuple of tensors ``(n, *shape)`` for the shapes in
            ``latent_shapes``, standard normal under the model; and ``log_det`` ``(n,)`` in
            nats: ``log p(x) = log_det + log N(latents; 0, I)``.

        Raises:
            ValueError: uint8 images, a wrong shape, NaN, a condition missing or not expected;
                with ``check``, an image whose round trip is off by half a grey level or more.
        """
        x = x if hasattr(x, "dtype") else np.asarray(x)
        if checks.is_integer(x):
            raise ValueError(
                "encode takes float images; convert uint8 images with flow.dequantize(images) first"
            )
        x = self._as_images(x, "x")
        inputs = (self._cast(x), self._one_each(condition, x.shape[0]))
        latents, log_det = self._run("encode", self.traced_encode, inputs, batch_size)
        if check:
            back = self._run("decode", self.traced_decode, (latents, inputs[1]), batch_size)
            require_exact(level_errors(*map(ops.convert_to_numpy, (inputs[0], back))))
        return latents, log_det

    def decode(self, latents: Any, condition: Any = None, batch_size: int = BATCH_SIZE) -> Tensor:
        """Float images ``(n, h, w, c)`` from latents; the inverse of :meth:`encode`, which says
        how exact it is.

        Raises:
            ValueError: a wrong number or shape of latents, NaN.
        """
        latents = tuple(latents) if isinstance(latents, list | tuple) else (latents,)
        if len(latents) != len(self.latent_shapes):
            raise ValueError(
                f"latents must be a tuple of {len(self.latent_shapes)} arrays with shapes "
                f"(n, *s) for s in {self.latent_shapes}; got {len(latents)}"
            )
        latents = tuple(z if hasattr(z, "dtype") else np.asarray(z) for z in latents)
        for i, (z, shape) in enumerate(zip(latents, self.latent_shapes, strict=True)):
            checks.check_shape(f"latents[{i}]", z, shape)
            checks.check_finite(f"latents[{i}]", z)
        counts = [int(z.shape[0]) if z.shape[0] is not None else -1 for z in latents]
        if len(set(counts)) != 1 or counts[0] == 0:
            raise ValueError(f"latents must hold the same number of images each; got {counts}")
        latents = tuple(self._cast(z) for z in latents)
        inputs = (latents, self._one_each(condition, counts[0]))
        return self._run("decode", self.traced_decode, inputs, batch_size)

    # --- scores --------------------------------------------------------------------------

    def log_prob(
        self,
        images: Any,
        condition: Any = None,
        seed: int | None = 0,
        batch_size: int = BATCH_SIZE,
        progress: Any = None,
    ) -> Tensor:
        """Log-probability in nats, ``(n,)``.

        Of uint8 images, a lower bound on log P(image) from one draw of dequantization noise,
        the ``-D ln 256`` included; of float images, the log-density.

        Args:
            images: ``(n, h, w, c)``, uint8 or float.
            condition: condition or its features, for a conditional flow.
            seed: seed of the dequantization noise.
            batch_size: maximum batch size.
            progress: called with the number of images done after each batch.
        """
        images = self._as_images(images)
        constant = self.float_dims * math.log(256.0) if checks.is_integer(images) else 0.0
        x = self._as_floats(images, seed)
        inputs = (self._cast(x), self._one_each(condition, x.shape[0]))
        return self._run("log_prob", self.traced_log_prob, inputs, batch_size, progress) - constant

    def bits_per_dim(
        self,
        images: Any,
        condition: Any = None,
        seed: int | None = 0,
        batch_size: int = BATCH_SIZE,
        progress: Any = None,
    ) -> Tensor:
        """Bits per dimension at 256 levels, ``(n,)``; lower is better.

        ``-log P(image) / (D ln 2)`` with uniform dequantization. Float images must already be
        dequantized, in [-0.5, 0.5]; the 256 levels are counted for them too. D counts the
        dimensions of ``image_shape``, whatever ``preprocess`` makes of them.
        """
        images = self._as_images(images)
        offset = 0.0
        if not checks.is_integer(images):
            checks.check_finite("images", images, checks.DATA_LIMIT)
            offset = 8.0 * self.float_dims / self.num_dims
        log_prob = self.log_prob(images, condition, seed, batch_size, progress)
        return offset - log_prob / (self.num_dims * LN2)

    # --- images ------------------------------------------------------------------------

    def sample(
        self,
        n: int | None = None,
        condition: Any = None,
        temperature: float = 1.0,
        seed: int | None = None,
        as_float: bool = False,
        batch_size: int = BATCH_SIZE,
    ) -> np.ndarray:
        """Sample images, uint8 ``(n, h, w, c)``.

        Args:
            n: number of images; if not given 1, or that of the conditions.
            condition: condition or its features: one for each image, or one for all.
            temperature: standard deviation of the latents; below 1 gives more typical images.
            seed: seed of the latents; None for fresh ones.
            as_float: return float images as decoded, not quantized.
            batch_size: maximum batch size.
        """
        noise.check_is_count(n)
        features = self._checked(condition)
        if features is not None:
            count = int(tree.flatten(features)[0].shape[0])
            n = count if n is None else n
            if n != count:
                n, features = _matched(n, count, self._features(features))
        n = 1 if n is None else n
        latents = noise.draw_latents(n, list(self.latent_shapes), temperature, seed)
        x = ops.convert_to_numpy(self.decode(latents, features, batch_size))
        noise.check_sampled(x, temperature)
        return x if as_float else self._quantize_images(x)

    def interpolate(
        self,
        a: np.ndarray,
        b: np.ndarray,
        steps: int = 8,
        condition: Any = None,
        batch_size: int = BATCH_SIZE,
    ) -> np.ndarray:
        """Interpolate between ``a`` and ``b`` in latent space, both ends included; uint8.

        Spherical interpolation (slerp): latents of a normal flow lie near a sphere, which linear
        interpolation would leave for improbable latents near the origin.

        Args:
            a: image ``(h, w, c)`` or images ``(n, h, w, c)``, uint8.
            b: the other end, of the same shape.
            steps: number of images, at least 2.
            condition: condition or its features, for both ends.
            batch_size: maximum batch size.

        Returns:
            ``(steps, h, w, c)``, or ``(n, steps, h, w, c)`` for batches.
        """
        check_integer("steps", steps, 2)
        a, b = np.asarray(a), np.asarray(b)
        if a.shape != b.shape:
            raise ValueError(f"a and b must have the same shape; got {a.shape} and {b.shape}")
        single = a.ndim == 3
        for name, image in (("a", a), ("b", b)):
            if image.dtype != "uint8":
                raise ValueError(f"{name} must be uint8 images; got dtype {image.dtype}")
        if single:
            a, b = a[None], b[None]
        ends = [
            [
                ops.convert_to_numpy(z)
                for z in self.encode(self.dequantize(x, center=True), condition, batch_size)[0]
            ]
            for x in (a, b)
        ]
        rows = _slerp(_flatten(ends[0]), _flatten(ends[1]), steps)
        n = len(a)
        latents = _unflatten(rows.reshape(n * steps, -1), self.latent_shapes)
        repeated = None
        if condition is not None:
            repeated = tree.map_structure(lambda c: np.repeat(c, steps, axis=0), condition)
        images = self._quantize_images(self.decode(latents, repeated, batch_size))
        images = images.reshape(n, steps, *self.image_shape)
        return images[0] if single else images

    def as_distribution(self, condition: Any = None) -> Any:
        """The density of float images ``(..., h, w, c)`` as a TFP distribution.

        ``sample()`` is one image, ``sample((2, 3))`` gives ``(2, 3, h, w, c)``; ``log_prob``
        takes any batch shape. Of several conditions, each is for one image of a batch of as many.
        """
        from attnflow_keras.flow.distribution import flow_distribution

        return flow_distribution(self, self._features(condition))

    # --- helpers -------------------------------------------------------------------------

    def _run(
        self, name: str, function: Any, inputs: tuple, batch_size: int, progress: Any = None
    ) -> Any:
        x, condition = inputs
        run = self._compiled_methods.run
        if condition is None:
            return run(name, function, (x,), batch_size, progress)
        if isinstance(condition, tuple):
            return run(name, function, inputs, batch_size, progress)

        # Features are made batch by batch: those of a whole test set may not fit in memory.
        def of_raw_condition(x: Any, condition: Any) -> Any:
            return function(x, self.traced_condition(condition))

        return run(f"{name} of a condition", of_raw_condition, inputs, batch_size, progress)

    def _checked(self, condition: Any) -> Any:
        """A condition, or its features, that fit the flow."""
        self._check_condition(condition)
        return np.asarray(condition) if isinstance(condition, list) else condition

    def _one_each(self, condition: Any, n: Any) -> Any:
        """A checked condition for each of n images; a single one is repeated for all.

        Raises:
            ValueError: another number of conditions.
        """
        condition = self._checked(condition)
        if condition is None or not isinstance(n, int):
            return condition  # a number that a graph under construction does not know
        count = tree.flatten(condition)[0].shape[0]
        if count is None or count == n:
            return condition
        if count != 1:
            raise ValueError(
                f"condition must be one for each of {counted(n, 'image')}, or one; got {count}"
            )
        if not isinstance(condition, tuple):
            condition = self._features(condition)  # once, not for every image
        return tree.map_structure(lambda part: ops.repeat(part, n, axis=0), condition)

    def _cast(self, x: Any) -> Any:
        dtype = self.variable_dtype
        return x.astype(dtype) if isinstance(x, np.ndarray) else ops.cast(x, dtype)

    def _as_floats(self, images: Any, seed: int | None) -> Any:
        images = self._as_images(images)
        if not checks.is_integer(images):
            return images
        return self.dequantize(ops.convert_to_numpy(images), seed)


def _matched(n: Any, count: int, features: Any) -> tuple[Any, Any]:
    """The number of images to draw, and features of one condition each."""
    if not is_integer(n):
        return n, features
    if count != 1:
        raise ValueError(
            f"n must be the number of conditions, {count}, or there must be one condition for "
            f"all images; got n={n}"
        )
    return n, tree.map_structure(lambda part: ops.repeat(part, int(n), axis=0), features)


def _flatten(latents: Any) -> np.ndarray:
    return np.concatenate([z.reshape(len(z), -1) for z in latents], axis=1)


def _unflatten(rows: np.ndarray, shapes: Any) -> tuple[np.ndarray, ...]:
    ends = np.cumsum([math.prod(shape) for shape in shapes])[:-1]
    parts = np.split(rows, ends, axis=1)
    return tuple(p.reshape(len(rows), *s) for p, s in zip(parts, shapes, strict=True))


def _slerp(a: np.ndarray, b: np.ndarray, steps: int) -> np.ndarray:
    """Slerp of the directions: ``(n, D)`` and ``(n, D)`` to ``(n, steps, D)``."""
    t = np.linspace(0.0, 1.0, steps)[None, :, None]
    length_a = np.linalg.norm(a, axis=1)[:, None, None]
    length_b = np.linalg.norm(b, axis=1)[:, None, None]
    unit_a, unit_b = a[:, None] / length_a, b[:, None] / length_b
    angle = np.arccos(np.clip(np.sum(unit_a * unit_b, axis=-1, keepdims=True), -1.0, 1.0))
    sine = np.maximum(np.sin(angle), 1e-6)
    direction = (np.sin((1 - t) * angle) * unit_a + np.sin(t * angle) * unit_b) / sine
    # Parallel ends span no circle; there the straight line is the same way.
    direction = np.where(angle < 1e-4, (1 - t) * unit_a + t * unit_b, direction)
    return (direction * ((1 - t) * length_a + t * length_b)).astype("float32")
