"""``attnflow train``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from zoo.cli.common import (
    Background,
    Json,
    Labels,
    Name,
    Resize,
    check_choice,
    check_takes_labels,
    import_tensorflow,
)
from zoo.cli.console import print_json, results_as_json, working
from zoo.errors import ZooError
from zoo.registry import info
from zoo.tasks import task_of

FINE_TUNE_RATE = 1e-4
FINE_TUNE_EMA = 0.99

# The averaged weights look back over a tenth of a short run, and a tenth of it is warm-up: with
# the settings of a long run the average would still hold the start.
SHARE = 10

# What the user gave of these stays as it is.
OWN = ("learning_rate", "ema", "warmup_steps", "pretrain_steps", "freeze_steps", "mode_steps")

# What turns a setting of the entry's recipe off.
OFF = {"augment": "none", "patience": 0}

# What a recipe takes; said here again because the library's lists need TensorFlow.
CHOICES = {
    "precision": ("float32", "mixed_float16", "mixed_bfloat16"),
    "augment": ("shift", "shift_flip", "recolor", "none"),
    "optimizer": ("adam", "adamax"),
    "schedule": ("cosine", "constant", "halving", "linear"),
}
LARGEST_SEED = 2**32 - 1


def train_command(
    name: Name,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of the run. Default: runs/NAME."),
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="Train on your own images: a folder, a .npy or .npz file. Every tenth image is "
            "held out; under 50 images, none. Or a data set, such as mnist."
        ),
    ] = None,
    labels: Labels = None,
    fine_tune: Annotated[
        bool, typer.Option("--fine-tune", help="Start from the entry's weights, not from scratch.")
    ] = False,
    steps: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Optimizer steps in all. Default: the recipe's. With it, or with --fine-tune, "
            "--ema and --warmup-steps suit the length of the run.",
        ),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images per step. Default: the recipe's.")
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(help="Peak learning rate. Default: the recipe's, or 1e-4 with --fine-tune."),
    ] = None,
    steps_per_epoch: Annotated[
        int | None, typer.Option(min=1, help="Steps between validations and checkpoints.")
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(help=f"{' or '.join(CHOICES['optimizer'])}. Default: the recipe's."),
    ] = None,
    schedule: Annotated[
        str | None,
        typer.Option(
            help="Learning rate after the warm-up: cosine or constant; or, with --warmup-steps 0, "
            "halving, at 50, 75, 90 and 95 % of the steps, or linear, constant for half of them "
            "and then down to 0. Default: the recipe's."
        ),
    ] = None,
    warmup_steps: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Steps in which the learning rate rises to its peak. Default: the recipe's, "
            "or a tenth of a short run.",
        ),
    ] = None,
    ema: Annotated[
        float | None,
        typer.Option(
            help="Momentum of the averaged weights, which are scored and kept; the window is "
            "1 / (1 - EMA) steps; 0 for none. Default: the recipe's, lower for a short run."
        ),
    ] = None,
    pretrain_steps: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Steps in which an encoder of conditions is trained alone first. Default: the "
            "recipe's; none with --fine-tune.",
        ),
    ] = None,
    freeze_steps: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="First steps in which that encoder is frozen. Default: the recipe's, or "
            "none with --fine-tune.",
        ),
    ] = None,
    mode_steps: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Zero-latent steps, after all others, which also minimize the error of the "
            "zero-temperature sample. Default: the recipe's, or none with --fine-tune.",
        ),
    ] = None,
    validation_images: Annotated[
        int | None,
        typer.Option(min=1, help="Number of images to validate on. Default: the recipe's."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=LARGEST_SEED, help="Seed of everything random.")
    ] = None,
    jit: Annotated[
        bool | None,
        typer.Option(
            help="Compile with XLA: minutes to start, then faster. Default: the recipe's, off for "
            "an entry without one."
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
            min=0,
            help="Stop after this many epochs without a better validation score and keep the "
            "best weights. That score is then optimistic, since it selected the weights. "
            "0 to train to the end. Default: the recipe's.",
        ),
    ] = None,
    augment: Annotated[
        str | None,
        typer.Option(
            help="shift_flip (up to 3 pixels, and mirror images), recolor (a quarter of the "
            "images in other colors; also for super-resolution), or none. Default: the recipe's, "
            "or none with --fine-tune."
        ),
    ] = None,
    tensorboard: Annotated[
        bool,
        typer.Option(
            "--tensorboard", help="Write logs for TensorBoard to OUT/tensorboard (extra package)."
        ),
    ] = False,
    resize: Resize = False,
    background: Background = None,
    license_: Annotated[
        str | None,
        typer.Option("--license", help="Licence of the new weights, for their card."),
    ] = None,
    data_license: Annotated[
        str | None, typer.Option(help="Licence of your images, for the card.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train an entry by its recipe, or on your own images; resumes after a kill.

    The folder gets a checkpoint and curve.csv after every epoch. Run the same command again to
    resume. At the end the flow is scored once on the test split and written to OUT/entry, which
    zoo.load reads. 'attnflow info NAME' shows the recipe.

    With --data every tenth image is held out and scored at the end; of fewer than 50 images
    none is held out, and nothing is scored. After --patience the images that are scored are
    those that chose the weights, and the output says so.
    """
    entry = info(name)
    from attnflow_keras.data import data_set, is_data_set

    task = task_of(entry)
    known = is_data_set(data)
    if known:
        data = data_set(str(data)).name
    if labels is not None:
        check_takes_labels(task)
        if data is None or known:
            raise ValueError("--labels goes with --data, and a folder or file of your photos")
    if task.labels is not None and data is not None and not known and labels is None:
        raise ValueError(f"--data {data}: {task.labels} with --labels")
    recorded = entry.get("training", {}).get("recipe")
    if recorded is None and data is None:
        raise ZooError(f"entry {name!r} has no recipe; give your images with --data")
    if data is None and not is_data_set(recorded.get("dataset")):
        # A path in a stranger's file is none that the user chose.
        raise ZooError(
            f"entry {name!r} was trained on {recorded.get('dataset')!r:.80}, which is no data set "
            "of this package; give your images with --data"
        )
    changes = {
        "dataset": data,
        "steps": steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "steps_per_epoch": steps_per_epoch,
        "optimizer": optimizer,
        "schedule": schedule,
        "warmup_steps": warmup_steps,
        "ema": ema,
        "pretrain_steps": pretrain_steps,
        "freeze_steps": freeze_steps,
        "mode_steps": mode_steps,
        "validation_images": validation_images,
        "seed": seed,
        "jit": jit,
        "precision": precision,
        "patience": patience,
        "augment": augment,
        "resize": resize or None,
        "background": background,
    }
    given = {key: value for key, value in changes.items() if value is not None}
    for key, allowed in CHOICES.items():
        check_choice(_option(key), given.get(key), allowed)
    folder = out or Path("runs") / entry["name"]
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"--out must be a folder; {folder} is a file")
    with working("importing TensorFlow"):
        device = import_tensorflow()
    from attnflow_keras.training.run import check_tensorboard
    from zoo.cli.train_run import Job, run

    if tensorboard:
        check_tensorboard("--tensorboard")
    command = ["attnflow", "train", name, *_flags(given), *(["--fine-tune"] if fine_tune else [])]
    command += ["--labels", str(labels)] if labels is not None else []
    recipe = make_recipe(recorded or {}, given, fine_tune)
    with results_as_json(as_json):
        run(
            Job(
                name=name,
                entry=entry,
                recipe=recipe,
                folder=folder,
                fine_tune=fine_tune,
                other_data=data is not None,
                command=command,
                device=device,
                tensorboard=tensorboard,
                labels=labels,
                license=license_,
                data_license=data_license,
            )
        )
    if as_json:
        print_json(info(str(folder / "entry")))


def make_recipe(recorded: dict[str, Any], given: dict[str, Any], fine_tune: bool) -> Any:
    """The recipe of an entry with the settings that the user gave.

    Where these change the length or the start of the run, what depends on its length follows,
    unless it was given too.
    """
    from attnflow_keras.training import Recipe

    if recorded:
        try:
            Recipe.from_dict(recorded)
        except (TypeError, ValueError) as error:
            raise ZooError(f"the entry's recipe does not fit: {error}") from error
    # XLA takes minutes before the first step: only where a recipe or the user asks for it.
    start = {} if recorded else {"jit": False}
    settings = {**Recipe.defaults(), **start, **recorded, **given}
    settings.update({key: None for key in OFF if given.get(key) == OFF[key]})
    if "dataset" in given or "steps" in given:
        settings["stop_step"] = None
    if fine_tune:
        # Gentle steps, and an average that is short enough to follow them.
        settings |= {"learning_rate": FINE_TUNE_RATE, "ema": FINE_TUNE_EMA}
        settings |= {"pretrain_steps": 0, "freeze_steps": 0, "mode_steps": 0}
        if "augment" not in given:
            settings["augment"] = None
    if fine_tune or "steps" in given:
        steps = settings["steps"]
        longest = round(1 - SHARE / steps, 6) if steps > SHARE else 0.0
        settings["ema"] = min(settings["ema"], longest)
        settings["warmup_steps"] = min(settings["warmup_steps"], steps // SHARE)
        settings["steps_per_epoch"] = min(settings["steps_per_epoch"], steps)
    settings |= {key: given[key] for key in OWN if key in given}
    try:
        return Recipe.from_dict(settings)
    except ValueError as error:
        field, _, rest = str(error).partition(" ")
        raise ValueError(f"{_option(field)} {rest}" if field in given else error) from error


def _option(key: str) -> str:
    return "--data" if key == "dataset" else f"--{key.replace('_', '-')}"


def _flags(given: dict[str, Any]) -> list[str]:
    """The options that give these settings, for the record of the run."""
    flags = []
    for key, value in given.items():
        if isinstance(value, bool):
            flags.append(_option(key) if value else f"--no-{key}")
        else:
            flags += [_option(key), str(value)]
    return flags
