"""Last steps of a run, in which the picture at temperature 0 counts too."""

import dataclasses
from pathlib import Path
from typing import Any

import keras

from attnflow_keras.training.callbacks import Checkpoint, Curve, LastStep, load_checkpoint
from attnflow_keras.training.order import batches
from attnflow_keras.training.recipe import Recipe

CHECKPOINT = "mode.weights.h5"
CURVE = "mode-curve.csv"
VALUES = ("bits_per_dim", "mode_error", "val_bits_per_dim", "val_mode_error")


def train_mode(
    flow: Any,
    recipe: Recipe,
    images: Any,
    validation: Any,
    folder: Path,
    verbose: Any,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    """Train a flow for ``recipe.mode_steps`` more steps, or go on from the checkpoint there.

    The likelihood is a matter of typical latents; what the flow decodes from latents of 0, which
    no picture has, is left to chance. Here its mean absolute error is added to the loss
    (``Flow.mode_weight``). Adam, at a rate that falls from ``recipe.mode_rate`` to 0 along a
    cosine. Writes ``mode.weights.h5`` and ``mode-curve.csv`` after every epoch.

    Args:
        flow: a conditional flow, trained.
        recipe: the settings of the run.
        images: a source of dicts of ``image`` and ``condition``.
        validation: such a dict, or None.
        folder: folder of the run.
        verbose: as in ``fit``.
        callbacks: further callbacks.

    Raises:
        FloatingPointError: the loss became NaN or Inf.
    """
    steps = recipe.mode_steps
    own = dataclasses.replace(
        recipe,
        steps=steps,
        stop_step=None,
        steps_per_epoch=min(recipe.steps_per_epoch, steps),
    )
    rate = keras.optimizers.schedules.CosineDecay(recipe.mode_rate, steps)
    flow.mode_weight = recipe.mode_weight
    try:
        flow.compile(
            optimizer=keras.optimizers.Adam(rate, global_clipnorm=recipe.clipnorm),
            jit_compile=recipe.jit,
        )
        flow.optimizer.build(flow.trainable_variables)
        epoch = 0
        if (folder / CHECKPOINT).exists():
            epoch = load_checkpoint(flow, folder / CHECKPOINT, own.steps_per_epoch)
        if epoch >= own.epochs:
            return
        checkpoint = Checkpoint(folder, CHECKPOINT)
        short = [LastStep(own)] if own.last_step % own.steps_per_epoch else []
        first = recipe.last_step + epoch * own.steps_per_epoch
        flow.fit(
            iter(batches(images, own.batch_size, own.seed, first, own.augment)),
            shuffle=False,
            steps_per_epoch=own.steps_per_epoch,
            epochs=own.epochs,
            initial_epoch=epoch,
            validation_data=validation,
            validation_batch_size=64,
            callbacks=[*short, Curve(folder, own, epoch, CURVE, VALUES), checkpoint, *callbacks],
            verbose=verbose,
        )
    finally:
        flow.mode_weight = 0.0
    if checkpoint.diverged:
        raise FloatingPointError(
            "training of the picture at temperature 0 stopped at a loss that is not finite; give "
            "a lower mode_rate"
        )
