"""ImageModel, the public methods that a Keras flow and an exported one share."""

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
    """:class:`ImageMap`, and the methods that draw images.

    For one seed, Keras and onnxruntime draw the same images.
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
        """Sample images, uint8 ``(n, h, w, c)``; for one seed the same from every subclass.

        Args:
            n: number of images; if not given 1, or that of the conditions.
            condition: condition or its features: one for each image, or one for all.
            temperature: standard deviation of the latents; below 1 gives more typical images.
            seed: seed of the latents; None for fresh ones.
            as_float: return float images as decoded, not converted to uint8.
            batch_size: maximum batch size.
            label: class of all images, in place of ``condition``, for a class-conditional model.
            guidance: by how much more than it says the class counts, 0 or more; images are then
                more typical of it, and not draws from the model's density (classifier-free
                guidance, as in TarFlow, arXiv:2412.06329). For a causal flow trained with
                ``class_dropout``, in Keras.
            method: how a causal flow is decoded, in Keras: ``"sequential"``, value by value, or
                ``"jacobi"``, all values at once until none changes by more than a fortieth of a
                grey level, which is faster for stacks of affine blocks and on GPUs. Other models
                take the first alone, and need no such choice.
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
        """Keep an image's latents and change its condition (Full-Glow, section 4.3).

        Args:
            photo: uint8 ``(n, h, w, c)``.
            label: its conditions, such as label maps.
            new_label: the conditions to show instead, one for each photo; or one for all, or
                several for one photo.
            batch_size: maximum batch size.

        Returns:
            uint8 ``(n, h, w, c)``, as many as there are photos or new conditions.

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
        """Restorations of one low-resolution image of any size, in tiles if it is large.

        Args:
            picture: uint8 ``(h, w, c)``.
            n: number of restorations.
            temperature: standard deviation of the latents.
            seed: seed of the latents; restoration i of an image in tiles has ``seed + i``.
            tile: side of a tile of the low-resolution image; smaller images are restored at once.
                Only models of any size take another than their own.
            overlap: how far neighbouring tiles overlap, in elements of the low-resolution image;
                None for 4, or less where tiles are small.
            progress: called with the number of tiles done and of all.

        Returns:
            uint8 ``(n, scale h, scale w, c)``.

        Raises:
            ValueError: anything but one image of the model's channels, a wrong number, or a
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
        """Photos for one label map of any size, in tiles of the model's where it is another.

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
            ValueError: anything but one label map, a class or a colour that the palette lacks, a
                wrong number, or a model for another task.
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
        """Probabilities of the classes given images, by Bayes' rule over ``log p(x | y)``.

        Args:
            images: uint8 or float ``(n, h, w, c)``.
            prior: probabilities of the classes ``(classes,)``; equal ones unless given.
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
        """Draw the unknown part of images given the known one.

        A causal flow of one block takes the values of an image in an order, patch by patch and row
        by row in a patch. What is known must come first in it, such as the top rows of an image, a
        multiple of the side of a patch; the rest is then exactly a draw from the model given it.

        Args:
            images: uint8 ``(n, h, w, c)``; unknown values have no influence.
            mask: bool ``(h, w)`` or ``(h, w, c)``, True where images are known.
            condition: condition or its features.
            temperature: standard deviation of the latents of the unknown part.
            seed: seed of those latents; None for fresh ones.
            batch_size: maximum batch size.

        Returns:
            uint8 ``(n, h, w, c)``, the known part as it was.

        Raises:
            ValueError: a mask whose known values do not come first, images of a wrong shape or
                dtype, or a model whose values have no order.
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
