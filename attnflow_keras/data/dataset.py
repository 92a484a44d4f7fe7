"""DataSet: images with fixed splits, their conditions, and a licence."""

import abc
import os
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from attnflow_keras.data.bicubic import downscale
from attnflow_keras.data.sources import Labelled, Photos, SmallAndLarge, WholePictures

SPLITS = ("train", "validation", "test")
SAMPLES = Path(__file__).parent / "samples"

BLOCK = 256


class DataSet(abc.ABC):
    """A data set. A subclass sets the attributes and implements ``images`` and, if it has any,
    ``conditions``.

    Subclasses in modules of ``attnflow_keras.data.sets`` are discovered automatically.

    Attributes:
        name: its name in recipes, entries and on the command line.
        license: owner and licence, for cards.
        task: the task of its conditions, ``"unconditional"`` if it has none.
        scale: for super-resolution, the scale factor.
        sample: file in ``data/samples`` with some test images.

    Example:
        >>> import numpy as np
        >>> from attnflow_keras.core.checks import check_choice
        >>> from attnflow_keras.data.dataset import SPLITS, DataSet
        >>> class Noise(DataSet):
        ...     name = "noise"
        ...     license = "CC0"
        ...     task = "super-resolution"
        ...     scale = 4
        ...
        ...     def images(self, split):
        ...         rng = np.random.default_rng(SPLITS.index(check_choice("split", split, SPLITS)))
        ...         return rng.integers(0, 256, (5, 8, 8, 3), dtype="uint8")
        >>> Noise().pairs("test")["condition"].shape
        (5, 2, 2, 3)
        >>> Noise().training().draw(16, seed=0, step=0)["image"].shape
        (16, 8, 8, 3)
    """

    name: ClassVar[str]
    license: ClassVar[str]
    task: ClassVar[str] = "unconditional"
    scale: ClassVar[int | None] = None
    sample: ClassVar[str | None] = None

    @property
    def conditional(self) -> bool:
        """Whether its images have conditions."""
        return self.task != "unconditional"

    @property
    def has_bundled(self) -> bool:
        """Whether some of its test images are there without ``ATTNFLOW_DATA``."""
        return self.sample is not None

    @abc.abstractmethod
    def images(self, split: str) -> np.ndarray:
        """Images of a split, uint8 ``(n, h, w, c)``, always in the same order.

        Raises:
            ValueError: an unknown split, or damaged files.
            OSError: missing files; the message says where they belong.
        """

    def conditions(self, split: str) -> np.ndarray:
        """Conditions of the images of a split: classes ``(n,)``, label maps, ..."""
        raise ValueError(f"data set {self.name} has no conditions")

    def crops(self) -> Any:
        """Source of training tuples, ``(images, conditions)`` or ``(images,)``."""
        return WholePictures(self.images("train"), *self._labels("train"))

    def pairs(self, split: str) -> dict[str, np.ndarray]:
        """``{"image", "condition"}`` of a split; for super-resolution, downsampled images.

        Raises:
            ValueError: as :meth:`images`, or a data set without conditions.
            OSError: as :meth:`images`.
        """
        images = self.images(split)
        if self.scale is not None:
            return {"image": images, "condition": reduced(images, self.scale)}
        return {"image": images, "condition": self.conditions(split)}

    def training(self, conditional: bool = True) -> Any:
        """Source of batches for ``fit``: ``{"image", "condition"}``, or only images."""
        crops = self.crops()
        source: Any = Labelled(crops) if self.scale is None else SmallAndLarge(crops, self.scale)
        return source if conditional else Photos(source)

    def bundled(self) -> dict[str, np.ndarray]:
        """Test images bundled with the package: ``image`` and, if any, ``condition``.

        Raises:
            ValueError: there are none.
        """
        if self.sample is None:
            raise ValueError(f"no images of data set {self.name} come with the package")
        with np.load(SAMPLES / self.sample, allow_pickle=False) as arrays:
            images = {"image": arrays["images"]}
            if self.scale is not None:
                return {**images, "condition": reduced(images["image"], self.scale)}
            labels = [arrays[key] for key in arrays.files if key != "images"]
            return {**images, "condition": labels[0]} if self.conditional else images

    def _labels(self, split: str) -> tuple[np.ndarray, ...]:
        has = self.conditional and self.scale is None
        return (self.conditions(split),) if has else ()


def data_folder() -> Path | None:
    """The folder that the environment variable ``ATTNFLOW_DATA`` names, if it is set."""
    folder = os.environ.get("ATTNFLOW_DATA")
    return Path(folder) if folder else None


def local_folder(name: str, what: str, advice: str = "") -> Path:
    """A folder inside the one that ``ATTNFLOW_DATA`` names.

    Raises:
        OSError: it is not there; ``what`` is read from local files only.
    """
    root = data_folder()
    if root is None or not (root / name).is_dir():
        raise OSError(
            f"{what} is read from local files only; set ATTNFLOW_DATA to a folder with {name}/"
            f"{advice}"
        )
    return root / name


def reduced(images: np.ndarray, scale: int) -> np.ndarray:
    """:func:`~attnflow_keras.data.downscale` in blocks: all at once takes several times as much."""
    blocks = [downscale(images[i : i + BLOCK], scale) for i in range(0, len(images), BLOCK)]
    return np.concatenate(blocks)
