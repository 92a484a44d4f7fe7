"""One training run that can be killed at any time and goes on from its checkpoint."""

import json
from pathlib import Path
from typing import Any

import keras
import numpy as np

from attnflow_keras.models import Flow
from attnflow_keras.training.callbacks import CHECKPOINT, CURVE, Checkpoint, Curve, read_curve
from attnflow_keras.training.order import OrderedImages
from attnflow_keras.training.recipe import Recipe

SETTINGS = "recipe.json"


def train(
    flow: Flow,
    recipe: Recipe,
    images: np.ndarray,
    validation: np.ndarray | None,
    folder: str | Path,
    verbose: Any = "auto",
    callbacks: list[keras.callbacks.Callback] | None = None,
) -> Flow:
    """Train a flow by a recipe, or go on from the checkpoint in the folder.

    After every epoch it validates on the averaged weights and writes ``checkpoint.weights.h5``
    and ``curve.csv``. At the end the flow holds the averaged weights. A run that was killed
    and resumed sees the same images and noise as one that was not.

    Args:
        flow: the flow; its optimizer is replaced by the recipe's.
        recipe: the settings.
        images: training images, uint8 ``(n, h, w, c)``.
        validation: validation images, or None.
        folder: where checkpoint, curve and settings go; created if it is not there.
        verbose: progress of ``fit``: ``"auto"``, 0, 1 or 2.
        callbacks: further callbacks.

    Returns:
        The flow.

    Raises:
        ValueError: the folder holds a run with other settings.
        FloatingPointError: the loss became NaN or Inf; the last good checkpoint stays.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _same_settings(folder / SETTINGS, flow, recipe)
    flow.noise_seed = recipe.seed

    flow.compile(optimizer=recipe.optimizer(), jit_compile=recipe.jit)
    checkpoint = folder / CHECKPOINT
    epoch = 0
    if checkpoint.exists():
        flow.optimizer.build(flow.trainable_variables)
        flow.load_weights(checkpoint)
        epoch = int(keras.ops.convert_to_numpy(flow.optimizer.iterations)) // recipe.steps_per_epoch
    elif not flow.is_adapted:
        start = OrderedImages(images, min(256, len(images)), recipe.seed)
        flow.adapt(start.batch(0), seed=recipe.seed)

    own: list[keras.callbacks.Callback] = []
    if recipe.ema > 0:
        own.append(keras.callbacks.SwapEMAWeights())
    own += [
        Checkpoint(folder),
        Curve(folder, recipe.batch_size, recipe.steps_per_epoch, epoch),
        *(callbacks or []),
    ]
    if epoch < recipe.epochs:
        step = epoch * recipe.steps_per_epoch
        stream = OrderedImages(images, recipe.batch_size, recipe.seed, step)
        flow.fit(
            iter(stream),
            shuffle=False,
            steps_per_epoch=recipe.steps_per_epoch,
            epochs=recipe.epochs,
            initial_epoch=epoch,
            validation_data=validation,
            validation_batch_size=250,
            callbacks=own,
            verbose=verbose,
        )
        if len(read_curve(folder / CURVE)) < recipe.epochs and flow.stop_training:
            raise FloatingPointError(
                f"training stopped at a loss that is not finite; the last good checkpoint is "
                f"{checkpoint}"
            )
    else:
        flow.optimizer.finalize_variable_values(flow.trainable_variables)
    return flow


def _same_settings(path: Path, flow: Flow, recipe: Recipe) -> None:
    model = {key: value for key, value in flow.get_config().items() if key != "name"}
    settings = {"recipe": recipe.to_dict(), "model": model}
    text = json.dumps(settings, indent=2, sort_keys=True, default=str)
    if path.exists() and path.read_text() != text:
        before = json.loads(path.read_text())
        changed = [
            f"{part}.{key}"
            for part in settings
            for key, value in json.loads(text)[part].items()
            if before.get(part, {}).get(key) != value
        ]
        raise ValueError(
            f"{path.parent} holds a run with other settings ({', '.join(changed)}); give another "
            "folder, or delete this one"
        )
    temporary = path.with_name(f"part.{path.name}")
    temporary.write_text(text)
    temporary.replace(path)
