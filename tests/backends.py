"""What pretrained entries give on TensorFlow: ``python -m tests.backends`` records it.

Both backends are compared with the record. Record it anew only where entries have changed.
"""

import os
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np

import zoo
from attnflow_keras.data import data_set
from attnflow_keras.ops.numerics import LN_2PI

EXPECTED = Path(__file__).parent / "data" / "pretrained.npz"
PRETRAINED = zoo.list(pretrained=True)
COUNT = 4  # images of an entry
EVERY = 16  # of the latents, so that the file is small


def some(name, flow):
    """Real test images of an entry's data set, and their condition or None."""
    task = zoo.info(name)["task"]
    bundled = data_set(zoo.info(name)["dataset"]).bundled()
    images = bundled["image"][:COUNT]
    if task == "class-conditional":
        return images, np.arange(len(images))
    return images, None if task == "unconditional" else bundled["condition"][:COUNT]


def measured(name):
    """Scores of images, and some of their latents."""
    flow = zoo.load(name)
    images, condition = some(name, flow)
    # One function that is compiled, of whose latents the score is made.
    latents, log_det = flow.encode(flow.dequantize(images), condition)
    flat = np.concatenate([np.asarray(z).reshape(COUNT, -1) for z in latents], axis=1)
    log_prob = np.asarray(log_det, "float64") - 0.5 * (flat.astype("float64") ** 2 + LN_2PI).sum(1)
    log_prob -= flow.float_dims * np.log(256)
    return {"bits": -log_prob / flow.num_dims / np.log(2), "latents": flat[:, ::EVERY]}


def record():
    """Write the file."""
    found = {}
    for name in PRETRAINED:
        found |= {f"{name}/{key}": value for key, value in measured(name).items()}
    np.savez_compressed(EXPECTED, **found)


if __name__ == "__main__":
    record()
