"""Splitting of a training run among devices and processes."""

import math
from typing import Any

import keras

from attnflow_keras import backend
from attnflow_keras.training.order import DrawnImages, OrderedImages, batches, own_rows
from attnflow_keras.training.recipe import Recipe


def check_shares(flow: Any, recipe: Recipe) -> None:
    """Raise ValueError unless the batches of a run can be split evenly among all devices."""
    unit = _unit(flow)
    if recipe.batch_size % unit:
        raise ValueError(
            f"batch_size must be a multiple of {unit}, the number of devices; got "
            f"{recipe.batch_size}"
        )


def own_batches(images: Any, recipe: Recipe, first: int) -> OrderedImages | DrawnImages:
    """This process's part of the batches of a run, from step ``first`` on."""
    share = backend.devices.process()
    return batches(images, recipe.batch_size, recipe.seed, first, recipe.augment, share)


def own_part(flow: Any, validation: Any, count: int | None) -> Any:
    """This process's part of the first ``count`` validation images, as ``fit`` takes them.

    A remainder that can't be split evenly is left out.
    """
    validation = keras.tree.map_structure(lambda part: part[:count], validation)
    unit, share = _unit(flow), backend.devices.process()
    if unit == 1:
        return validation
    first = keras.tree.flatten(validation)[0]
    even = len(first) // unit * unit
    if not even:
        raise ValueError(
            f"validation must hold at least {unit} images, one for each device; got {len(first)}"
        )
    if share[1] > 1:
        # The noise of an image does not depend on who scores it.
        validation = flow._with_noise(validation)
    rows = own_rows(even, share)
    return keras.tree.map_structure(lambda part: part[rows], validation)


def validation_batch(model: Any, size: int) -> int:
    """``size``, rounded up to a multiple of this process's devices."""
    unit = backend.devices.batch_unit(model)
    return math.ceil(size / unit) * unit


def _unit(flow: Any) -> int:
    return backend.devices.batch_unit(flow) * backend.devices.process()[1]
