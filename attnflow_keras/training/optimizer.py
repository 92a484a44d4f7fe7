"""The optimizer of a recipe."""

from typing import Any

import keras

from attnflow_keras.training.schedules import ConstantThenLinear

# Where the rate is halved, as fractions of the steps (SRFlow).
HALVINGS = (0.5, 0.75, 0.9, 0.95)
# Parts of the names of weights that are no matrices.
NOT_DECAYED = ["bias", "gamma", "beta", "positions", "embeddings", "scale", "shift", "mean"]


# A Recipe, which has this as a method.
Settings = Any


def make_optimizer(recipe: Settings) -> keras.optimizers.Optimizer:
    """A new optimizer with warm-up, schedule, clipping and averaged weights."""
    options: dict[str, Any] = {
        "beta_2": recipe.beta_2,
        "global_clipnorm": recipe.clipnorm,
        "use_ema": recipe.ema > 0,
        "ema_momentum": recipe.ema if recipe.ema > 0 else 0.99,
    }
    if recipe.weight_decay:
        options["weight_decay"] = recipe.weight_decay
    if recipe.optimizer == "adamax":
        optimizer = keras.optimizers.Adamax(_schedule(recipe), epsilon=1e-8, **options)
    else:
        optimizer = keras.optimizers.Adam(_schedule(recipe), **options)
    if recipe.weight_decay:
        optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    return optimizer


def _schedule(recipe: Settings) -> keras.optimizers.schedules.LearningRateSchedule:
    rate, steps = recipe.learning_rate, recipe.steps
    if recipe.schedule == "linear":
        return ConstantThenLinear(rate, steps)
    if recipe.schedule == "halving":
        return keras.optimizers.schedules.PiecewiseConstantDecay(
            [round(part * steps) for part in HALVINGS],
            [rate * 0.5**i for i in range(len(HALVINGS) + 1)],
        )
    warmup = min(recipe.warmup_steps, steps - 1)
    return keras.optimizers.schedules.CosineDecay(
        0.0 if warmup else rate,
        max(steps - warmup, 1),
        # A cosine from 1 to 1 is the constant.
        alpha=recipe.final_fraction if recipe.schedule == "cosine" else 1.0,
        warmup_target=rate if warmup else None,
        warmup_steps=warmup,
    )
