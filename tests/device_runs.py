"""What the tests of several devices do in a process of its own."""

import contextlib
import json
import sys
from pathlib import Path

from tests.two_devices import two_devices

SMALL = {
    "conditioner": "gated_attention",
    "conditioner_options": {"blocks": 1, "dropout": 0.2},
    "width": 4,
}


class InterruptedRunError(Exception):
    pass


def training(folder, images, devices, stop=None):
    """One run, ended by an error after ``stop`` epochs."""
    import keras

    from attnflow_keras.training import Recipe, on_devices, train
    from tests.conftest import make_plain_flow

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            if epoch + 1 == stop:
                raise InterruptedRunError

    length = {"steps": 12, "steps_per_epoch": 4, "warmup_steps": 2}
    recipe = Recipe("tiny", 16, **length, ema=0.9, patience=4, augment="shift_flip", jit=False)
    keras.utils.set_random_seed(0)
    with on_devices(devices):
        flow = make_plain_flow(**SMALL)
    adapted = []
    adapt = flow.adapt
    flow.adapt = lambda *args, **options: adapted.append(adapt(*args, **options))
    with contextlib.suppress(InterruptedRunError):
        train(flow, recipe, images[:120], images[128:161], folder, 0, [Stop()])
    return flow, len(adapted)


def trained(folder):
    """Curves, weights and files of a run on one device, and of one on two that was interrupted."""
    import keras
    import numpy as np

    from attnflow_keras.data import mnist_sample
    from attnflow_keras.training.callbacks import VALUES, read_curve

    images = mnist_sample()[:, 2:26:3, 2:26:3]
    found = {"adapted": [], "curves": [], "files": []}
    weights = []
    # JAX leaves out the last of 33 validation images, of which two devices can't share the batch.
    images = images[:160] if keras.backend.backend() == "jax" else images
    for devices in (1, 2):
        run = folder / f"run-{devices}"
        if devices == 2:
            found["adapted"].append(training(run, images, devices, stop=2)[1])
        flow, adapted = training(run, images, devices)
        found["adapted"].append(adapted)
        found["curves"].append([[row[v] for v in VALUES] for row in read_curve(run / "curve.csv")])
        found["files"].append(sorted(path.name for path in run.iterdir()))
        weights.append(flow.get_weights())
    found["difference"] = max(float(np.abs(a - b).max()) for a, b in zip(*weights, strict=True))
    return found


def commands(folder):
    """What the command line prints and writes on one device and on two."""
    import numpy as np
    from PIL import Image
    from typer.testing import CliRunner

    import zoo
    from attnflow_keras.data import mnist_sample, save_image
    from tests.conftest import make_plain_flow
    from zoo.cli.app import app

    images = mnist_sample()[:61, 2:26:3, 2:26:3]
    flow = make_plain_flow()
    flow.adapt(images)
    zoo.save(flow, folder / "entry", {"task": "unconditional"})
    for i, image in enumerate(images):
        save_image(folder / "pictures" / f"{i:02d}.png", image)

    def run(*arguments):
        result = CliRunner().invoke(app, list(map(str, arguments)))
        return f"error: {result.exception}" if result.exception else result.output

    entry, pictures = folder / "entry", folder / "pictures"
    found = {"scores": [], "samples": []}
    for devices in ("1", "all"):
        scores, samples = folder / f"scores-{devices}.csv", folder / f"samples-{devices}.png"
        run("score", entry, pictures, "-o", scores, "--devices", devices, "--batch-size", 16)
        run("sample", entry, "-n", 5, "-o", samples, "--devices", devices)
        lines = scores.read_text().splitlines()[1:]
        found["scores"].append([float(line.split(",")[1]) for line in lines])
        found["samples"].append(np.asarray(Image.open(samples)).astype(int).tolist())
    options = ["--steps", 4, "--batch-size", 16, "--out", folder / "mine"]
    start = ["train", entry, "--data", pictures, *options]
    found["train"] = run(*start, "--devices", 2)
    found["machine"] = json.loads((folder / "mine/entry/metadata.json").read_text())["training"]
    found["uneven"] = run(*start[:-1], folder / "uneven", "--devices", 2, "--batch-size", 15)
    found["errors"] = [
        run("score", entry, pictures, "--devices", given)
        for given in ("0", "3", "two", "-1", "1.5")
    ]
    found["alone"] = run(*start, "--distributed")
    return found


if __name__ == "__main__":
    two_devices()
    print("found " + json.dumps(globals()[sys.argv[1]](Path(sys.argv[2]))))
