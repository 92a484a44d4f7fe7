"""Photos given label maps."""

from pathlib import Path
from typing import Any

from attnflow_keras.core.untrusted import read_json
from zoo.tasks.base import Evaluation, Pair, Reading, WithLabels


class LabelToPhoto(WithLabels):
    """Photos given label maps: classes of the configuration's ``palette``, or any colours."""

    name = "label-to-photo"
    rank = 2
    command = "translate"
    pipeline = "image-to-image"
    labels = "photos need their label maps; name their folder"
    result = "translation"
    title = "Photos of label maps"
    lpips = True
    needs_data_set = "no class means, and no classifier but one by --segmenter"

    def of_files(self, config: dict[str, Any], data: str, reading: Reading) -> Pair:
        from attnflow_keras.data import load_labelled_folder

        # Exports of an entry with a palette take classes only.
        pairs = load_labelled_folder(
            data,
            str(reading.labels),
            config["image_shape"],
            reading.resize,
            config.get("palette"),
            reading.background,
            reading.unreadable,
        )
        return pairs["image"], pairs["condition"]

    def condition(self, config: dict[str, Any], given: Any, reading: Reading) -> Any:
        """A label map's file: what the flow takes, resized where that is wanted."""
        from attnflow_keras.data import load_label_map
        from attnflow_keras.data.picture_files import fitted

        own, palette = config.get("palette"), reading.palette
        # By the user's palette an indexed image is read as colours.
        labels = load_label_map(given, own, colours=palette is not None)
        if reading.resize:
            labels = fitted(labels, config["image_shape"][:2], True, given, notes=reading.notes)
        return _as_taken(labels, given, own, palette, reading.nearest)

    def source(self, images: Any, conditions: Any) -> Any:
        from attnflow_keras.data.sources import Labelled, WholePictures

        # As they are: a mirrored street sign is none.
        return Labelled(WholePictures(images, conditions, flip=False))

    def evaluate(self, flow: Any, images: Any, conditions: Any, how: Evaluation) -> dict[str, Any]:
        """Beside the mean colour of each class, with a pixel classifier."""
        from attnflow_keras.data import load_paired
        from attnflow_keras.metrics import class_means, evaluate_translation, likeness
        from attnflow_keras.metrics.translation import TEMPERATURES

        judge = _segmenter(flow, how)
        shown = how.samples if how.samples > 1 else 0
        total = len(images) * (len(TEMPERATURES) + shown + how.draws)
        with how.working("drawing", total) as report:
            result = evaluate_translation(
                flow,
                images,
                conditions,
                how.split,
                draws=how.draws,
                seed=how.seed,
                samples=how.samples,
                lpips=how.lpips,
                segmenter=judge,
                progress=report,
            )
        result["baselines"] = {}
        if how.dataset is not None and flow.palette is not None and conditions.ndim == 3:
            known = load_paired(how.dataset, "train")
            means = class_means(known["image"], known["condition"], len(flow.palette))
            result["baselines"]["class means"] = likeness(
                means[conditions], images, conditions, how.lpips, judge
            )
        return result


def _segmenter(flow: Any, how: Evaluation) -> Any:
    """A pixel classifier for the classes of the flow's palette; None without a palette.

    None, too, for the user's own images and no file of a classifier: there is nothing to train
    it on but what it would judge.
    """
    from attnflow_keras.data import data_set
    from attnflow_keras.metrics import Segmenter
    from attnflow_keras.metrics.segmentation import STEPS

    path = how.segmenter
    if flow.palette is None:
        return None
    judge = Segmenter(len(flow.palette))
    if path is not None and path.exists():
        judge.load(path)
        return judge
    if how.dataset is None:
        if path is not None:
            raise FileNotFoundError(
                f"--segmenter: no file {path}; with --data there are no other photos to train it "
                "on. 'attnflow evaluate' of the entry's own data set writes one"
            )
        return None
    with how.working("training the pixel classifier", STEPS) as report:
        judge.train(data_set(how.dataset).training(), progress=report)
    if path is not None:
        judge.save(path)
    return judge


def _as_taken(labels: Any, path: Any, own: Any, given: Any, nearest: bool) -> Any:
    """What the entry's flow takes: classes where it has a palette, else colours."""
    from attnflow_keras.data.label_maps import known_classes

    classes = labels.ndim == 2
    if own is not None:
        if classes and given is not None:
            raise ValueError(
                f"--palette says which class a colour is; {path} holds classes already"
            )
        try:
            return known_classes(labels, own if given is None else given, path, nearest)
        except ValueError as error:
            hint = "" if classes else ". --palette names others, --nearest takes the nearest ones"
            raise ValueError(f"{error}{hint}") from error
    if not classes:
        if given is not None or nearest:
            raise ValueError(
                f"--palette and --nearest: {path} is of colours and the entry takes any"
            )
        return labels
    if given is None:
        raise ValueError(
            f"{path} is a map of classes and the entry has no palette; give one with --palette, "
            "or an image of colours"
        )
    return given[known_classes(labels, given, path)]


def read_palette(path: Path, own: Any) -> Any:
    """The user's palette, uint8 ``(classes, 3)``."""
    import numpy as np

    if not path.is_file():
        raise FileNotFoundError(f"--palette: no file {path}")
    try:
        colours = read_json(path)
    except ValueError as error:
        raise ValueError(f"--palette: {path} is no JSON: {error}") from error
    try:
        table = np.asarray(colours)
    except ValueError:  # rows of several lengths
        table = np.zeros(0)
    if table.ndim != 2 or table.shape[1] != 3 or table.dtype.kind != "i":
        raise ValueError(f"--palette: {path} must hold a list of [red, green, blue]")
    if table.min() < 0 or table.max() > 255:
        raise ValueError(f"--palette: {path} must hold numbers of 0 to 255; got {table.max()}")
    most = 256 if own is None else len(own)
    if len(table) > most:
        raise ValueError(
            f"--palette: {path} must hold at most {most} colours, one for each class; got "
            f"{len(table)}"
        )
    return table.astype("uint8")
