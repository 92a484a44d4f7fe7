"""Task: how images and conditions are read, sampled, trained on and evaluated."""

import abc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

Pair = tuple[Any, Any]  # images, and their conditions or None


@dataclass(frozen=True)
class Reading:
    """Options for reading files.

    Args:
        labels: folder or file with the label maps or classes of photos.
        resize: resize images of another size.
        background: colour behind transparent pixels.
        unreadable: collects the errors of unreadable images; None raises the first.
        palette: colours of the classes in label maps, uint8 ``(classes, 3)``.
        nearest: replace unknown colours by the nearest of the palette.
        notes: counts changes made to the images.
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
    """Options of :meth:`Task.evaluate`.

    Args:
        split: description of the images.
        dataset: data set of the split; None for the user's images.
        seed: seed of all random numbers.
        samples: samples per condition to measure diversity.
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
    """A task. A subclass sets the attributes, and implements how conditions are read.

    Methods take ``config``, the constructor arguments in an entry's config.json.

    Attributes:
        name: its name in entries, ``zoo.list`` and on the command line.
        conditional: whether its images have conditions.
        rank: position in lists of tasks.
        command: the command that samples.
        labels: for a task that needs ``--labels`` with users' photos, the error without it.
        result: key of an entry's metadata for the result of :meth:`evaluate`; None if bits per
            dimension are the only metric.
        title: heading of that result in cards.
        lpips: whether that includes LPIPS.
        needs_data_set: what that result lacks for users' own images.
        pipeline: pipeline tag on the Hugging Face Hub, if any.

    Example:
        >>> from zoo.tasks import tasks
        >>> tasks()["super-resolution"].command
        'restore'
    """

    name: ClassVar[str]
    conditional: ClassVar[bool] = True
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
        """Bundled images of a data set; None if there are none that fit the flow."""
        if not data_set.has_bundled or not self.fits(data_set):
            return None
        images = data_set.bundled()["image"]
        if images.shape[1:] != tuple(config["image_shape"]):
            return None
        return images, self.conditions(config, data_set, images, None)

    @abc.abstractmethod
    def conditions(
        self, config: dict[str, Any], data_set: Any, images: Any, split: str | None
    ) -> Any:
        """Conditions of the images of a split, or with None of the bundled images."""

    @abc.abstractmethod
    def of_files(self, config: dict[str, Any], data: str, reading: Reading) -> Pair:
        """Users' images and their conditions."""

    @abc.abstractmethod
    def condition(self, config: dict[str, Any], given: Any, reading: Reading) -> Any:
        """A single condition from what the user specifies, such as an image file."""

    def to_draw(self, config: dict[str, Any], count: int, given: str | None) -> Any:
        """Conditions of ``count`` images that ``attnflow sample`` draws, or None.

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
        """Training data of a data set: an array, or a source."""

    def source(self, images: Any, conditions: Any) -> Any:
        """Training data from users' images in memory."""
        return images

    def own(
        self,
        config: dict[str, Any],
        data: str,
        reading: Reading,
        held_out: Callable[[int], Any],
        say: Callable[[str], None],
    ) -> tuple[Any, Pair | None]:
        """Training data from users' images, and the images that are held out.

        Args:
            config: the entry's.
            data: the images.
            reading: how they are read.
            held_out: which of so many images, as indices; None for none.
            say: prints a message.
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
        """Metrics beyond bits per dimension, saved in the metadata under :attr:`result`."""
        raise ValueError(f"'attnflow score' scores entries for {self.name}")


class WithLabels(Task):
    """A task with conditions from some data sets, or from ``--labels`` for users' images."""

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
