"""Small models of unconditional images, trained briefly on the data at hand."""

from typing import Any

from zoo.reproduction.references import RECIPE
from zoo.reproduction.table import Definition

# A mARFlow of 0.2 million parameters, and a training of some minutes on two cores.
SMALL: dict[str, Any] = {"steps": [2, 4], "width": [16, 32], "components": [4, 4]}
SHORT: dict[str, Any] = {
    "steps": 1500,
    "stop_step": None,
    "steps_per_epoch": 300,
    "warmup_steps": 100,
    "ema": 0.99,
    "batch_size": 32,
    "augment": None,
    "patience": None,
}


def digits(**config: Any) -> Definition:
    """A small flow over digits."""
    return Definition("marflow-mnist", {**SMALL, **config}, SHORT)


def itrans(entry: str = "marflow-mnist", **config: Any) -> Definition:
    """The same with iTrans."""
    options = {"attention": "itrans", "heads": 2, "grid": [[2, 2], [7, 1]], **config}
    return Definition(entry, {**SMALL, **options}, SHORT)


def clothes(**config: Any) -> Definition:
    """A small flow over pictures of clothes."""
    return Definition("attnflow-imap-fashion-mnist", {**SMALL, **config}, SHORT)


def dcgan(entry: str) -> Definition:
    """A DCGAN, which sees the same images as the flows."""
    return Definition(entry, {"width": 32}, {**SHORT, **RECIPE}, "DCGAN")


def causal(entry: str) -> Definition:
    """One block of causal attention, of no more weights than the others."""
    options = {"layers": 2, "width": 64, "group": 6, "components": 5, "dropout": 0.0}
    return Definition(entry, options, SHORT)
