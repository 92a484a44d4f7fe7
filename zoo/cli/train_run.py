"""What ``attnflow train`` does with its options: train, score, write the entry."""

import datetime
import functools
import platform
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np

import zoo
from attnflow_keras import backend
from attnflow_keras.core.untrusted import plain_name
from attnflow_keras.data import data_set, is_data_set
from attnflow_keras.metrics import evaluate_bits_per_dim
from attnflow_keras.training import Recipe, train
from attnflow_keras.training.callbacks import CHECKPOINT, CURVE, read_curve, saved_epoch
from attnflow_keras.training.early_stopping import standing
from attnflow_keras.training.pretrain import CURVE as ENCODER_CURVE
from attnflow_keras.training.zero_latent import CURVE as ZERO_LATENT_CURVE
from zoo.card import metric_line
from zoo.cli.console import console, working
from zoo.cli.interrupts import on_interrupt
from zoo.cli.train_progress import TrainingProgress
from zoo.tasks import task_of
from zoo.tasks.base import Reading
from zoo.warm_start import start_from

# Of fewer images a tenth tells nothing.
ENOUGH = 50

CHOSEN = "the weights were chosen on these images"


@dataclass(frozen=True)
class Job:
    """A training run as the command line asks for it.

    Args:
        name: the entry, as the user typed it.
        entry: what ``zoo.info`` knows of it.
        recipe: the settings.
        folder: folder of the run.
        fine_tune: start from the entry's weights.
        other_data: the user named the data.
        command: the command, for the record.
        device: what Keras computes on.
        tensorboard: write logs for TensorBoard.
        labels: folder of the label maps of the user's photos.
        license: that of the weights, in the user's words.
        data_license: that of the data, in the user's words.
    """

    name: str
    entry: dict[str, Any]
    recipe: Recipe
    folder: Path
    fine_tune: bool
    other_data: bool
    command: list[str]
    device: str
    tensorboard: bool
    labels: Path | None = None
    license: str | None = None
    data_license: str | None = None

    @property
    def own_images(self) -> bool:
        """Whether the images are the user's own, which nobody has split."""
        return not is_data_set(self.recipe.dataset)


def run(job: Job) -> None:
    """Train, score, and write ``entry`` into the run's folder."""
    recipe, folder = job.recipe, job.folder
    keras.utils.set_random_seed(recipe.seed)
    with working(f"building {job.entry['name']}"):
        flow = zoo.load(job.name, weights=job.fine_tune, dtype=recipe.precision)
        if recipe.start_from and not job.fine_tune:
            taken, count = start_from(flow, recipe.start_from)
            console.print(f"{taken} of {count} variables are those of {recipe.start_from}")
    images, validation, test = _images(job)
    console.print(
        f"{len(images):,} images, {recipe.last_step:,} steps of {recipe.batch_size} in "
        f"{recipe.precision} on {job.device}; run in {folder}",
    )
    with on_interrupt(lambda: _kept(job)):
        with TrainingProgress(recipe.jit) as progress:
            train(
                flow,
                recipe,
                images,
                validation,
                folder,
                verbose=0,
                callbacks=[progress],
                tensorboard=job.tensorboard,
            )
        backend.devices.wait_for_all("curve")
        rows = read_curve(folder / CURVE)
        kept = {}
        if recipe.patience is not None:
            best, _ = standing(rows)
            kept = {"kept_step": recipe.step_after(best) if best else 0}
            console.print(
                f"trained {len(rows)} of at most {recipe.epochs} epochs; kept the weights of "
                f"epoch {best}, the best on validation images",
            )
        if recipe.precision != "float32":
            # Scored as the entry will be loaded.
            flow = flow.clone(dtype="float32")
        metrics = _metrics(recipe, flow, {"test": test, "validation": validation})
    metadata = _metadata(job, rows, kept, metrics)
    curves = [CURVE]
    curves += [ENCODER_CURVE] if recipe.pretrain_steps else []
    curves += [ZERO_LATENT_CURVE] if recipe.zero_latent_steps else []
    extra = {name: (folder / name).read_text() for name in curves}
    if backend.devices.writes():
        with backend.devices.alone(flow) as own:
            zoo.save(own, folder / "entry", metadata, overwrite=True, extra=extra)
    backend.devices.wait_for_all("entry")
    for metric in metrics:
        console.print(metric_line(metric))
    console.print(f"wrote {folder / 'entry'}")


def _images(job: Job) -> tuple[Any, Any, Any]:
    """What is trained on, validated on and tested on; None where there is nothing."""
    recipe, config = job.recipe, job.entry["config"]
    task = task_of(job.entry)
    if not job.own_images:
        known = data_set(recipe.dataset)
        source = task.training(config, known)
        parts = [task.of_data_set(config, known, split) for split in ("validation", "test")]
        return source, _part(parts[0], recipe.validation_images), _part(parts[1])
    reading = Reading(job.labels, recipe.resize, recipe.background)
    held_out = functools.partial(_held_out, recipe)
    source, validation = task.own(config, recipe.dataset, reading, held_out, console.print)
    return source, _part(validation, recipe.validation_images), None


def _part(pair: tuple[Any, Any] | None, count: int | None = None) -> Any:
    """The first so many images as ``fit`` takes them: an array, or a dict with their conditions."""
    if pair is None or pair[1] is None:
        return None if pair is None else pair[0][:count]
    return {"image": pair[0][:count], "condition": pair[1][:count]}


def _held_out(recipe: Recipe, count: int) -> Any:
    """Indices of every tenth of the user's images, None where there are too few."""
    if count >= ENOUGH:
        return np.arange(9, count, 10)
    if recipe.patience is not None:
        raise ValueError(
            f"--patience needs at least {ENOUGH} images, of which a tenth is held out; got "
            f"{count} in {recipe.dataset}. Give --patience 0, or more images"
        )
    console.print(f"fewer than {ENOUGH} images: none is held out, so nothing is scored")
    return None


def _kept(job: Job) -> str:
    """What remains of an interrupted run."""
    epoch = saved_epoch(job.folder / CHECKPOINT)
    if not epoch:
        return (
            "the same command starts anew, for there is no checkpoint before the end of the "
            "first epoch"
        )
    step, last = job.recipe.step_after(epoch), job.recipe.last_step
    return f"the same command resumes after epoch {epoch} (step {step:,} of {last:,})"


def _metrics(recipe: Recipe, flow: Any, parts: dict[str, Any]) -> list[dict[str, Any]]:
    metrics = []
    for split, part in parts.items():
        if part is not None:
            image, low = (part["image"], part["condition"]) if flow.conditional else (part, None)
            with working(f"scoring {split}", len(image)) as report:
                label = f"{recipe.dataset} {split}"
                metric = evaluate_bits_per_dim(flow, image, label, progress=report, condition=low)
            if split == "validation" and recipe.patience is not None:
                metric["note"] = CHOSEN
            metrics.append(metric)
    return metrics


def _seconds(folder: Path) -> float:
    """Seconds of the whole run, those before and after the flow's own steps included."""
    curves = (read_curve(folder / name) for name in (CURVE, ENCODER_CURVE, ZERO_LATENT_CURVE))
    return round(sum(rows[-1]["seconds"] for rows in curves if rows), 1)


def _metadata(
    job: Job, rows: list[dict[str, float]], kept: dict[str, int], metrics: list[dict[str, Any]]
) -> dict[str, Any]:
    recipe, entry = job.recipe, job.entry
    other = job.own_images or job.other_data
    of_data = None if job.own_images else data_set(recipe.dataset).license
    # What another entry says of its data and weights is not so of these.
    stated = {
        "description": _description(job) if other else entry.get("description"),
        "dataset_license": job.data_license or of_data,
        "license": job.license or (None if other else entry.get("license")),
        "derived_from": entry["name"] if job.fine_tune else recipe.start_from,
    }
    return {
        "name": plain_name(job.folder.resolve().name) if other else entry["name"],
        "task": entry.get("task", "unconditional"),
        "dataset": recipe.dataset,
        **{key: value for key, value in stated.items() if value},
        "training": {
            "command": shlex.join(job.command),
            "seed": recipe.seed,
            "steps": int(rows[-1]["step"]) if rows else recipe.last_step,
            **kept,
            "images": int(rows[-1]["images"]) if rows else 0,
            "seconds": _seconds(job.folder),
            "machine": f"{job.device} ({platform.machine()})",
            "date": datetime.date.today().isoformat(),
            "note": "" if other else entry.get("training", {}).get("note", ""),
            "recipe": recipe.to_dict(),
        },
        "metrics": metrics,
    }


def _description(job: Job) -> str:
    """What a run on other data than the entry's own gives."""
    start = "trained further" if job.fine_tune else "its architecture trained from scratch"
    return f"{job.entry['name']}, {start} on {job.recipe.dataset}."
