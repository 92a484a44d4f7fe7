"""Zero-latent steps, the last of a run, which also train the zero-temperature sample."""

from pathlib import Path
from typing import Any

import keras

from attnflow_keras import backend
from attnflow_keras.training.phase import Phase, phase_recipe, run_phase
from attnflow_keras.training.recipe import Recipe

CHECKPOINT = "zero-latent.weights.h5"
CURVE = "zero-latent-curve.csv"
PHASE = Phase(
    subject="the zero-temperature sample",
    checkpoint=CHECKPOINT,
    curve=CURVE,
    values=("bits_per_dim", "zero_latent_error", "val_bits_per_dim", "val_zero_latent_error"),
    rate_setting="zero_latent_rate",
)


def train_zero_latent(
    flow: Any,
    recipe: Recipe,
    images: Any,
    validation: Any,
    folder: Path,
    verbose: Any,
    callbacks: list[keras.callbacks.Callback],
) -> None:
    """Train a flow for ``recipe.zero_latent_steps`` more steps, or resume from their checkpoint.

    The likelihood depends on typical latents, and hardly constrains the image decoded from zero
    latents. These steps add its mean absolute error to the loss (``zero_latent_weight`` of
    ``Flow.compile``). The optimizer is Adam, with a rate that falls from
    ``recipe.zero_latent_rate`` to 0 along a cosine. Writes ``zero-latent.weights.h5`` and
    ``zero-latent-curve.csv`` after every epoch.

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
    rate = keras.optimizers.schedules.CosineDecay(recipe.zero_latent_rate, recipe.zero_latent_steps)
    jit = recipe.jit and backend.devices.can_jit(flow)
    common = {"jit_compile": jit, "noise_seed": recipe.seed, "remat": recipe.remat}
    flow.compile(
        keras.optimizers.Adam(rate, global_clipnorm=recipe.clipnorm),
        zero_latent_weight=recipe.zero_latent_weight,
        **common,
    )
    own = phase_recipe(recipe, recipe.zero_latent_steps)
    try:
        run_phase(
            flow, PHASE, own, images, validation, folder, recipe.last_step, verbose, callbacks
        )
    finally:
        flow.compile(flow.optimizer, **common)
