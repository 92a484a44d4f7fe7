"""Early stopping that survives interruption: its state is in the curve and one weights file."""

import math
from pathlib import Path
from typing import Any

import keras

from attnflow_keras import backend
from attnflow_keras.training.callbacks import Curve, save_weights, saved_epoch

BEST = "best.weights.h5"


def standing(rows: list[dict[str, float]]) -> tuple[int | None, int]:
    """The best epoch of a curve by validation bits/dim, and the epochs since then.

    The first of equal ones is the best. Where no score is finite, there is no best epoch and
    all epochs count.
    """
    scored = [row for row in rows if math.isfinite(row["val_bits_per_dim"])]
    if not scored:
        return None, len(rows)
    best = min(scored, key=lambda row: row["val_bits_per_dim"])
    return int(best["epoch"]), int(rows[-1]["epoch"] - best["epoch"])


class EarlyStopping(keras.callbacks.Callback):
    """Keep the averaged weights of the best epoch, and stop after ``patience`` worse ones.

    Must come after ``curve`` and the checkpoint in the list of callbacks: if a run is killed before
    the best weights are written, :meth:`resume` takes them from the checkpoint.
    """

    def __init__(self, folder: Path, curve: Curve, patience: int) -> None:
        super().__init__()
        self.path = folder / BEST
        self.curve = curve
        self.patience = patience
        self._copy: Any = None

    @property
    def is_over(self) -> bool:
        """Whether the curve has gone on for ``patience`` epochs without a new best."""
        return standing(self.curve.rows)[1] >= self.patience

    def resume(self, flow: Any, epoch: int) -> None:
        """Check the best weights of a run whose checkpoint, of ``epoch``, the flow holds.

        Raises:
            ValueError: the file of the best weights is missing, or of another epoch.
        """
        best, _ = standing(self.curve.rows)
        found = saved_epoch(self.path)
        if best is None or found == best:
            return
        if best != epoch:
            raise ValueError(
                f"{self.path} must hold the weights of epoch {best}, the best of "
                f"{self.curve.path.name}; "
                + ("it is missing" if found is None else f"it holds epoch {found}")
                + f". Delete {self.path.parent} to train again"
            )
        self._keep(flow, epoch)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if standing(self.curve.rows)[0] == epoch + 1:
            self._keep(self.model, epoch + 1)
        if self.is_over:
            self.model.stop_training = True

    def load_best(self, flow: Any) -> None:
        """Put the best averaged weights into the flow.

        Raises:
            FloatingPointError: no epoch had a finite validation score.
        """
        if standing(self.curve.rows)[0] is None:
            raise FloatingPointError(f"{self.curve.path} has no finite val_bits_per_dim")
        backend.devices.wait_for_all("best weights")
        copy = self._uncompiled(flow)
        copy.load_weights(self.path)
        flow.set_weights(copy.get_weights())

    def _keep(self, flow: Any, epoch: int) -> None:
        copy = self._uncompiled(flow)
        now = flow.get_weights()
        flow.optimizer.finalize_variable_values(flow.trainable_variables)
        copy.set_weights(flow.get_weights())
        flow.set_weights(now)
        save_weights(copy, self.path, epoch)

    def _uncompiled(self, flow: Any) -> Any:
        # A compiled flow's file would hold the optimizer too.
        if self._copy is None:
            self._copy = flow.clone()
        return self._copy
