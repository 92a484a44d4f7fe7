"""Callbacks of a training run: checkpoint and curve."""

import csv
import math
import time
from pathlib import Path
from typing import Any

import keras

CHECKPOINT = "checkpoint.weights.h5"
CURVE = "curve.csv"
COLUMNS = (
    "epoch",
    "step",
    "images",
    "seconds",
    "learning_rate",
    "bits_per_dim",
    "val_bits_per_dim",
)


class Checkpoint(keras.callbacks.Callback):
    """Write weights, optimizer and averaged weights after every epoch, in one file.

    The file is complete or not there: it is written beside and renamed. The step is that of
    the optimizer inside. Weights that are not finite are never written.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if math.isfinite((logs or {}).get("loss", 0.0)):
            temporary = self.folder / f"part.{CHECKPOINT}"
            self.model.save_weights(temporary, overwrite=True)
            temporary.replace(self.folder / CHECKPOINT)


class Curve(keras.callbacks.Callback):
    """Keep ``curve.csv``: one row an epoch, with images seen and seconds of training.

    Seconds go on over interruptions; rows after the step that a run resumes at are dropped.
    """

    def __init__(self, folder: Path, batch_size: int, steps_per_epoch: int, epoch: int) -> None:
        super().__init__()
        self.path = folder / CURVE
        self.batch_size = batch_size
        self.steps_per_epoch = steps_per_epoch
        self.rows = [row for row in read_curve(self.path) if row["epoch"] <= epoch]
        self.before = self.rows[-1]["seconds"] if self.rows else 0.0
        self.started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        step = (epoch + 1) * self.steps_per_epoch
        self.rows.append(
            {
                "epoch": epoch + 1,
                "step": step,
                "images": step * self.batch_size,
                "seconds": round(self.before + time.monotonic() - self.started, 1),
                "learning_rate": float(f"{float(self.model.optimizer.learning_rate):.4g}"),
                "bits_per_dim": round(float(logs["bits_per_dim"]), 5),
                "val_bits_per_dim": round(float(logs.get("val_bits_per_dim", math.nan)), 5),
            }
        )
        temporary = self.path.with_name(f"part.{self.path.name}")
        with temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(self.rows)
        temporary.replace(self.path)


def read_curve(path: Path) -> list[dict[str, float]]:
    """Rows of a ``curve.csv``, as numbers; none if the file is not there."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
