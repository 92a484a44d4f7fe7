"""What ``attnflow train`` shows of a run: stages, steps within an epoch, a line an epoch."""

import math
import time
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import keras

from zoo.cli.console import Report, console, working

# Seconds that one trainable variable adds until the first step is done, on two busy CPU cores,
# without XLA and with it.
TRACING = 0.15
COMPILING = 0.9

# Seconds between two looks at the metrics, which wait for the device.
LOOK = 0.5


class TrainingProgress(keras.callbacks.Callback):
    """Show how far ``fit`` is; a context manager, so that nothing is left on the terminal.

    Args:
        jit: whether the steps are compiled with XLA.
    """

    def __init__(self, jit: bool) -> None:
        super().__init__()
        self.jit = jit
        self._stack = ExitStack()
        self._report: Report | None = None
        self._epoch = 0
        self._began = self._looked = 0.0
        self._traced = False
        self._validated = False

    def __enter__(self) -> "TrainingProgress":
        self._show("setting up")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def on_train_begin(self, logs: Any = None) -> None:
        self._traced = self._validated = False

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self._epoch, self._began = epoch + 1, time.monotonic()
        if self._traced:
            self._show(self._name, self.params["steps"])
        else:
            self._show(f"{self._name}: {self._first}")

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not self._traced:
            self._traced = True
            self._show(self._name, self.params["steps"])
        assert self._report is not None
        now = time.monotonic()
        if now - self._looked > LOOK:
            self._looked = now
            self._report.update(f"{self._name}, {_figures(logs)}")
        self._report(batch + 1)

    def on_test_begin(self, logs: Any = None) -> None:
        first = "" if self._validated else f" ({self._first})"
        self._validated = True
        self._show(f"{self._name}: validating{first}")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._stack.close()
        seconds = time.monotonic() - self._began
        console.print(f"{self._name}: {_figures(logs)}, {seconds:.0f} s")
        self._show("writing the checkpoint")

    def on_train_end(self, logs: Any = None) -> None:
        self._show("finishing")

    @property
    def _name(self) -> str:
        return f"epoch {self._epoch}/{self.params['epochs']}"

    @property
    def _first(self) -> str:
        """What takes the time of a first step."""
        each = COMPILING if self.jit else TRACING
        minutes = math.ceil(each * len(self.model.trainable_variables) / 60)
        unit = "minute" if minutes == 1 else "minutes"
        how = "compiling with XLA" if self.jit else "compiling"
        return f"{how}, may take {minutes} {unit}"

    def _show(self, text: str, total: float | None = None) -> None:
        self._stack.close()
        self._report = self._stack.enter_context(working(text, total))


def _figures(logs: dict[str, Any] | None) -> str:
    """Metrics as text; those of validation images last."""
    parts = []
    for name, value in sorted((logs or {}).items(), key=lambda pair: pair[0].startswith("val_")):
        if name.removeprefix("val_") != "loss":
            where = "validation " if name.startswith("val_") else ""
            parts.append(f"{where}{name.removeprefix('val_')} {float(value):.4g}")
    return ", ".join(parts)
