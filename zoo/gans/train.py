"""Train an adversarial model by a recipe: ``python -m zoo.gans.train DEFINITION --out FOLDER``.

``attnflow reproduce`` runs it for its rows; the definition is an entry without weights, whose class
is one of :mod:`zoo.gans`. A run that was killed resumes from its checkpoint by the same command.
"""

import argparse
import datetime
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

import keras

import zoo.gans
from attnflow_keras import backend
from attnflow_keras.core.checks import check_choice
from attnflow_keras.core.files import replacing_folder, write_json
from attnflow_keras.core.untrusted import read_json
from attnflow_keras.data import data_set
from attnflow_keras.training import Recipe
from attnflow_keras.training.callbacks import CHECKPOINT, CURVE, read_curve
from attnflow_keras.training.devices import prepare_devices
from attnflow_keras.training.lock import locked
from attnflow_keras.training.phase import Phase, run_phase
from zoo.gans.gan import GAN
from zoo.tasks import tasks

MODEL = "model.keras"
PHASE = Phase(
    "the adversarial model",
    CHECKPOINT,
    CURVE,
    ("discriminator_loss", "generator_loss", "l1"),
    "learning_rate",
)


def train(model: GAN, recipe: Recipe, images: Any, folder: Path, verbose: Any = 2) -> None:
    """Train a model by a recipe, or resume from the checkpoint in the folder.

    The recipe says the data, their order, the steps and the learning rate, which is constant;
    the optimizer is Adam with ``beta_1`` 0.5. After every epoch ``curve.csv`` and
    ``checkpoint.weights.h5`` are written.

    Args:
        model: the model.
        recipe: the settings.
        images: training images, uint8 ``(n, h, w, c)``, or a source that draws images or dicts of
            ``image`` and ``condition``.
        folder: where checkpoint and curve go; created if it is not there.
        verbose: progress of ``fit``.

    Raises:
        ValueError: another training uses the folder, or its checkpoint is of another model.
        FloatingPointError: the loss became NaN or Inf; the last good checkpoint stays.
    """
    folder.mkdir(parents=True, exist_ok=True)
    model.compile(
        keras.optimizers.Adam(recipe.learning_rate, beta_1=0.5),
        jit_compile=backend.jit_compile(recipe.jit),
    )
    with locked(folder):
        ended = [keras.callbacks.TerminateOnNaN()]
        run_phase(model, PHASE, recipe, images, None, folder, verbose=verbose, callbacks=ended)


def run(definition: Path, folder: Path) -> None:
    """Train what a folder defines, and write ``entry`` into the run's folder.

    Args:
        definition: folder with ``config.json`` and ``metadata.json``.
        folder: folder of the run.

    Raises:
        ValueError: a class that is none of :mod:`zoo.gans`, or bad arguments of it.
        OSError: files of the definition or of the data set are not there.
    """
    config, entry = (read_json(definition / f"{name}.json") for name in ("config", "metadata"))
    check_choice("class", config["class"], zoo.gans.__all__)
    recipe = Recipe.from_dict(entry["training"]["recipe"])
    device = prepare_devices()
    keras.utils.set_random_seed(recipe.seed)
    model = getattr(zoo.gans, config["class"])(**config["config"], seed=recipe.seed)
    known = data_set(recipe.dataset)
    images = tasks()[entry["task"]].training(config["config"], known)
    generator, discriminator = (
        part.count_params() for part in (model.generator, model.discriminator)
    )
    print(
        f"{config['class']} of {generator:,} + {discriminator:,} parameters, {recipe.steps:,} "
        f"steps of {recipe.batch_size} images on {device}; run in {folder}",
        flush=True,
    )
    train(model, recipe, images, folder)
    rows = read_curve(folder / CURVE)
    training = {
        "command": shlex.join(["python", "-m", "zoo.gans.train", *sys.argv[1:]]),
        "seed": recipe.seed,
        "steps": int(rows[-1]["step"]),
        "images": int(rows[-1]["images"]),
        "seconds": rows[-1]["seconds"],
        "machine": f"{device} ({platform.machine()})",
        "date": datetime.date.today().isoformat(),
        "recipe": recipe.to_dict(),
    }
    content = {
        **entry,
        "dataset_license": known.license,
        "parameters": generator,
        "discriminator_parameters": discriminator,
        "training": training,
        "metrics": [],
    }
    with replacing_folder(folder / "entry", overwrite=True) as new:
        model.save(new / MODEL)
        write_json(new / "metadata.json", content)
    print(f"wrote {folder / 'entry'}", flush=True)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m zoo.gans.train", description=__doc__)
    parser.add_argument("definition", type=Path, help="folder with config.json and metadata.json")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    given = parser.parse_args()
    run(given.definition, given.out)


if __name__ == "__main__":
    main()
