"""``attnflow train``."""

import contextlib
import dataclasses
import inspect
from pathlib import Path
from typing import Annotated, Any

import typer

from attnflow_keras.training.recipe import Recipe
from zoo.cli.common import (
    Background,
    Devices,
    Json,
    Labels,
    Name,
    Resize,
    check_takes_labels,
    on_devices,
)
from zoo.cli.console import console, print_json, results_as_json, working
from zoo.errors import ZooError
from zoo.registry import info
from zoo.tasks import task_of

FINE_TUNE_RATE = 1e-4
FINE_TUNE_EMA = 0.99

# The averaged weights look back over a tenth of a short run, and a tenth of it is warm-up: with
# the settings of a long run the average would still hold the start.
SHARE = 10

# What the user gave of these stays as it is.
OWN = (
    "learning_rate",
    "ema",
    "warmup_steps",
    "pretrain_steps",
    "freeze_steps",
    "zero_latent_steps",
)

# Settings of a recipe that are no options, or that other commands have too.
ELSEWHERE = ("dataset", "stop_step", "resize", "background")
# Defaults of options that are more than the recipe's.
DEFAULTS = {
    "steps": "the recipe's; with it, or with --fine-tune, --ema and --warmup-steps suit the length",
    "learning_rate": f"the recipe's, or {FINE_TUNE_RATE:g} with --fine-tune",
    "warmup_steps": "the recipe's, or a tenth of a short run",
    "ema": "the recipe's, less in a short run",
    "pretrain_steps": "the recipe's, or 0 with --fine-tune",
    "freeze_steps": "the recipe's, or 0 with --fine-tune",
    "zero_latent_steps": "the recipe's, or 0 with --fine-tune",
    "jit": "the recipe's, off for an entry without one",
    "augment": "the recipe's, or none with --fine-tune",
}


def _off(field: Any) -> Any:
    """What turns a setting off on the command line, where the recipe has None; None if nothing."""
    check = field.metadata["check"].keywords
    if None in check.get("allowed", ()):
        return "none"
    return 0 if check.get("none") else None


# Settings of a recipe that are options, by name.
SETTINGS = {f.name: f for f in dataclasses.fields(Recipe) if f.name not in ELSEWHERE}
OFF = {name: _off(field) for name, field in SETTINGS.items() if _off(field) is not None}


def _parameter(field: Any) -> inspect.Parameter:
    """The option of a setting: its type, bounds and help as the recipe declares them."""
    limits = field.metadata["check"].keywords
    words = field.metadata["help"].replace("None", str(OFF.get(field.name)))
    default = DEFAULTS.get(field.name, "the recipe's")
    option = typer.Option(
        min=0 if OFF.get(field.name) == 0 else limits.get("least"),
        max=limits.get("most"),
        help=f"{words[0].upper()}{words[1:]} Default: {default}.",
    )
    annotation = Annotated[field.type | None, option]
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(field.name, kind, default=None, annotation=annotation)


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
            "held out, or none if there are fewer than 50. Or a data set, such as mnist."
        ),
    ] = None,
    labels: Labels = None,
    fine_tune: Annotated[
        bool, typer.Option("--fine-tune", help="Start from the entry's weights.")
    ] = False,
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
        typer.Option("--license", help="Licence of the new weights, for the card."),
    ] = None,
    data_license: Annotated[
        str | None, typer.Option(help="Licence of your images, for the card.")
    ] = None,
    devices: Devices = None,
    distributed: Annotated[
        bool,
        typer.Option(
            "--distributed",
            help="This is one of several processes that train together.",
        ),
    ] = False,
    as_json: Json = False,
    **settings: Any,
) -> None:
    """Train an entry by its recipe, or on your own images.

    Writes a checkpoint and curve.csv after every epoch. Run the same command again to resume. At
    the end the flow is scored once on the test split and written to OUT/entry, which zoo.load
    reads. 'attnflow info NAME' shows the recipe.

    With --data every tenth image is held out and scored at the end; with fewer than 50 images none
    is held out, and nothing is scored. With --patience the scored images are those that selected
    the weights, which the output states.
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
    changes = {"dataset": data, **settings, "resize": resize or None, "background": background}
    given = {key: value for key, value in changes.items() if value is not None}
    recipe = make_recipe(recorded or {}, given, fine_tune)
    folder = out or Path("runs") / entry["name"]
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"--out must be a folder; {folder} is a file")
    command = ["attnflow", "train", name, *_flags(given), *(["--fine-tune"] if fine_tune else [])]
    command += ["--labels", str(labels)] if labels is not None else []
    command += ["--devices", devices] if devices is not None else []
    with results_as_json(as_json), contextlib.ExitStack() as stack:
        with working("importing Keras"):
            device = stack.enter_context(on_devices(devices, distributed))
        from attnflow_keras.training.run import check_tensorboard
        from zoo.cli.train_run import Job, run

        if tensorboard:
            check_tensorboard("--tensorboard")
        job = Job(
            name=name,
            entry=entry,
            recipe=recipe,
            folder=folder,
            fine_tune=fine_tune,
            other_data=data is not None,
            command=command,
            tensorboard=tensorboard,
            labels=labels,
            license=license_,
            data_license=data_license,
            device=device,
        )
        run(job)
    if as_json and not console.quiet:
        print_json(info(str(folder / "entry")))


_own = dict(inspect.signature(train_command).parameters)
_own.pop("settings")
train_command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
    [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in _own.values()]
    + [_parameter(field) for field in SETTINGS.values()]
)


def make_recipe(recorded: dict[str, Any], given: dict[str, Any], fine_tune: bool) -> Recipe:
    """The recipe of an entry with the settings that the user gave.

    Where these change the length or the start of the run, what depends on its length follows,
    unless it was given too.
    """
    if recorded:
        try:
            recorded = Recipe.from_dict(recorded).to_dict()
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
        settings |= {"pretrain_steps": 0, "freeze_steps": 0, "zero_latent_steps": 0}
        settings["start_from"] = None
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
        name, _, rest = str(error).partition(" ")
        if name not in given:
            raise
        rest = rest.replace("None", str(OFF.get(name)))
        raise ValueError(f"{_option(name)} {rest}") from error


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
