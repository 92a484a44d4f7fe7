"""What the benchmarks accept on their command lines, checked before TensorFlow is imported."""

import argparse
import math

from attnflow_keras.core.policies import POLICIES as PRECISIONS  # noqa: F401 (for the parsers)
from zoo import ZooError, info

# How float32 is multiplied: accelerators may do so in TensorFloat-32.
PRODUCTS = ("float32", "tf32")


def count(text: str) -> int:
    """An integer of at least 1."""
    return _integer(text, 1)


def seed(text: str) -> int:
    """An integer of at least 0."""
    return _integer(text, 0)


def seconds(text: str) -> float:
    """A finite number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0; got {text!r}")
    return value


def trained_entry(text: str) -> str:
    """Name of an entry with weights."""
    try:
        trained = info(text)["pretrained"]
    except ZooError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not trained:
        raise argparse.ArgumentTypeError(f"entry {text!r} has no weights; train it first")
    return text


def _integer(text: str, least: int) -> int:
    if not text.lstrip("-").isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"must be an integer of at least {least}; got {text!r}")
    return int(text)
