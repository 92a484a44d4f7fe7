"""``attnflow train``."""

import datetime
import platform
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from zoo.cli.common import Name, console, import_tensorflow, load_data, progress_bar
from zoo.errors import ZooError
from zoo.registry import info

FINE_TUNE_RATE = 1e-4
FINE_TUNE_EMA = 0.99

# What turns a setting of the entry's recipe off.
OFF = {"augment": "none", "patience": 0}


def train_command(
    name: Name,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of the run. Default: runs/NAME."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(help="Train on your own images: a folder, a .npy or .npz file."),
    ] = None,
    fine_tune: Annotated[
        bool, typer.Option("--fine-tune", help="Start from the entry's weights, not from scratch.")
    ] = False,
    steps: Annotated[
        int | None, typer.Option(help="Optimizer steps in all. Default: the recipe's.")
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Images a step. Default: the recipe's.")
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            help="Greatest learning rate. Default: the recipe's, or 1e-4 with --fine-tune."
        ),
    ] = None,
    steps_per_epoch: Annotated[
        int | None, typer.Option(help="Steps between validations and checkpoints.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
    jit: Annotated[
        bool | None,
        typer.Option(
            help="Compile with XLA: a minute to start, then faster. Default: the recipe's."
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="float32, mixed_float16 or mixed_bfloat16 (half precision inside the "
            "conditioners). Default: the recipe's."
        ),
    ] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            help="Stop after this many epochs without a better validation score and keep the "
            "best weights; 0 to train to the end. Default: the recipe's."
        ),
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option(
            help="shift_flip (up to 3 pixels, and mirror images), or none. Default: the recipe's."
        ),
    ] = None,
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard", help="Write logs for TensorBoard to OUT/tensorboard (extra package)."
        ),
    ] = False,
    resize: Annotated[bool, typer.Option("--resize", help="Resize pictures that differ.")] = False,
) -> None:
    """Train an entry by its recipe, or on your own images; resumes after a kill.

    The folder gets a checkpoint and curve.csv after every epoch. Run the same command again
    to go on. At the end the flow is scored once on the test split and written to OUT/entry,
    which zoo.load reads. 'attnflow info NAME' shows the recipe.
    """
    entry = info(name)
    recorded = entry.get("training", {}).get("recipe")
    if recorded is None and data is None:
        raise ZooError(f"entry {name!r} has no recipe; give your images with --data")
    with console.status("importing TensorFlow"):
        device = import_tensorflow()
    from attnflow_keras.training import Recipe

    changes = {
        "dataset": data,
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "steps_per_epoch": steps_per_epoch,
        "seed": seed,
        "jit": jit,
        "precision": precision,
        "patience": patience,
        "augment": augment,
        "resize": resize or None,
    }
    given = {key: value for key, value in changes.items() if value is not None}
    settings = {**(recorded or {}), **given}
    settings.update({key: None for key in OFF if given.get(key) == OFF[key]})
    if data is not None or steps is not None:
        settings["stop_step"] = None
    if fine_tune:
        # Gentle steps, and an average that is short enough to follow them.
        settings["learning_rate"] = learning_rate or FINE_TUNE_RATE
        settings["ema"] = FINE_TUNE_EMA
    recipe = Recipe.from_dict(settings)
    folder = out or Path("runs") / entry["name"]
    command = ["attnflow", "train", name, *_flags(changes), *(["--fine-tune"] if fine_tune else [])]
    _run(name, entry, recipe, folder, fine_tune, data is not None, command, device, tensorboard)


def _flags(changes: dict[str, Any]) -> list[str]:
    """The options that give these changes, for the record of the run."""
    flags = []
    for key, value in changes.items():
        option = "data" if key == "dataset" else key.replace("_", "-")
        if isinstance(value, bool):
            flags.append(f"--{option}" if value else f"--no-{option}")
        elif value is not None:
            flags += [f"--{option}", str(value)]
    return flags


def _run(
    name: str,
    entry: dict[str, Any],
    recipe: Any,
    folder: Path,
    fine_tune: bool,
    own_data: bool,
    command: list[str],
    device: str,
    tensorboard: bool,
) -> None:
    import keras

    import zoo
    from attnflow_keras.metrics import evaluate_bits_per_dim
    from attnflow_keras.training import train
    from attnflow_keras.training.callbacks import CURVE, read_curve
    from attnflow_keras.training.early_stopping import standing
    from zoo.card import metric_line

    keras.utils.set_random_seed(recipe.seed)
    with console.status(f"building {entry['name']}"):
        flow = zoo.load(name, weights=fine_tune, dtype=recipe.precision)

    shape = flow.image_shape
    if own_data:
        images = load_data(recipe.dataset, shape, recipe.resize)
        # Every tenth image is held out, or none when there are too few to tell anything.
        validation = images[9::10] if len(images) >= 50 else None
        if validation is None:
            if recipe.patience is not None:
                raise ValueError(
                    f"--patience needs at least 50 images, of which a tenth is held out; got "
                    f"{len(images)} in {recipe.dataset}. Give --patience 0, or more images"
                )
            console.print("fewer than 50 images: none is held out, so nothing is scored")
        else:
            keep = [i for i in range(len(images)) if i % 10 != 9]
            images = images[keep]
        test = None
    else:
        images, validation, test = (
            load_data(f"{recipe.dataset}:{split}", shape, False)
            for split in ("train", "validation", "test")
        )
    steps = recipe.epochs * recipe.steps_per_epoch
    console.print(
        f"{len(images):,} images, {steps:,} steps of {recipe.batch_size} in {recipe.precision} "
        f"on {device}; run in {folder}",
        highlight=False,
    )
    train(
        flow,
        recipe,
        images,
        validation,
        folder,
        verbose=1 if console.is_terminal else 2,
        tensorboard=tensorboard,
    )
    rows = read_curve(folder / CURVE)
    kept = {}
    if recipe.patience is not None:
        best, _ = standing(rows)
        kept = {"kept_step": best * recipe.steps_per_epoch if best else 0}
        console.print(
            f"trained {len(rows)} of at most {recipe.epochs} epochs; kept the weights of epoch "
            f"{best}, the best on validation images",
            highlight=False,
        )
    if recipe.precision != "float32":
        # Scored as the entry will be loaded.
        trained, flow = flow, zoo.load(name, weights=False, dtype="float32")
        flow.set_weights(trained.get_weights())

    metrics = []
    for split, part in (("validation", validation), ("test", test)):
        if part is not None:
            with progress_bar(f"scoring {split}", len(part)) as report:
                label = f"{recipe.dataset} {split}"
                metrics.append(evaluate_bits_per_dim(flow, part, label, progress=report))
    metrics.reverse()
    metadata = {
        "name": folder.name if own_data else entry["name"],
        "description": entry.get("description", ""),
        "task": entry.get("task", "unconditional"),
        "dataset": recipe.dataset,
        "dataset_license": "the user's" if own_data else entry.get("dataset_license", ""),
        "license": entry.get("license", ""),
        "training": {
            "command": shlex.join(command),
            "seed": recipe.seed,
            "steps": int(rows[-1]["step"]) if rows else recipe.epochs * recipe.steps_per_epoch,
            **kept,
            "images": int(rows[-1]["images"]) if rows else 0,
            "seconds": rows[-1]["seconds"] if rows else 0.0,
            "machine": f"{device} ({platform.machine()})",
            "date": datetime.date.today().isoformat(),
            "note": "" if own_data else entry.get("training", {}).get("note", ""),
            "recipe": recipe.to_dict(),
        },
        "metrics": metrics,
    }
    curve = (folder / CURVE).read_text()
    zoo.save(flow, folder / "entry", metadata, overwrite=True, extra={CURVE: curve})
    for metric in metrics:
        console.print(metric_line(metric), highlight=False)
    console.print(f"wrote {folder / 'entry'}")
