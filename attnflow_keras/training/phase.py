"""A short run before or after the main one, with its own checkpoint and curve."""

import dataclasses
from pathlib import Path
from typing import Any, NamedTuple

import keras

from attnflow_keras.training.callbacks import Checkpoint, Curve, LastStep, load_checkpoint
from attnflow_keras.training.recipe import Recipe
from attnflow_keras.training.sharing import own_batches, validation_batch


class Phase(NamedTuple):
    """Description of a phase: its name in errors, files, columns and rate."""

    subject: str
    checkpoint: str
    curve: str
    values: tuple[str, ...]
    rate_setting: str


def phase_recipe(recipe: Recipe, steps: int) -> Recipe:
    """The recipe of a phase of ``steps`` steps."""
    return dataclasses.replace(
        recipe,
        steps=steps,
        stop_step=None,
        steps_per_epoch=min(recipe.steps_per_epoch, steps),
        freeze_steps=0,
    )


def run_phase(
    model: keras.Model,
    phase: Phase,
    recipe: Recipe,
    images: Any,
    validation: Any,
    folder: Path,
    first_step: int = 0,
    verbose: Any = "auto",
    callbacks: list[keras.callbacks.Callback] | None = None,
) -> None:
    """Fit a compiled model for the steps of a phase, or resume from the phase's checkpoint.

    Args:
        model: a compiled model; its optimizer is built here.
        phase: names of files and columns.
        recipe: see :func:`phase_recipe`.
        images: a source of dicts of ``image`` and ``condition``.
        validation: what ``fit`` takes as validation data, or None.
        folder: folder of the run.
        first_step: the step of the data order at which the phase starts.
        verbose: as in ``fit``.
        callbacks: further callbacks.

    Raises:
        FloatingPointError: the loss became NaN or Inf.
    """
    model.optimizer.build(model.trainable_variables)
    path = folder / phase.checkpoint
    epoch = load_checkpoint(model, path, recipe.steps_per_epoch) if path.exists() else 0
    if epoch >= recipe.epochs:
        return
    checkpoint = Checkpoint(folder, phase.checkpoint)
    curve = Curve(folder, recipe, epoch, phase.curve, phase.values)
    short = [LastStep(recipe)] if recipe.last_step % recipe.steps_per_epoch else []
    first = first_step + epoch * recipe.steps_per_epoch
    model.fit(
        iter(own_batches(images, recipe, first)),
        shuffle=False,
        steps_per_epoch=recipe.steps_per_epoch,
        epochs=recipe.epochs,
        initial_epoch=epoch,
        validation_data=validation,
        validation_batch_size=validation_batch(model, 64),
        callbacks=[*short, curve, checkpoint, *(callbacks or [])],
        verbose=verbose,
    )
    if checkpoint.diverged:
        raise FloatingPointError(
            f"training of {phase.subject} stopped at a loss that is not finite; give a lower "
            f"{phase.rate_setting}"
        )
