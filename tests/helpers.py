"""What tests share: invertible maps, and entries with weights."""

import hashlib
import json
import struct
import zlib

import keras
import numpy as np
import pytest

import zoo
from attnflow_keras.data import bluemarble_sample
from attnflow_keras.data.odd import odd_condition, odd_images
from attnflow_keras.metrics import pixel_diversity

JAX = keras.backend.backend() == "jax"
if JAX:
    from tests.autodiff_jax import compiled, fresh, gradient, jacobian, weight_gradients
else:
    from tests.autodiff_tensorflow import compiled, fresh, gradient, jacobian, weight_gradients  # noqa: F401

needs_tensorflow = pytest.mark.skipif(JAX, reason="about TensorFlow")


def traced(function):
    """``function`` of tensors; compiled on JAX, which compiles every operation otherwise."""
    return compiled(function) if JAX else function


def run_eagerly(wanted):
    """Let TensorFlow run functions operation by operation, or not; returns how it was before."""
    if JAX:
        return False
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(wanted)
    return before


def perturb(layer, scale=0.3, seed=0):
    """Move every trainable weight away from its start, where many terms vanish."""
    rng = np.random.default_rng(seed)
    for variable in layer.trainable_variables:
        variable.assign(np.asarray(variable) + scale * rng.normal(size=variable.shape))
    return layer


def batch(shape, n=2, seed=1, dtype="float64"):
    return np.random.default_rng(seed).normal(size=(n, *shape)).astype(dtype)


def jacobian_log_det(function, x, condition=None):
    """log|det| of the Jacobian of ``function`` at each sample of ``x``, by autodiff."""
    return np.linalg.slogdet(jacobian(function, x, condition))[1]


def differences_log_det(function, x, step=1e-5):
    """log|det| of the Jacobian at each sample of ``x``, by central differences in float64.

    The function takes a batch and the sample that each of its rows comes from.
    """
    x = np.asarray(x)
    n, size = len(x), int(np.prod(x.shape[1:]))
    moves = step * np.concatenate([np.eye(size), -np.eye(size)])
    rows = (x.reshape(n, 1, size) + moves).reshape(-1, *x.shape[1:])
    y = np.asarray(function(rows, np.repeat(np.arange(n), 2 * size))).reshape(n, 2, size, size)
    return np.linalg.slogdet((y[:, 0] - y[:, 1]) / (2 * step))[1]


def check_entry(folder):
    """What holds for each entry with weights, of any task; returns its metadata."""
    metadata = json.loads((folder / "metadata.json").read_text())
    weights = (folder / "model.weights.h5").read_bytes()
    assert metadata["sha256"] == hashlib.sha256(weights).hexdigest()
    # The large entries may have 15 MB.
    most = 15_000_000 if folder.name.endswith("-large") or "-large-" in folder.name else 6_000_000
    assert metadata["bytes"] == len(weights) <= most
    for key in ("description", "task", "dataset", "dataset_license", "license", "parameters"):
        assert metadata[key]
    training = metadata["training"]
    for key in ("command", "seed", "steps", "images", "seconds", "machine", "date", "recipe"):
        assert training[key] not in (None, "")
    # At most 90 minutes of two cores; some ran on one of them.
    assert training.get("cores", 2) * training["seconds"] <= 2 * 90 * 60
    rows = (folder / "curve.csv").read_text().splitlines()
    assert int(rows[-1].split(",")[1]) == training["steps"]
    return metadata


def check_odd_images(name, flow):
    """Extreme images come back from an entry's flow where its card says so."""
    info = zoo.info(name)
    recorded = info["exactness"]["grey_levels"]
    pictures = odd_images(flow.image_shape)
    assert set(recorded) == set(pictures)
    assert max(recorded.values()) < 0.5
    exact = np.stack(list(pictures.values()))
    labels = None
    if info["dataset"] == "bluemarble_landcover":
        labels = bluemarble_sample()[1]
    given = odd_condition(flow, exact, labels)
    flow.encode(flow.dequantize(exact, center=True), given, check=True)


def check_pixels(flow, images, condition=None):
    """Decoding the latents of images returns every pixel."""
    x = flow.dequantize(images, center=True)
    latents, _ = flow.encode(x, condition)
    back = np.asarray(flow.decode([np.array(z) for z in latents], condition))
    np.testing.assert_array_equal(flow.to_uint8(back), images)


def check_diversity(flow, condition):
    """Samples of one condition differ, and follow the seed."""
    drawn = flow.sample(8, condition, temperature=0.9, seed=0)
    assert pixel_diversity(drawn[None])[0] > 2
    again = flow.sample(8, condition, temperature=0.9, seed=0)
    np.testing.assert_array_equal(drawn, again)


def png_chunk(kind, content):
    """One chunk of a PNG, with its length and check sum."""
    head = struct.pack(">I4s", len(content), kind)
    return head + content + struct.pack(">I", zlib.crc32(kind + content))


def grey_png(array, bits):
    """A grey PNG of 1, 2, 4, 8 or 16 bits that holds these integers, as Pillow writes none."""
    height, width = array.shape
    as_bits = np.unpackbits(array.astype(">u2").view("uint8").reshape(height, width, 2), axis=-1)
    rows = np.packbits(as_bits[..., 16 - bits :].reshape(height, width * bits), axis=1)
    content = b"".join(b"\0" + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", width, height, bits, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(content)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*chunk) for chunk in chunks)
