"""One training run that can be killed at any time and goes on from its checkpoint."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np

from attnflow_keras.models import Flow
from attnflow_keras.training.callbacks import CHECKPOINT, Checkpoint, Curve, load_checkpoint
from attnflow_keras.training.early_stopping import EarlyStopping
from attnflow_keras.training.order import OrderedImages
from attnflow_keras.training.recipe import Recipe

SETTINGS = "recipe.json"
TENSORBOARD = "tensorboard"

MISSING = object()


def train(
    flow: Flow,
    recipe: Recipe,
    images: np.ndarray,
    validation: np.ndarray | None,
    folder: str | Path,
    verbose: Any = "auto",
    callbacks: list[keras.callbacks.Callback] | None = None,
    tensorboard: bool = False,
) -> Flow:
    """Train a flow by a recipe, or go on from the checkpoint in the folder.

    After every epoch it validates on the averaged weights and writes ``curve.csv`` and
    ``checkpoint.weights.h5``. At the end the flow holds the averaged weights; with
    ``recipe.patience`` those of the best epoch, which are kept in ``best.weights.h5``. A run
    that was killed and resumed sees the same images and noise as one that was not.

    Args:
        flow: the flow, built under the recipe's precision; its optimizer is replaced by the
            recipe's.
        recipe: the settings.
        images: training images, uint8 ``(n, h, w, c)``.
        validation: validation images, or None.
        folder: where checkpoint, curve and settings go; created if it is not there.
        verbose: progress of ``fit``: ``"auto"``, 0, 1 or 2.
        callbacks: further callbacks.
        tensorboard: write logs for TensorBoard to ``folder/tensorboard``; needs the package
            tensorboard.

    Returns:
        The flow.

    Raises:
        ValueError: the folder holds a run with other settings, the flow is of another
            precision than the recipe, or there is patience without validation images.
        ImportError: ``tensorboard`` without that package.
        FloatingPointError: the loss became NaN or Inf; the last good checkpoint stays.
    """
    logs = _tensorboard(tensorboard, Path(folder))
    _check(flow, recipe, validation)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _same_settings(folder / SETTINGS, flow, recipe)
    flow.noise_seed = recipe.seed

    flow.compile(optimizer=recipe.make_optimizer(), jit_compile=recipe.jit)
    # Before fit traces a step: Keras would take the loss scale at the start for a constant.
    flow.optimizer.build(flow.trainable_variables)
    epoch = 0
    if (folder / CHECKPOINT).exists():
        epoch = load_checkpoint(flow, folder / CHECKPOINT, recipe.steps_per_epoch)
    elif not flow.is_adapted:
        start = OrderedImages(images, min(256, len(images)), recipe.seed)
        flow.adapt(start.batch(0), seed=recipe.seed)

    curve = Curve(folder, recipe.batch_size, recipe.steps_per_epoch, epoch)
    checkpoint = Checkpoint(folder)
    stopping = None
    if recipe.patience is not None:
        stopping = EarlyStopping(folder, curve, recipe.patience)
        stopping.resume(flow, epoch)
    averaging = [keras.callbacks.SwapEMAWeights()] if recipe.ema > 0 else []
    # The order matters, see Curve and EarlyStopping.
    own = [*averaging, curve, checkpoint, *([stopping] if stopping else []), *logs]
    if epoch < recipe.epochs and not (stopping and stopping.is_over):
        stream = OrderedImages(
            images, recipe.batch_size, recipe.seed, epoch * recipe.steps_per_epoch, recipe.augment
        )
        flow.fit(
            iter(stream),
            shuffle=False,
            steps_per_epoch=recipe.steps_per_epoch,
            epochs=recipe.epochs,
            initial_epoch=epoch,
            validation_data=validation,
            validation_batch_size=250,
            callbacks=[*own, *(callbacks or [])],
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
    return flow


def _check(flow: Flow, recipe: Recipe, validation: np.ndarray | None) -> None:
    if flow.dtype_policy.name != recipe.precision:
        raise ValueError(
            f"flow must be built under the recipe's precision, {recipe.precision!r}; got a flow "
            f"under {flow.dtype_policy.name!r}. Build it with dtype={recipe.precision!r}, or give "
            f"Recipe(precision={flow.dtype_policy.name!r})"
        )
    if recipe.patience is not None and validation is None:
        raise ValueError(
            f"patience needs validation images to score; got patience={recipe.patience} and "
            "validation=None"
        )


def _tensorboard(wanted: bool, folder: Path) -> list[keras.callbacks.Callback]:
    if not isinstance(wanted, bool):
        raise ValueError(f"tensorboard must be True or False; got {wanted!r}")
    if not wanted:
        return []
    # Keras' callback finds out in the middle of the first epoch.
    if importlib.util.find_spec("tensorboard") is None:
        raise ImportError(
            "tensorboard=True needs the package tensorboard, which is not installed: "
            "pip install 'attnflow-keras[tensorboard]'"
        )
    return [keras.callbacks.TensorBoard(folder / TENSORBOARD, write_graph=False)]


def _same_settings(path: Path, flow: Flow, recipe: Recipe) -> None:
    """Write the settings, or check that those of before are the same.

    A setting that an older version did not write has its default.
    """
    settings = {"recipe": _plain(recipe.to_dict()), "model": _model_settings(flow)}
    if path.exists():
        before = json.loads(path.read_text())
        recipe_before = {**_plain(Recipe.defaults()), **before.get("recipe", {})}
        model_before = before.get("model", {})
        if settings["model"].keys() - model_before.keys():
            model_before = _completed(model_before, type(flow))
        changed = [
            f"{part}.{key}"
            for part, then in (("recipe", recipe_before), ("model", model_before))
            for key in sorted(settings[part].keys() | then.keys())
            if settings[part].get(key, MISSING) != then.get(key, MISSING)
        ]
        if changed:
            raise ValueError(
                f"{path.parent} holds a run with other settings ({', '.join(changed)}); give "
                "another folder, or delete this one"
            )
    temporary = path.with_name(f"part.{path.name}")
    temporary.write_text(json.dumps(settings, indent=2, sort_keys=True))
    temporary.replace(path)


def _model_settings(flow: Flow) -> dict[str, Any]:
    return {key: value for key, value in _plain(flow.get_config()).items() if key != "name"}


def _completed(settings: dict[str, Any], kind: type[Flow]) -> dict[str, Any]:
    """Settings of a model that lack some, with the defaults of this version."""
    try:
        return _model_settings(kind.from_config(dict(settings)))
    except (TypeError, ValueError):
        return settings


def _plain(settings: dict[str, Any]) -> dict[str, Any]:
    """As JSON reads it back, so that tuples and lists compare equal."""
    return json.loads(json.dumps(settings, default=str))
