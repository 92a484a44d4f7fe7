"""Pretrained flows by name.

>>> import zoo
>>> names = zoo.list("*mnist*", pretrained=True)
>>> flow = zoo.load("attnflow-imap-mnist")

Importing this package and listing entries does not import TensorFlow.
"""

from typing import Any

from zoo.errors import ZooError
from zoo.models import register_model
from zoo.registry import add_folder, info, list_entries

__all__ = [
    "ZooError",
    "add_folder",
    "detector",
    "info",
    "list",
    "load",
    "push",
    "register_model",
    "save",
]

list = list_entries


def __dir__() -> Any:
    return __all__


def __getattr__(name: str) -> Any:
    if name in ("load", "save"):
        from zoo import folder

        return getattr(folder, name)
    if name == "detector":
        from zoo.detection import detector

        return detector
    if name == "push":
        from zoo.publishing import push

        return push
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")
