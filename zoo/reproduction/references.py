"""Models of a table that are no flows: how they are trained, and what draws from them."""

import sys
from pathlib import Path
from typing import Any

from attnflow_keras.core.files import write_json
from attnflow_keras.core.untrusted import read_json

# Classes of zoo.gans, which is not imported for their names: it imports Keras.
GANS = ("DCGAN", "ESRGAN", "Pix2Pix")
BICUBIC = "Bicubic"
REFERENCES = (*GANS, BICUBIC)

# Of what every recipe has, what the training of such a model takes: Adam at a constant rate.
RECIPE: dict[str, Any] = {
    "learning_rate": 2e-4,
    "schedule": "constant",
    "warmup_steps": 0,
    "ema": 0.0,
    "clipnorm": None,
    "augment": None,
    "jit": False,
}


class Bicubic:
    """Bicubic interpolation, with the call of what restores images.

    >>> import numpy as np
    >>> from zoo.reproduction.references import Bicubic
    >>> Bicubic(2).sample(condition=np.zeros((1, 4, 4, 3), "uint8")).shape
    (1, 8, 8, 3)

    Args:
        scale: factor of super-resolution.
    """

    def __init__(self, scale: int) -> None:
        self.scale = scale

    def sample(self, condition: Any, batch_size: int = 64) -> Any:
        """The images, uint8 ``(n, scale h, scale w, c)``, of smaller ones."""
        from attnflow_keras.data import upscale

        return upscale(condition, self.scale)


def command(model: str | None, definition: Path, folder: Path) -> list[str]:
    """The command that trains a model, None for a flow, in a folder.

    Args:
        model: the class that its row names.
        definition: folder of the definition.
        folder: folder of the run.
    """
    module = ("zoo.gans.train",) if model in GANS else ("zoo.cli", "train")
    return [sys.executable, "-m", *module, str(definition), "--out", str(folder)]


def finish_bicubic(folder: Path, files: dict[str, Any]) -> None:
    """Write the result of a run without training."""
    metadata = files["metadata.json"]
    nothing = {"images": 0, "seconds": 0.0, "machine": ""}
    training = {**metadata["training"], **nothing}
    content = {**metadata, "parameters": 0, "training": training, "metrics": []}
    write_json(folder / "entry" / "metadata.json", content)


def load(folder: Path) -> Any:
    """What draws images, of a finished run: a flow, an adversarial model, or interpolation.

    Args:
        folder: folder of the run.
    """
    config = read_json(folder / "definition" / "config.json")
    kind = config["class"]
    if kind == BICUBIC:
        return Bicubic(config["config"]["scale"])
    if kind in GANS:
        import zoo.gans

        # isort: split
        import keras

        return keras.saving.load_model(folder / "entry" / "model.keras")
    import zoo

    return zoo.load(folder / "entry")


def is_flow(model: str | None) -> bool:
    """Whether a row's model has a likelihood."""
    return model not in REFERENCES
