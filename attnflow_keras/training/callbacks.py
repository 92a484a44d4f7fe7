"""Callbacks of a training run: curve and checkpoint."""

import csv
import io
import math
import time
import warnings
from pathlib import Path
from typing import Any

import keras

from attnflow_keras import backend
from attnflow_keras.core import weights_file
from attnflow_keras.core.files import write_file
from attnflow_keras.training.recipe import Recipe

CHECKPOINT = "checkpoint.weights.h5"
CURVE = "curve.csv"
COUNTS = ("epoch", "step", "images")
COLUMNS = (*COUNTS, "seconds", "learning_rate")
VALUES = ("bits_per_dim", "val_bits_per_dim")


class Checkpoint(keras.callbacks.Callback):
    """Write weights, optimizer and averaged weights after every epoch, in one file.

    The file is complete or absent: it is written to a temporary name and renamed. Weights of an
    epoch whose loss is not finite are never written; ``diverged`` records that there was one.
    """

    def __init__(self, folder: Path, name: str = CHECKPOINT) -> None:
        super().__init__()
        self.path = folder / name
        self.diverged = False

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if math.isfinite((logs or {}).get("loss", 0.0)):
            save_weights(self.model, self.path, epoch + 1)
        else:
            self.diverged = True


class LastStep(keras.callbacks.Callback):
    """End the run at its last step, inside an epoch."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.steps = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.steps = self.recipe.last_step - self.recipe.step_after(epoch)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        # Keras still validates and calls on_epoch_end.
        if batch + 1 == self.steps:
            self.model.stop_training = True


class Curve(keras.callbacks.Callback):
    """Write ``curve.csv``: one row per epoch, with images seen, seconds of training and metrics.

    Seconds accumulate over interruptions; rows after the epoch that a run resumes at are dropped,
    so the row is written before the checkpoint.
    """

    def __init__(
        self,
        folder: Path,
        recipe: Recipe,
        epoch: int,
        name: str = CURVE,
        values: tuple[str, ...] = VALUES,
    ) -> None:
        super().__init__()
        self.path = folder / name
        self.values = values
        self.recipe = recipe
        self.rows = [row for row in read_curve(self.path) if row["epoch"] <= epoch]
        self.before = self.rows[-1]["seconds"] if self.rows else 0.0
        self.started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        step = self.recipe.step_after(epoch + 1)
        self.rows.append(
            {
                "epoch": epoch + 1,
                "step": step,
                "images": step * self.recipe.batch_size,
                "seconds": round(self.before + time.monotonic() - self.started, 1),
                "learning_rate": float(f"{float(self.model.optimizer.learning_rate):.4g}"),
                **{name: round(float(logs.get(name, math.nan)), 5) for name in self.values},
            }
        )
        if not backend.devices.writes():
            return
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, (*COLUMNS, *self.values))
        writer.writeheader()
        writer.writerows(self.rows)
        write_file(self.path, text.getvalue())


def read_curve(path: Path) -> list[dict[str, float]]:
    """Rows of a ``curve.csv``, as numbers; empty if there is no file.

    Raises:
        ValueError: the file is damaged; the message names its line.
    """
    if not path.exists():
        return []
    rows: list[dict[str, float]] = []
    try:
        with path.open(newline="", encoding="utf-8", errors="replace") as file:
            reader = csv.DictReader(file)
            for row in reader:
                rows.append({key: _number(key, value) for key, value in row.items()})
        if missing := [key for key in COLUMNS if key not in (reader.fieldnames or ())]:
            raise ValueError(f"no column {', '.join(missing)}")
    except (ValueError, csv.Error) as error:
        raise ValueError(
            f"{path} is damaged at line {len(rows) + 2}: {error}. Restore the file, or delete "
            f"{path.parent} to train again"
        ) from error
    return rows


def _number(key: Any, value: Any) -> float:
    """One cell of a curve.

    Raises:
        ValueError: it is no number, or one cell too many or too few.
    """
    if not isinstance(key, str) or not isinstance(value, str):
        raise ValueError("a row must have as many cells as there are titles")
    try:
        return int(float(value)) if key in COUNTS else float(value)
    except (ValueError, OverflowError):
        raise ValueError(f"{key} must be a number; got {value!r:.40}") from None


def save_weights(model: keras.Model, path: Path, epoch: int) -> None:
    """Write a weights file with its epoch, complete or absent; only in one of several processes."""
    # The optimizer's own count is not the epoch: loss scaling skips steps that overflow.
    content = weights_file.weights_bytes(model, {"epoch": epoch})
    # All processes get here, for Keras computes where it reads weights.
    if backend.devices.writes():
        write_file(path, content)


def saved_epoch(path: Path) -> int | None:
    """The epoch in a weights file; None if there is none, or no file."""
    import h5py

    if not path.exists():
        return None
    with h5py.File(path, "r") as file:
        return int(file.attrs["epoch"]) if "epoch" in file.attrs else None


def load_checkpoint(model: keras.Model, path: Path, steps_per_epoch: int) -> int:
    """Load weights and optimizer, which must be built; returns their epoch.

    Raises:
        ValueError: the file does not fit the model or its optimizer.
    """
    with warnings.catch_warnings():
        # Keras only warns when it leaves out the optimizer, and the run would not be the same.
        warnings.filterwarnings("error", message="Skipping variable loading for optimizer")
        try:
            model.load_weights(path)
        except (UserWarning, ValueError, OSError) as error:
            raise ValueError(f"{path} is not a checkpoint of this run: {error}") from error
    epoch = saved_epoch(path)
    if epoch is None:  # a checkpoint of version 0.1.0
        epoch = int(keras.ops.convert_to_numpy(model.optimizer.iterations)) // steps_per_epoch
    return epoch
