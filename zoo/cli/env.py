"""``attnflow env``."""

import importlib.metadata
import os
import platform
from typing import Any

from rich.text import Text

from zoo.cli.common import Json, import_backend
from zoo.cli.console import console, print_json, working

PACKAGES = (
    "attnflow-keras",
    "numpy",
    "keras",
    "tensorflow",
    "tensorflow-probability",
    "jax",
    "tfp-nightly",
    "onnx",
    "tf2onnx",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "fastapi",
    "uvicorn",
    "huggingface_hub",
)
VARIABLES = ("KERAS_BACKEND", "ATTNFLOW_DATA", "ATTNFLOW_ZOO", "HF_HUB_OFFLINE", "HF_ENDPOINT")


def env_command(as_json: Json = False) -> None:
    """Print versions, devices and execution providers, for bug reports."""
    with working("looking for devices"):
        found = environment()
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        rows = value if isinstance(value, dict) else {"": value}
        for key, text in rows.items():
            shown = ", ".join(text) if isinstance(text, list) else text
            console.print(Text(f"{key or name:24} {shown if shown is not None else 'none'}"))


def environment() -> dict[str, Any]:
    """Versions of packages, settings, devices and execution providers."""
    return {
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()} ({platform.machine()})",
        "cores": str(os.cpu_count()),
        "packages": {name: _version(name) for name in PACKAGES},
        "variables": {name: os.environ.get(name) for name in VARIABLES},
        "device": import_backend() or None,
        "onnxruntime_providers": _providers(),
    }


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _providers() -> list[str] | None:
    try:
        import onnxruntime
    except ImportError:
        return None
    return list(onnxruntime.get_available_providers())
