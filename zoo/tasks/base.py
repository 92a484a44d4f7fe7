"""What a task is: how its images and conditions are read, drawn from, trained and scored."""

import abc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

Pair = tuple[Any, Any]  # images, and their conditions or None


@dataclass(frozen=True)
class Reading:
    """How the user wants files to be read.

    Args:
        labels: what the label maps or classes of photos are in.
        resize: resize images of another size.
        background: colour behind transparent pixels.
        unreadable: takes the errors of images that can't be read; None raises the first.
        palette: colours of the classes in label maps, uint8 ``(classes, 3)``.
        nearest: take the nearest colour of the palette.
        notes: counts what was done to the images.
    """

    labels: Path | None = None
    resize: bool = False
    background: str | None = None
    unreadable: Any = None
    palette: Any = None
    nearest: bool = False
    notes: Any = None


@dataclass(frozen=True)
class Evaluation:
    """What :meth:`Task.evaluate` is to do.

    Args:
        split: what the images are, for the record.
        dataset: the data set that they are a split of; None for the user's.
        seed: seed of all random numbers.
        samples: samples of a condition to measure their diversity.
        draws: draws of dequantization noise.
        lpips: an LPIPS, or None.
        segmenter: file of the pixel classifier.
        working: ``working(text, total)`` is a context that shows progress.
    """

    split: str
    dataset: str | None
    seed: int
    samples: int
    draws: int
    lpips: Any
    segmenter: Path | None
    working: Callable[..., Any]


class Task(abc.ABC):
    """A task. A subclass states the attributes, and how its conditions are read.

    Methods take ``config``, the constructor arguments in an entry's config.json.

    Attributes:
        name: what entries, ``zoo.list`` and the command line call it.
        rank: its place where tasks are listed.
        command: the command that draws.
        labels: for a task that takes ``--labels`` with the user's photos, what to say without.
        result: key of an entry's metadata for what :meth:`evaluate` gives; None where bits per
            dimension are all there is.
        title: heading of that result in cards.
        lpips: whether that takes LPIPS.
        needs_data_set: what that result lacks for the user's own images.
        pipeline: what the Hugging Face Hub calls it; None for nothing.

    Example:
        >>> from zoo.tasks import tasks
        >>> tasks()["super-resolution"].command
        'restore'
    """

    name: ClassVar[str]
    rank: ClassVar[int] = 9
    command: ClassVar[str] = "sample"
    labels: ClassVar[str | None] = None
    result: ClassVar[str | None] = None
    title: ClassVar[str] = ""
    lpips: ClassVar[bool] = False
    needs_data_set: ClassVar[str] = ""
    pipeline: ClassVar[str | None] = None

    def check(self, config: dict[str, Any]) -> None:  # noqa: B027 - most need nothing
        """Raise ValueError unless a configuration has what the task needs."""

    def fits(self, data_set: Any) -> bool:
        """Whether a data set has the conditions of the task."""
        return True

    def of_data_set(self, config: dict[str, Any], data_set: Any, split: str) -> Pair:
        """Images of a data set's split and their conditions.

        Raises:
            ValueError: images of another shape, or the data set has no such conditions.
        """
        images, shape = data_set.images(split), tuple(config["image_shape"])
        if images.shape[1:] != shape:
            raise ValueError(
                f"{data_set.name}:{split} has images of {images.shape[1:]}, the flow takes {shape}"
            )
        return images, self.conditions(config, data_set, images, split)

    def bundled(self, config: dict[str, Any], data_set: Any) -> Pair | None:
        """Images of a data set that come with the package; None if none do that fit the flow."""
        if data_set.sample is None or not self.fits(data_set):
            return None
        images = data_set.bundled()["image"]
        if images.shape[1:] != tuple(config["image_shape"]):
            return None
        return images, self.conditions(config, data_set, images, None)

    @abc.abstractmethod
    def conditions(
        self, config: dict[str, Any], data_set: Any, images: Any, split: str | None
    ) -> Any:
        """Conditions of the images of a split, or of those that come with the package."""

    @abc.abstractmethod
    def of_files(self, config: dict[str, Any], data: str, reading: Reading) -> Pair:
        """The user's images and their conditions."""

    @abc.abstractmethod
    def condition(self, config: dict[str, Any], given: Any, reading: Reading) -> Any:
        """What one condition is that the user names, such as an image's file."""

    def to_draw(self, config: dict[str, Any], count: int, given: str | None) -> Any:
        """Conditions of so many images that ``attnflow sample`` draws, None for none.

        Args:
            config: the entry's.
            count: number of images.
            given: what the user gave as ``--class``, or None.
        """
        if given is not None:
            raise ValueError(f"--class is not for entries for {self.name}; got {given!r}")
        return None

    @abc.abstractmethod
    def training(self, config: dict[str, Any], data_set: Any) -> Any:
        """What is trained on of a data set: an array, or a source that draws."""

    def source(self, images: Any, conditions: Any) -> Any:
        """The same of the user's images in memory."""
        return images

    def own(
        self,
        config: dict[str, Any],
        data: str,
        reading: Reading,
        held_out: Callable[[int], Any],
        say: Callable[[str], None],
    ) -> tuple[Any, Pair | None]:
        """What is trained on of the user's images, and what is held out of them.

        Args:
            config: the entry's.
            data: the images.
            reading: how they are read.
            held_out: which of so many images, as indices; None for none.
            say: tells the user something.
        """
        import numpy as np

        images, conditions = self.of_files(config, data, reading)
        rows = held_out(len(images))
        if rows is None:
            return self.source(images, conditions), None
        kept = np.setdiff1d(np.arange(len(images)), rows)
        parts = [(a[kept], a[rows]) if a is not None else (a, a) for a in (images, conditions)]
        return self.source(parts[0][0], parts[1][0]), (parts[0][1], parts[1][1])

    def evaluate(self, flow: Any, images: Any, conditions: Any, how: Evaluation) -> dict[str, Any]:
        """Scores beyond bits per dimension, as metadata keeps them under :attr:`result`."""
        raise ValueError(f"'attnflow score' scores entries for {self.name}")


class WithLabels(Task):
    """A task whose conditions only some data sets have, and the user's in ``--labels``."""

    def fits(self, data_set: Any) -> bool:
        return bool(data_set.task == self.name)

    def conditions(
        self, config: dict[str, Any], data_set: Any, images: Any, split: str | None
    ) -> Any:
        known = self._check(data_set)
        return known.bundled()["condition"] if split is None else known.conditions(split)

    def training(self, config: dict[str, Any], data_set: Any) -> Any:
        return self._check(data_set).training()

    def _check(self, data_set: Any) -> Any:
        from attnflow_keras.data import data_sets

        if not self.fits(data_set):
            known = ", ".join(name for name, d in data_sets().items() if d.task == self.name)
            raise ValueError(
                f"data set {data_set.name} has no pairs for {self.name}; those that have are "
                f"{known}, or give a folder of images"
            )
        return data_set


def read_images(config: dict[str, Any], data: str, reading: Reading) -> Any:
    """The user's images alone: a folder, an image, a ``.npy`` or ``.npz`` file."""
    from attnflow_keras.data import load_images

    try:
        return load_images(
            data, config["image_shape"], reading.resize, reading.background, reading.unreadable
        )
    except ValueError as error:
        if reading.resize and Path(data).suffix.lower() in (".npy", ".npz"):
            raise ValueError(f"{error}. --resize is for images, not for arrays") from error
        raise
