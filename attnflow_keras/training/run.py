"""A training run that can be interrupted at any time and resumes exactly from its checkpoint."""

import contextlib
import importlib.util
from pathlib import Path
from typing import Any

import keras
import numpy as np

from attnflow_keras import backend
from attnflow_keras.core.checks import check_flag
from attnflow_keras.core.extras import install_command
from attnflow_keras.core.files import check_no_file
from attnflow_keras.models import Flow
from attnflow_keras.training.callbacks import (
    CHECKPOINT,
    Checkpoint,
    Curve,
    LastStep,
    load_checkpoint,
)
from attnflow_keras.training.early_stopping import EarlyStopping
from attnflow_keras.training.lock import locked
from attnflow_keras.training.order import Source, batches
from attnflow_keras.training.pretrain import pretrain
from attnflow_keras.training.recipe import Recipe
from attnflow_keras.training.settings import SETTINGS, same_run
from attnflow_keras.training.sharing import check_shares, own_batches, own_part, validation_batch
from attnflow_keras.training.zero_latent import train_zero_latent

TENSORBOARD = "tensorboard"
ADAPT = 256  # images that a new flow adapts to


def train(
    flow: Flow,
    recipe: Recipe,
    images: Any,
    validation: Any,
    folder: str | Path,
    verbose: Any = "auto",
    callbacks: list[keras.callbacks.Callback] | None = None,
    tensorboard: bool = False,
) -> Flow:
    """Train a flow by a recipe, or resume from the checkpoint in the folder.

    After every epoch it validates on the averaged weights and writes ``curve.csv`` and
    ``checkpoint.weights.h5``. At the end the flow holds the averaged weights; with
    ``recipe.patience`` those of the best epoch, which are kept in ``best.weights.h5``. A run that
    was killed and resumed sees the same images and noise as an uninterrupted one. The run ends at
    the recipe's last step; the last epoch may be shorter. Training
    of an encoder comes before, see ``pretrain_steps``, and of the zero-temperature sample after,
    see ``zero_latent_steps``.

    A flow on several devices (``on_devices``) is trained on them, step by step as on one. Of
    several processes each reads its own part of every batch, and the first one writes the files.

    Args:
        flow: the flow, built under the recipe's precision; its optimizer is replaced by the
            recipe's.
        recipe: the settings.
        images: training images, uint8 ``(n, h, w, c)``, or a
            :class:`attnflow_keras.training.order.Source` that draws images or dicts of
            ``image`` and ``condition``.
        validation: validation images or such a dict, or None; of them
            ``recipe.validation_images`` are used.
        folder: where checkpoint, curve and settings go; created if it is not there.
        verbose: progress of ``fit``: ``"auto"``, 0, 1 or 2.
        callbacks: further callbacks.
        tensorboard: write logs for TensorBoard to ``folder/tensorboard``; needs the package
            tensorboard.

    Returns:
        The flow.

    Raises:
        ValueError: an argument of the wrong kind, a batch size that the devices can't share, a
            folder that holds a run with other settings or images or that another training uses,
            a flow of another precision than the recipe's, or patience without validation images.
        FileExistsError: ``folder`` is a file.
        ImportError: ``tensorboard`` without that package.
        FloatingPointError: the loss became NaN or Inf; the last good checkpoint stays.
    """
    if not isinstance(folder, str | Path):
        raise ValueError(f"folder must be a path; got {type(folder).__name__}")
    folder = Path(folder)
    logs = _tensorboard(tensorboard, folder)
    _check(flow, recipe, images, validation)
    check_no_file(folder)
    folder.mkdir(parents=True, exist_ok=True)
    alone = locked(folder) if backend.devices.writes() else contextlib.nullcontext()
    with alone, backend.devices.step_scope(flow):
        same_run(folder / SETTINGS, flow, recipe, images)
        if validation is not None:
            validation = own_part(flow, validation, recipe.validation_images)
        return _train(flow, recipe, images, validation, folder, verbose, logs, callbacks or [])


def _train(
    flow: Flow,
    recipe: Recipe,
    images: Any,
    validation: Any,
    folder: Path,
    verbose: Any,
    logs: list[keras.callbacks.Callback],
    callbacks: list[keras.callbacks.Callback],
) -> Flow:
    if recipe.pretrain_steps and not (folder / CHECKPOINT).exists():
        pretrain(flow, recipe, images, validation, folder, verbose, callbacks)
    flow.compile(
        recipe.make_optimizer(),
        freeze_steps=recipe.freeze_steps,
        noise_seed=recipe.seed,
        remat=recipe.remat,
        jit_compile=recipe.jit and backend.devices.can_jit(flow),
    )
    # Before fit traces a step: Keras would take the loss scale at the start for a constant.
    flow.optimizer.build(flow.trainable_variables)
    epoch = 0
    if (folder / CHECKPOINT).exists():
        epoch = load_checkpoint(flow, folder / CHECKPOINT, recipe.steps_per_epoch)
    elif not flow.is_adapted:
        # A source draws as many as are asked for, even from few pictures.
        count = ADAPT if isinstance(images, Source) else min(ADAPT, len(images))
        start = batches(images, count, recipe.seed)
        flow.adapt(start.batch(0), seed=recipe.seed)

    curve = Curve(folder, recipe, epoch)
    checkpoint = Checkpoint(folder)
    stopping = None
    if recipe.patience is not None:
        stopping = EarlyStopping(folder, curve, recipe.patience)
        stopping.resume(flow, epoch)
    averaging = [keras.callbacks.SwapEMAWeights()] if recipe.ema > 0 else []
    short = [LastStep(recipe)] if recipe.last_step % recipe.steps_per_epoch else []
    # The order matters, see Curve and EarlyStopping.
    own = [*averaging, curve, checkpoint, *([stopping] if stopping else []), *logs]
    if epoch < recipe.epochs and not (stopping and stopping.is_over):
        stream = own_batches(images, recipe, epoch * recipe.steps_per_epoch)
        flow.fit(
            iter(stream),
            shuffle=False,
            steps_per_epoch=min(recipe.steps_per_epoch, recipe.last_step),
            epochs=recipe.epochs,
            initial_epoch=epoch,
            validation_data=validation,
            validation_batch_size=validation_batch(flow, 250),
            callbacks=[*short, *own, *callbacks],
            verbose=verbose,
        )
        if checkpoint.diverged:
            kept = f"the last good checkpoint is {checkpoint.path}"
            raise FloatingPointError(
                "training stopped at a loss that is not finite; "
                + (kept if checkpoint.path.exists() else "there is no good checkpoint yet")
            )
    else:
        flow.optimizer.finalize_variable_values(flow.trainable_variables)
    if stopping is not None:
        stopping.load_best(flow)
    if recipe.zero_latent_steps:
        train_zero_latent(flow, recipe, images, validation, folder, verbose, callbacks)
    return flow


def _check(flow: Any, recipe: Any, images: Any, validation: Any) -> None:
    for name, value, kind in (("flow", flow, Flow), ("recipe", recipe, Recipe)):
        if not isinstance(value, kind):
            raise ValueError(f"{name} must be a {kind.__name__}; got {type(value).__name__}")
    if isinstance(images, Source):
        images = images.draw(1, recipe.seed, 0)
    for name, given in (("images", images), ("validation", validation)):
        if isinstance(given, dict):
            given = given.get("image")
            name = f"{name}['image']"
        if given is not None or name != "validation":
            _check_images(name, given, flow.image_shape)
    for setting in ("pretrain_steps", "freeze_steps"):
        if getattr(recipe, setting) and not hasattr(flow, "traced_regress"):
            raise ValueError(
                f"{setting} is for flows with an encoder; got {getattr(recipe, setting)} and a "
                f"{type(flow).__name__}"
            )
    if recipe.zero_latent_steps and not flow.conditional:
        raise ValueError(
            f"zero_latent_steps is for conditional flows; got {recipe.zero_latent_steps} and a "
            f"{type(flow).__name__}"
        )
    if flow.dtype_policy.name != recipe.precision:
        raise ValueError(
            f"flow must be built under the recipe's precision, {recipe.precision!r}; got a flow "
            f"under {flow.dtype_policy.name!r}. Build it with dtype={recipe.precision!r}, or give "
            f"Recipe(precision={flow.dtype_policy.name!r})"
        )
    check_shares(flow, recipe)
    if recipe.patience is not None and validation is None:
        raise ValueError(
            f"patience needs validation images to score; got patience={recipe.patience} and "
            "validation=None"
        )


def _check_images(name: str, images: Any, shape: tuple[int, ...]) -> None:
    expected = f"{name} must be a uint8 array of shape (n, {', '.join(map(str, shape))})"
    if not isinstance(images, np.ndarray):
        raise ValueError(f"{expected}; got {type(images).__name__}")
    if images.dtype != np.uint8 or images.shape[1:] != tuple(shape) or not len(images):
        raise ValueError(f"{expected}; got {images.dtype} of shape {images.shape}")


def _tensorboard(wanted: bool, folder: Path) -> list[keras.callbacks.Callback]:
    if not check_flag("tensorboard", wanted):
        return []
    check_tensorboard("tensorboard=True")
    return [keras.callbacks.TensorBoard(folder / TENSORBOARD, write_graph=False)]


def check_tensorboard(option: str) -> None:
    """Raise ImportError, which names the option, unless the package tensorboard is installed."""
    # Keras' callback finds out in the middle of the first epoch.
    if importlib.util.find_spec("tensorboard") is None:
        raise ImportError(
            f"{option} needs the package tensorboard, which is not installed: "
            + install_command("tensorboard")
        )
