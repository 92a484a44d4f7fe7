"""Shared by the scores of conditional flows: samples by seed, and summaries."""

from collections.abc import Callable
from typing import Any

import numpy as np

from attnflow_keras.core.checks import check_integer

# Images sampled in one call, which holds the features of that many conditions.
BLOCK = 128


class ConditionSampler:
    """Sample images for conditions in blocks of 128, each with the next seed.

    Args:
        flow: a conditional flow.
        seed: seed of the first block.
        batch_size: maximum batch size.
        progress: called with the number of images done.
    """

    def __init__(
        self, flow: Any, seed: int, batch_size: int, progress: Callable[[int], None] | None
    ) -> None:
        self.flow, self.seed, self.batch_size, self.progress = flow, seed, batch_size, progress
        self.done = 0

    def blocks(self, conditions: np.ndarray, temperature: float) -> Any:
        """Yield each block as a slice, with one image for each of its conditions."""
        for start in range(0, len(conditions), BLOCK):
            part = slice(start, min(start + BLOCK, len(conditions)))
            drawn = self.flow.sample(
                condition=conditions[part],
                temperature=temperature,
                seed=self.seed,
                batch_size=self.batch_size,
            )
            self.seed += 1
            yield part, drawn
            # The caller has scored them by now.
            self.done += part.stop - start
            self.report(0)

    def report(self, more: int) -> None:
        """Tell how many images are done, ``more`` besides those counted."""
        if self.progress is not None:
            self.progress(self.done + more)


def summary(values: np.ndarray) -> dict[str, Any]:
    """Mean and standard error of the finite values, and how many are infinite."""
    finite = values[np.isfinite(values)]
    error = finite.std(ddof=1) / np.sqrt(len(finite)) if len(finite) > 1 else 0.0
    found: dict[str, Any] = {
        "mean": round(float(finite.mean()), 5) if len(finite) else None,
        "standard_error": round(float(error), 5),
    }
    if len(finite) < len(values):
        found["infinite"] = len(values) - len(finite)
    return found


def check_counts(**least: tuple[Any, int]) -> None:
    """Raise ValueError unless each is an integer of at least the number beside it."""
    for name, (value, minimum) in least.items():
        check_integer(name, value, minimum)
