"""Random training data: a batch is a function of the seed and the step."""

import hashlib
from typing import Any

import numpy as np

from attnflow_keras.core import noise
from attnflow_keras.core.checks import check_choice
from attnflow_keras.data.augment import AUGMENTATIONS
from attnflow_keras.data.bicubic import downscale

BLOCK = 256
CROPS = 2**34  # stream of step 0; each step has its own


class SmallAndLarge:
    """Crops and their downsampled versions, for super-resolution.

    Args:
        crops: draws ``(images, ...)``, such as ``BlueMarbleCrops`` or :class:`PictureCrops`.
        scale: factor of the reduction.
        augment: name of an augmentation of the crops before they are downsampled, or None.
    """

    def __init__(self, crops: Any, scale: int, augment: str | None = None) -> None:
        check_choice("augment", augment, (None, *AUGMENTATIONS))
        self.crops = crops
        self.scale = scale
        self.augment = augment

    def __len__(self) -> int:
        return len(self.crops)

    def draw(self, count: int, seed: int, step: int) -> dict[str, np.ndarray]:
        """``{"image", "condition"}`` of one training step."""
        images = self.crops.draw(count, seed, step)[0]
        if self.augment is not None:
            images = AUGMENTATIONS[self.augment](images, seed, step)
        return {"image": images, "condition": downscale(images, self.scale)}

    def augmented(self, augment: str) -> "SmallAndLarge":
        """The same pairs, of crops that are augmented first."""
        return SmallAndLarge(self.crops, self.scale, augment)

    def fingerprint(self) -> dict[str, Any]:
        """Identifies the data, as JSON."""
        augment = {"augment": self.augment} if self.augment is not None else {}
        return {**self.crops.fingerprint(), "scale": self.scale, **augment}


class Labelled:
    """Photos with their label maps.

    Args:
        crops: draws ``(images, labels)``, such as ``BlueMarbleCrops`` or :class:`WholePictures`.
    """

    def __init__(self, crops: Any) -> None:
        self.crops = crops

    def __len__(self) -> int:
        return len(self.crops)

    def draw(self, count: int, seed: int, step: int) -> dict[str, np.ndarray]:
        """``{"image", "condition"}`` of one training step."""
        images, labels = self.crops.draw(count, seed, step)
        return {"image": images, "condition": labels}

    def fingerprint(self) -> dict[str, Any]:
        """Identifies the data, as JSON."""
        return {**self.crops.fingerprint(), "labels": True}


class Classed(Labelled):
    """Images with their classes, which an augmentation leaves unchanged.

    Args:
        crops: draws ``(images, classes)``.
        augment: name of an augmentation of the images, or None.
    """

    def __init__(self, crops: Any, augment: str | None = None) -> None:
        check_choice("augment", augment, (None, *AUGMENTATIONS))
        super().__init__(crops)
        self.augment = augment

    def draw(self, count: int, seed: int, step: int) -> dict[str, np.ndarray]:
        """``{"image", "condition"}`` of one training step."""
        drawn = super().draw(count, seed, step)
        if self.augment is not None:
            drawn["image"] = AUGMENTATIONS[self.augment](drawn["image"], seed, step)
        return drawn

    def augmented(self, augment: str) -> "Classed":
        """The same pairs, of images that are augmented."""
        return Classed(self.crops, augment)

    def fingerprint(self) -> dict[str, Any]:
        """Identifies the data, as JSON."""
        augment = {"augment": self.augment} if self.augment is not None else {}
        return {**super().fingerprint(), **augment}


class Photos:
    """Only the photos of a source, for unconditional flows.

    Args:
        source: draws ``{"image", "condition"}``.
    """

    def __init__(self, source: Any) -> None:
        self.source = source

    def __len__(self) -> int:
        return len(self.source)

    def draw(self, count: int, seed: int, step: int) -> np.ndarray:
        """Photos of one training step."""
        return self.source.draw(count, seed, step)["image"]

    def fingerprint(self) -> dict[str, Any]:
        """Identifies the data, as JSON."""
        return {**self.source.fingerprint(), "photos": True}


class WholePictures:
    """Images of one size, drawn at random.

    Args:
        *arrays: uint8 ``(n, h, w, ...)`` each, in memory or mapped from a file: the images, and
            what belongs to each; classes ``(n,)`` too if nothing is mirrored.
        flip: mirror half of the images.
    """

    def __init__(self, *arrays: np.ndarray, flip: bool = True) -> None:
        self.arrays = arrays
        self.flip = flip

    def __len__(self) -> int:
        return len(self.arrays[0])

    def draw(self, count: int, seed: int, step: int) -> tuple[np.ndarray, ...]:
        """Images of one training step, uint8 ``(count, h, w, ...)`` each."""
        rng = noise.generator(seed, CROPS + step)
        rows = rng.integers(len(self), size=count)
        flip = self.flip & (rng.integers(2, size=count) == 1)
        drawn = []
        for array in self.arrays:
            part = np.array(array[rows])
            if self.flip:
                part[flip] = part[flip, :, ::-1]
            drawn.append(part)
        return tuple(drawn)

    def fingerprint(self) -> dict[str, Any]:
        """Shape and hash of some of the images."""
        digest = hashlib.sha256()
        for array in self.arrays:
            digest.update(np.ascontiguousarray(array[:: -(-len(array) // BLOCK)]).data)
        shape = list(self.arrays[0].shape[1:])
        return {"shape": shape, "flip": self.flip, "sha256": digest.hexdigest()}


class PictureCrops:
    """Random crops of images of any size, each of which is at least as large as a crop.

    Args:
        pictures: uint8 arrays ``(h, w, 3)``.
        height: height of a crop.
        width: width of a crop.
        flip: mirror half of the crops.
    """

    def __init__(
        self, pictures: list[np.ndarray], height: int, width: int, flip: bool = True
    ) -> None:
        if not pictures:
            raise ValueError("pictures must hold at least one image; got none")
        for index, picture in enumerate(pictures):
            if picture.shape[0] < height or picture.shape[1] < width:
                raise ValueError(
                    f"pictures must be at least {height}x{width}; number {index} is "
                    f"{picture.shape[0]}x{picture.shape[1]}"
                )
        self.pictures = pictures
        self.height = height
        self.width = width
        self.flip = flip

    def __len__(self) -> int:
        return len(self.pictures)

    def draw(self, count: int, seed: int, step: int) -> tuple[np.ndarray]:
        """Crops of one training step, uint8 ``(count, height, width, 3)``."""
        rng = noise.generator(seed, CROPS + step)
        crops = []
        for _ in range(count):
            picture = self.pictures[rng.integers(len(self.pictures))]
            top = rng.integers(picture.shape[0] - self.height + 1)
            left = rng.integers(picture.shape[1] - self.width + 1)
            crop = picture[top : top + self.height, left : left + self.width]
            crops.append(crop[:, ::-1] if self.flip and rng.integers(2) else crop)
        return (np.stack(crops),)

    def fingerprint(self) -> dict[str, Any]:
        """Hash of the images and the size of a crop."""
        digest = hashlib.sha256()
        for picture in self.pictures:
            digest.update(np.ascontiguousarray(picture).data)
        size = [self.height, self.width]
        return {"crop": size, "flip": self.flip, "sha256": digest.hexdigest()}
