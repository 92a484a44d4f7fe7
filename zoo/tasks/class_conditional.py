"""Images given their class."""

from pathlib import Path
from typing import Any

from zoo.tasks.base import Evaluation, Pair, Reading, WithLabels, read_images


class ClassConditional(WithLabels):
    """Images given an integer, their class: 0 to the configuration's ``classes``, less one."""

    name = "class-conditional"
    pipeline = "unconditional-image-generation"  # the Hub has none for given classes
    rank = 3
    result = "classification"
    title = "Classification"
    labels = "images need their classes; name a text file with a line for each"

    def check(self, config: dict[str, Any]) -> None:
        if not isinstance(config.get("classes"), int):
            raise ValueError(f"is for {self.name}; its config.json has no number of classes")

    def of_files(self, config: dict[str, Any], data: str, reading: Reading) -> Pair:
        images = read_images(config, data, reading)
        kept = _kept(data, reading.unreadable)
        count = len(images) if kept is None else len(kept)
        classes = read_classes(Path(str(reading.labels)), count, config["classes"])
        return images, classes if kept is None else classes[kept]

    def condition(self, config: dict[str, Any], given: Any, reading: Reading) -> Any:
        """An integer or its text: uint8 ``()``."""
        import numpy as np

        count = config["classes"]
        text = str(given).strip()
        if not text.isdecimal() or int(text) >= count:
            raise ValueError(f"class must be an integer from 0 to {count - 1}; got {given!r:.60}")
        return np.array(int(text), _dtype(count))

    def to_draw(self, config: dict[str, Any], count: int, given: str | None) -> Any:
        """All of one class, or of all classes in turn."""
        import numpy as np

        if given is not None:
            return self.condition(config, given, Reading())[None]
        return (np.arange(count) % config["classes"]).astype(_dtype(config["classes"]))

    def source(self, images: Any, conditions: Any) -> Any:
        from attnflow_keras.data.sources import Classed, WholePictures

        return Classed(WholePictures(images, conditions, flip=False))

    def evaluate(self, flow: Any, images: Any, conditions: Any, how: Evaluation) -> dict[str, Any]:
        """Accuracy of Bayes classification by the likelihoods of the classes."""
        from attnflow_keras.metrics import evaluate_classification

        classes = flow.get_config()["classes"]
        with how.working("scoring each class", classes * how.draws * len(images)) as report:
            return evaluate_classification(
                flow, images, conditions, classes, how.split, how.draws, how.seed, progress=report
            )


def _kept(data: str, unreadable: Any) -> Any:
    """Which images of a folder were read; None for all."""
    from attnflow_keras.data.picture_files import Notes, find_pictures

    if unreadable is None or not unreadable.errors:
        return None
    return [file not in unreadable.errors for file in find_pictures(data, Notes(data))]


def read_classes(path: Path, images: int, classes: int) -> Any:
    """The classes of so many images, from a text file of integers or a ``.npy`` file.

    Raises:
        OSError: no such file.
        ValueError: anything but one integer of 0 to ``classes - 1`` for each image.
    """
    import numpy as np

    if not path.is_file():
        raise FileNotFoundError(f"--labels: no file {path}")
    try:
        if path.suffix.lower() == ".npy":
            found = np.load(path, allow_pickle=False)
        else:
            found = np.array([int(line) for line in path.read_text("utf-8").split()], "int64")
    except (OSError, ValueError, OverflowError) as error:
        raise ValueError(f"--labels: {path} must hold an integer for each image") from error
    if found.dtype.kind not in "iu" or found.shape != (images,):
        raise ValueError(
            f"--labels: {path} must hold an integer for each of {images} images; got "
            f"{found.dtype} of shape {found.shape}"
        )
    if found.min() < 0 or found.max() >= classes:
        wrong = found.min() if found.min() < 0 else found.max()
        raise ValueError(f"--labels: {path} must hold classes 0 to {classes - 1}; got {wrong}")
    return found.astype(_dtype(classes))


def _dtype(classes: int) -> str:
    return "uint8" if classes <= 256 else "int32"
