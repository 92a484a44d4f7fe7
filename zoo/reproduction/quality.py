"""How good the images of a finished run are: ``python -m zoo.reproduction.quality RUN``.

The result is kept in the run's folder, beside what training left there, so that it can be measured
at any time after it.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from attnflow_keras.core.files import write_json
from attnflow_keras.core.untrusted import read_json
from zoo.errors import ZooError
from zoo.reproduction.references import REFERENCES, load
from zoo.reproduction.runs import QUALITY, Plan

IMAGES = 2000
SEED = 0
FEATURES = "VGG16 of LPIPS v0.1, block 4, mean over the map"
WEIGHTS = ("lpips/vgg16.npz", "lpips/alexnet.npz")
# What flows draw at: those of `sample`, `restore` and `translate`.
TEMPERATURES = {"unconditional": 1.0, "super-resolution": 0.8, "label-to-photo": 0.7}


def measure_rows(plans: Sequence[Plan], say: Callable[[str], None]) -> None:
    """Measure what is trained and not measured yet, each in a process of its own.

    Args:
        plans: the trainings.
        say: tells the user what happens.

    Raises:
        ZooError: a measurement failed; those before it stay.
    """
    finished = [made for made in plans if made.result is not None]
    waiting = [made for made in finished if made.quality is None]
    say(f"{len(finished) - len(waiting)} of {len(finished)} finished trainings are measured")
    folder = os.environ.get("ATTNFLOW_DATA", "")
    missing = [name for name in WEIGHTS if not folder or not Path(folder, name).is_file()]
    if missing and waiting:
        say(f"sample quality is left out: set ATTNFLOW_DATA to a folder with {missing[0]}")
        return
    for number, made in enumerate(waiting, start=1):
        say(f"{number} of {len(waiting)}: {made.row.name}, seed {made.seed}")
        command = [sys.executable, "-m", "zoo.reproduction.quality", str(made.folder)]
        done = subprocess.run(command, check=False)
        if done.returncode:
            raise ZooError(
                f"measuring row {made.row.name!r}, seed {made.seed}, ended with status "
                f"{done.returncode}"
            )


def measure(folder: Path, images: int = IMAGES) -> dict[str, Any]:
    """Draw images from a finished run and score them.

    Args:
        folder: folder of the run.
        images: images to compare at most; there may be fewer in the test split.

    Returns:
        As JSON has it: ``task``, ``split``, ``items``, ``seed``; ``temperature``, None for what
        has none; ``scores``, each with ``mean`` and, where there is one, ``standard_error`` over
        images; ``floor``, for unconditional models, the same of as many training images;
        ``seconds`` of drawing.

    Raises:
        OSError: the run is not finished, or data or weights are not there.
        ValueError: a task that no quality is defined for.
    """
    from attnflow_keras.data import data_set
    from zoo.tasks import tasks

    entry = read_json(folder / "entry" / "metadata.json")
    config = read_json(folder / "definition" / "config.json")
    name = entry["task"]
    if name not in TEMPERATURES:
        raise ValueError(f"{folder}: sample quality is for {', '.join(TEMPERATURES)}; got {name}")
    known = data_set(entry["training"]["recipe"]["dataset"])
    real, conditions = tasks()[name].of_data_set(config["config"], known, "test")
    chosen = _spread(len(real), images)
    temperature = None if config["class"] in REFERENCES else TEMPERATURES[name]
    result: dict[str, Any] = {
        "task": name,
        "split": f"{known.name} test",
        "items": len(chosen),
        "seed": SEED,
        "temperature": temperature,
    }
    given = {} if temperature is None else {"temperature": temperature}
    if config["class"] not in ("ESRGAN", "Bicubic"):  # which draw nothing at random
        given["seed"] = SEED
    model = load(folder)
    started = time.monotonic()
    if conditions is None:
        drawn = model.sample(len(chosen), **given)
    else:
        conditions = conditions[chosen]
        drawn = model.sample(condition=conditions, **given)
    result["seconds"] = round(time.monotonic() - started, 1)
    if name == "unconditional":
        training = known.images("train")
        training = training[_spread(len(training), len(chosen))]
        return result | _distances(drawn, real[chosen], training)
    return result | {"scores": _similarity(name, drawn, real[chosen], conditions)}


def _distances(drawn: Any, real: Any, training: Any) -> dict[str, Any]:
    """Distances of samples, and of training images, to test images in features."""
    from attnflow_keras.metrics import VGG16Features, frechet_distance, kernel_distance

    features = VGG16Features()
    test = features(real)
    found = {}
    for name, given in (("scores", drawn), ("floor", training)):
        seen = features(given)
        mean, error = kernel_distance(seen, test)
        kernel = {"mean": mean} | ({"standard_error": error} if np.isfinite(error) else {})
        found[name] = {"frechet": {"mean": frechet_distance(seen, test)}, "kernel": kernel}
    return {"features": FEATURES, **found}


def _similarity(task: str, drawn: Any, real: Any, conditions: Any) -> dict[str, Any]:
    from attnflow_keras.metrics import LPIPS, likeness, quality

    if task == "super-resolution":
        return quality(drawn, real, conditions, LPIPS())
    return likeness(drawn, real, conditions, LPIPS())


def _spread(count: int, wanted: int) -> np.ndarray:
    """Evenly spaced indices of so many, all if more are wanted."""
    wanted = min(count, wanted)
    return np.arange(wanted) * count // wanted


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m zoo.reproduction.quality", description=__doc__)
    parser.add_argument("run", type=Path, help="folder of a finished run")
    parser.add_argument("--images", type=int, default=IMAGES, help="images to compare at most")
    given = parser.parse_args()
    found = measure(given.run, given.images)
    write_json(given.run / QUALITY, found)
    scores = ", ".join(f"{name} {value['mean']:.4g}" for name, value in found["scores"].items())
    print(f"{scores}; {found['items']} images drawn in {found['seconds']} s", flush=True)


if __name__ == "__main__":
    main()
