"""Tiny entries with what they gave when they were saved: ``python -m tests.golden NAME ...``.

Weights and arrays are committed, so that a later version has files of an earlier one to read.
Record an entry once, with the code that its files are to stand for; never to make a test pass.
"""

import os
import sys
import tempfile
import zipfile
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import keras
import numpy as np

import zoo
from attnflow_keras import models

FOLDER = Path(__file__).parent / "data" / "golden"
ARRAYS = "expected.npz"
PALETTE = [(0, 0, 120), (30, 160, 40), (230, 200, 90)]

# Name -> class and arguments of a flow, and the shape and bound of one condition.
FLOWS = {
    "marflow": (
        "MARFlow",
        {
            "image_shape": (4, 4, 2),
            "levels": 2,
            "steps": 1,
            "width": 2,
            "components": 2,
            "attention": "imap",
            "conditioner": "gated_conv",
            "conditioner_options": {"blocks": 1},
            "prior": "autoregressive",
            "prior_options": {"width": 2, "depth": 1},
        },
        None,
    ),
    "srflow": (
        "SRFlow",
        {
            "image_shape": (8, 8, 3),
            "scale": 2,
            "levels": 2,
            "steps": 1,
            "width": 2,
            "transition_steps": 1,
            "split": "all",
            "residual": True,
            "encoder_options": {"features": 2, "growth": 1, "blocks": 1, "stacked": (0,)},
        },
        ((4, 4, 3), 256),
    ),
    "fullglow": (
        "FullGlow",
        {
            "image_shape": (20, 20, 3),
            "levels": 2,
            "steps": 1,
            "width": 2,
            "condition_width": 2,
            "vector_options": {"filters": (2, 2, 2), "units": (2,)},
            "attention": "itrans",
            "attention_in": "both",
            "grid": (1, 5),
            "palette": PALETTE,
        },
        ((20, 20), 3),
    ),
    "dualglow": (
        "DualGlow",
        {"image_shape": (8, 8, 3), "levels": 2, "steps": 1, "width": 2, "palette": PALETTE},
        ((8, 8), 3),
    ),
    "cglow": (
        "CGlow",
        {
            "image_shape": (8, 8, 3),
            "levels": 2,
            "steps": 1,
            "width": 2,
            "condition_width": 2,
            "condition_units": 2,
            "palette": PALETTE,
        },
        ((8, 8), 3),
    ),
    "causalflow": (
        "CausalFlow",
        {
            "image_shape": (4, 4, 1),
            "patch": 2,
            "blocks": 2,
            "layers": 1,
            "width": 4,
            "heads": 2,
            "group": 2,
            "components": 2,
            "classes": 3,
            "condition_width": 2,
        },
        ((), 3),
    ),
}


def record(name: str) -> None:
    """Write the entry of this name."""
    kind, arguments, condition = FLOWS[name]
    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    flow = getattr(models, kind)(**arguments)
    images = rng.integers(0, 256, (48, *flow.image_shape)).astype("uint8")
    given = {"image": images}
    if condition is not None:
        shape, bound = condition
        given["condition"] = rng.integers(0, bound, (48, *shape)).astype("uint8")
    flow.adapt(given)
    for variable in flow.trainable_variables:
        moved = np.asarray(variable) + 0.05 * rng.normal(size=variable.shape)
        # Few digits, and few weights in large arrays, so that the file is small.
        kept = rng.random(variable.shape) < 200 / moved.size
        variable.assign(np.round(32 * kept * moved) / 32)
    arrays = {key: value[:2] for key, value in given.items()}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / name
        zoo.save(flow, folder, {"task": name})
        found = measured(zoo.load(folder), arrays)
        np.savez(folder / ARRAYS, **arrays, **found)
        # Together, because most of so small a weights file is what HDF5 notes of its groups.
        with zipfile.ZipFile(FOLDER / f"{name}.zip", "w", zipfile.ZIP_LZMA) as file:
            for path in sorted(folder.iterdir()):
                file.write(path, path.name)


def measured(flow, arrays):
    """Latents of these images, their log-determinant and scores, and a sample."""
    condition = arrays.get("condition")
    x = flow.dequantize(arrays["image"], seed=1)
    latents, log_det = flow.encode(x, condition)
    found = {f"latent_{i}": np.asarray(z) for i, z in enumerate(latents)}
    found["log_det"] = np.asarray(log_det)
    found["bits_per_dim"] = np.asarray(flow.bits_per_dim(arrays["image"], condition, seed=1))
    found["sample"] = flow.sample(2, condition, temperature=0.7, seed=2, as_float=True)
    return found


if __name__ == "__main__":
    for name in sys.argv[1:] or FLOWS:
        record(name)
