"""Invertible attention and the flows built with it, for Keras 3."""

import importlib
from typing import Any

__version__ = "0.1.0"

_SUBMODULES = (
    "bijectors",
    "data",
    "layers",
    "metrics",
    "models",
    "networks",
    "priors",
    "runtime",
    "training",
)

__all__ = ["__version__", *_SUBMODULES]


def __getattr__(name: str) -> Any:
    # Submodules load on first use: most of them import TensorFlow, which takes seconds.
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
