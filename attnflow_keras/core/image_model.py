"""ImageModel: the public methods shared by Keras flows and exports."""

from collections.abc import Callable
from typing import Any

import numpy as np

from attnflow_keras.core import arrays, interpolation, noise
from attnflow_keras.core.checks import check_choice, check_integer, check_number
from attnflow_keras.core.classification import class_probabilities
from attnflow_keras.core.completion import complete
from attnflow_keras.core.conditions import ClassKind, LabelKind, PictureKind
from attnflow_keras.core.image_map import BATCH_SIZE, ImageMap
from attnflow_keras.core.tiles import draw

METHODS = ("sequential", "jacobi")

Progress = Callable[[int, int], None]


class ImageModel(ImageMap):
    """:class:`ImageMap` plus the methods that return images.

    For a given seed, Keras and onnxruntime return the same images.
    """

    def sample(
        self,
        n: int | None = None,
        condition: Any = None,
        temperature: float = 1.0,
        seed: int | None = None,
        as_float: bool = False,
        batch_size: int = BATCH_SIZE,
        label: int | None = None,
        guidance: float | None = None,
        method: str = "sequential",
    ) -> np.ndarray:
        """Sample images, uint8 ``(n, h, w, c)``; a seed gives the same images in every subclass.

        Args:
            n: number of images; by default the number of conditions, or 1.
            condition: condition or its features: one for each image, or one for all.
            temperature: standard deviation of the latents; below 1 gives more typical images.
            seed: seed of the latents; None for a random one.
            as_float: return float images as decoded, not converted to uint8.
            batch_size: maximum batch size.
            label: class of all images, in place of ``condition``, for a class-conditional model.
            guidance: strength of classifier-free guidance, 0 or more (as in TarFlow,
                arXiv:2412.06329). Images become more typical of their class, and are no longer
                samples from the model's density. Only for Keras' causal flows trained with
                ``class_dropout``.
            method: how a causal flow in Keras is decoded: ``"sequential"``, one value at a time, or
                ``"jacobi"``, all values at once until none changes by more than a fortieth of a
                grey level, which is faster for stacks of affine blocks and on GPUs. Other models
                only support the default.
        """
        noise.check_is_count(n)
        if label is not None:
            condition = self._of_label(label, condition)
        condition = self._checked(condition)
        model = self._sized_for(condition)
        count = 1 if condition is None else arrays.count_of(condition)
        n = count if n is None else n
        latents = noise.draw_latents(n, list(model.latent_shapes), temperature, seed)
        if condition is not None and n != count:
            if count != 1:
                raise ValueError(
                    f"n must be the number of conditions, {count}, or there must be one condition "
                    f"for all images; got n={n}"
                )
            condition = model._one_each(condition, int(n))
        check_choice("method", method, METHODS)
        if guidance is not None:
            check_number("guidance", guidance, "[0, inf)")
        if guidance is None and method == METHODS[0]:
            x = np.asarray(model.decode(latents, condition, batch_size))
        else:
            check_integer("batch_size", batch_size)
            given = tuple(latents), condition, guidance, method
            x = np.asarray(model._draw(*given, batch_size))
        noise.check_sampled(x, temperature)
        return x if as_float else model.to_uint8(x)

    def interpolate(
        self,
        a: np.ndarray,
        b: np.ndarray,
        steps: int = 8,
        condition: Any = None,
        batch_size: int = BATCH_SIZE,
    ) -> np.ndarray:
        """Interpolate between ``a`` and ``b`` in latent space, both ends included; uint8.

        Interpolation is spherical (slerp): normal latents lie near a sphere, and linear
        interpolation would pass through improbable latents near the origin.

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
        for name, image in (("a", a), ("b", b)):
            if image.dtype != "uint8":
                raise ValueError(f"{name} must be uint8 images; got dtype {image.dtype}")
        single = a.ndim == 3
        if single:
            a, b = a[None], b[None]
        condition = self._one_each(self._checked(condition), len(a))
        start, end = (
            self.encode(self.dequantize(x, center=True), condition, batch_size)[0] for x in (a, b)
        )
        latents = interpolation.between(start, end, steps)
        if condition is not None:
            condition = arrays.map_parts(lambda part: self._repeat(part, steps), condition)
        images = self.to_uint8(self.decode(latents, condition, batch_size))
        images = images.reshape(len(a), steps, *images.shape[1:])
        return images[0] if single else images

    def transfer(
        self, photo: np.ndarray, label: Any, new_label: Any, batch_size: int = BATCH_SIZE
    ) -> np.ndarray:
        """Keep the latents of images and change their conditions (Full-Glow, section 4.3).

        Args:
            photo: uint8 ``(n, h, w, c)``.
            label: their conditions, such as label maps.
            new_label: the new conditions: one for each photo, one for all, or several for one
                photo.
            batch_size: maximum batch size.

        Returns:
            uint8 ``(n, h, w, c)``, one image for each photo or new condition.

        Raises:
            ValueError: photos or conditions of a wrong shape, number or dtype.
        """
        new_label = self._checked(new_label)
        latents, _ = self.encode(self.dequantize(photo, center=True), label, batch_size)
        count = 1 if new_label is None else arrays.count_of(new_label)
        if len(latents[0]) == 1 and count > 1:
            latents = tuple(self._repeat(z, count) for z in latents)
        return self.to_uint8(self.decode(latents, new_label, batch_size))

    def restore(
        self,
        picture: np.ndarray,
        n: int = 1,
        temperature: float = 0.8,
        seed: int | None = None,
        tile: int | None = None,
        overlap: int | None = None,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Restore one low-resolution image of any size, in tiles if it is large.

        Args:
            picture: uint8 ``(h, w, c)``.
            n: number of restorations.
            temperature: standard deviation of the latents.
            seed: seed of the latents; with tiles, restoration i uses ``seed + i``.
            tile: side of a tile of the low-resolution image; smaller images are restored as a
                whole. Models of a fixed size only support their own.
            overlap: how far neighbouring tiles overlap, in elements of the low-resolution image;
                None for 4, or less where tiles are small.
            progress: called with the number of finished tiles and their total number.

        Returns:
            uint8 ``(n, scale h, scale w, c)``.

        Raises:
            ValueError: not a single image with the model's channels, an invalid number, or a
                model for another task.
        """
        self._check_task("restore", "super-resolution", PictureKind)
        picture, channels = np.asarray(picture), self.image_shape[-1]
        if picture.ndim != 3 or picture.shape[-1] != channels or picture.dtype != np.uint8:
            hint = "; sample takes several at once" if picture.ndim == 4 else ""
            raise ValueError(
                f"picture must be one low-resolution image, uint8 (h, w, {channels}); got "
                f"{picture.dtype} of shape {picture.shape}{hint}"
            )
        return draw(self, picture, n, temperature, seed, tile, overlap, progress)

    def translate(
        self,
        label: np.ndarray,
        n: int = 1,
        temperature: float = 0.7,
        seed: int | None = None,
        overlap: int | None = None,
        progress: Progress | None = None,
    ) -> np.ndarray:
        """Sample photos for one label map of any size, in tiles of the model's size.

        Args:
            label: classes ``(h, w)``, or colours, uint8 ``(h, w, 3)``.
            n: number of photos.
            temperature: standard deviation of the latents.
            seed: seed of the latents; with tiles, photo i uses ``seed + i``.
            overlap: how far neighbouring tiles overlap, in pixels; None for a quarter of a tile.
            progress: called with the number of finished tiles and their total number.

        Returns:
            uint8 ``(n, h, w, 3)``.

        Raises:
            ValueError: not a single label map, a class or colour outside the palette, an invalid
                number, or a model for another task.
        """
        kind = self._check_task("translate", "label to photo", LabelKind)
        label = np.asarray(label)
        classes = label.ndim == 2 and kind.palette is not None
        if not classes and (label.ndim != 3 or label.shape[-1] != kind.colour_shape[-1]):
            raise ValueError(f"label must be one label map, (h, w) or (h, w, 3); got {label.shape}")
        return draw(self, label, n, temperature, seed, None, overlap, progress)

    def class_probabilities(
        self,
        images: Any,
        prior: Any = None,
        seed: int | None = 0,
        batch_size: int = BATCH_SIZE,
    ) -> np.ndarray:
        """Class probabilities given images, from ``log p(x | y)`` by Bayes' rule.

        Args:
            images: uint8 or float ``(n, h, w, c)``.
            prior: prior probabilities of the classes ``(classes,)``; uniform by default.
            seed: seed of the dequantization noise, the same for every class.
            batch_size: maximum batch size.

        Returns:
            float64 ``(n, classes)``; rows sum to 1.

        Raises:
            ValueError: images or a prior of a wrong shape, or a model without classes.
        """
        kind = self._check_task("class_probabilities", "class-conditional images", ClassKind)
        return class_probabilities(self, kind.classes, images, prior, seed, batch_size)

    def complete(
        self,
        images: np.ndarray,
        mask: np.ndarray,
        condition: Any = None,
        temperature: float = 1.0,
        seed: int | None = None,
        batch_size: int = BATCH_SIZE,
    ) -> np.ndarray:
        """Sample the unknown part of images given the known part.

        Needs a causal flow with a single block, which models the values of an image in an order:
        patch by patch, and row by row within a patch. The known values must come first in that
        order, such as the top rows of an image (a multiple of the patch side). The rest is then an
        exact sample of the model's conditional distribution.

        Args:
            images: uint8 ``(n, h, w, c)``; unknown values are ignored.
            mask: bool ``(h, w)`` or ``(h, w, c)``, True where images are known.
            condition: condition or its features.
            temperature: standard deviation of the latents of the unknown part.
            seed: seed of those latents; None for a random one.
            batch_size: maximum batch size.

        Returns:
            uint8 ``(n, h, w, c)``, with the known part unchanged.

        Raises:
            ValueError: a mask whose known values do not come first, images of a wrong shape or
                dtype, or a model without such an order.
        """
        return complete(self, images, mask, condition, temperature, seed, batch_size)

    def _of_label(self, label: int, condition: Any) -> np.ndarray:
        if condition is not None:
            raise ValueError("label and condition exclude one another; got both")
        kind = self._check_task("sample(label=...)", "class-conditional images", ClassKind)
        return np.array([check_integer("label", label, 0, kind.classes - 1)])

    def _check_task(self, method: str, task: str, kind: Any) -> Any:
        if not isinstance(self.condition_kind, kind):
            raise ValueError(f"{method} needs a flow for {task}; this one is for another task")
        return self.condition_kind
