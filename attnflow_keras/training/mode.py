"""Zero-latent steps: last steps of a run that also minimize the error of the zero-temperature
sample."""

from pathlib import Path
from typing import Any

import keras

from attnflow_keras.training.phase import Phase, phase_recipe, run_phase
from attnflow_keras.training.recipe import Recipe

CHECKPOINT = "mode.weights.h5"
CURVE = "mode-curve.csv"
PHASE = Phase(
    subject="the zero-temperature sample",
    checkpoint=CHECKPOINT,
    curve=CURVE,
    values=("bits_per_dim", "mode_error", "val_bits_per_dim", "val_mode_error"),
    rate_setting="mode_rate",
)


def train_mode(
    flow: Any,
    recipe: Recipe,
    images: Any,
    validation: Any,
    folder: Path,
    verbose: Any,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    """Train a flow for ``recipe.mode_steps`` more steps, or resume from the checkpoint there.

    The likelihood is a matter of typical latents; what the flow decodes from zero latents, which
    no image has, is left to chance. Here its mean absolute error is added to the loss
    (``mode_weight`` of ``Flow.compile``). Adam, at a rate that falls from ``recipe.mode_rate`` to
    0 along a cosine. Writes ``mode.weights.h5`` and ``mode-curve.csv`` after every epoch.

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
    rate = keras.optimizers.schedules.CosineDecay(recipe.mode_rate, recipe.mode_steps)
    common = {"jit_compile": recipe.jit, "noise_seed": recipe.seed}
    flow.compile(
        keras.optimizers.Adam(rate, global_clipnorm=recipe.clipnorm),
        mode_weight=recipe.mode_weight,
        **common,
    )
    own = phase_recipe(recipe, recipe.mode_steps)
    try:
        run_phase(
            flow, PHASE, own, images, validation, folder, recipe.last_step, verbose, callbacks
        )
    finally:
        flow.compile(flow.optimizer, **common)
