"""What a data set is: images with fixed splits, what each is conditioned on, and a licence."""

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
    """A data set. A subclass states the attributes and gives the images, and conditions if any.

    Each module of ``attnflow_keras.data.sets`` defines one or several; that is all it takes.

    Attributes:
        name: what recipes, entries and the command line call it.
        license: whose it is and what may be done with it, for cards.
        task: the task that its conditions serve, ``"unconditional"`` if it has none.
        scale: for super-resolution, how many times smaller the conditions are.
        sample: file of ``data/samples`` that holds some test images.

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

    @abc.abstractmethod
    def images(self, split: str) -> np.ndarray:
        """The images of a split, uint8 ``(n, h, w, c)``, always the same in the same order.

        Raises:
            ValueError: an unknown split, or files that are damaged.
            OSError: files that are not there; the message says where they belong.
        """

    def conditions(self, split: str) -> np.ndarray:
        """What each image of a split is conditioned on: classes ``(n,)``, label maps, ..."""
        raise ValueError(f"data set {self.name} has no conditions")

    def crops(self) -> Any:
        """What training draws tuples from, ``(images, conditions)`` or ``(images,)``."""
        return WholePictures(self.images("train"), *self._labels("train"))

    def pairs(self, split: str) -> dict[str, np.ndarray]:
        """``{"image", "condition"}`` of a split; for super-resolution the images' reductions.

        Raises:
            ValueError: as :meth:`images`, or a data set without conditions.
            OSError: as :meth:`images`.
        """
        images = self.images(split)
        if self.scale is not None:
            return {"image": images, "condition": reduced(images, self.scale)}
        return {"image": images, "condition": self.conditions(split)}

    def training(self, conditional: bool = True) -> Any:
        """What ``fit`` draws from: batches of ``{"image", "condition"}``, or of images alone."""
        crops = self.crops()
        source: Any = Labelled(crops) if self.scale is None else SmallAndLarge(crops, self.scale)
        return source if conditional else Photos(source)

    def bundled(self) -> dict[str, np.ndarray]:
        """Some test images that come with the package: ``image`` and, if any, ``condition``.

        Raises:
            ValueError: none do.
        """
        if self.sample is None:
            raise ValueError(f"no images of data set {self.name} come with the package")
        with np.load(SAMPLES / self.sample, allow_pickle=False) as arrays:
            images = {"image": arrays["images"]}
            if self.scale is not None:
                return {**images, "condition": reduced(images["image"], self.scale)}
            labels = [arrays[key] for key in arrays.files if key != "images"]
            return {**images, "condition": labels[0]} if self.task != "unconditional" else images

    def _labels(self, split: str) -> tuple[np.ndarray, ...]:
        has = self.task != "unconditional" and self.scale is None
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
