"""Several replicas give the loss, the step and the metrics of one device."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Two logical devices must be set up before TensorFlow starts, so in a process of its own. Batches
# are of 16 and, at the end, of 1 in fit and of 7 in evaluate: one replica then has none, or more.
SCRIPT = """
import contextlib
import json

import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

import keras
import numpy as np

from attnflow_keras.ops.step_noise import StepNoise
from tests.test_flow_errors import ConditionalFlow


class WithLosses(ConditionalFlow):
    def call(self, inputs, training=False):
        log_prob = super().call(inputs, training=training)
        if training:
            floats = keras.ops.cast(inputs["image"], "float32")
            noise = StepNoise(0, 0, inputs.get("share"))
            mask = noise.keep_mask(keras.ops.shape(floats), 0.2, "float32")
            scale = keras.ops.mean(self.trainable_variables[0])
            self.add_loss(keras.ops.mean(floats * mask * scale) / 100)
        return log_prob


rng = np.random.default_rng(0)
data = {
    "image": rng.integers(0, 256, (33, 4, 4, 2), dtype="uint8"),
    "condition": rng.normal(size=(33, 4, 4, 3)).astype("float32"),
}
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
found = {}
for name, kind, zero_latent_weight, weighted in (
    ("likelihood alone", ConditionalFlow, 0.0, False),
    ("all terms", WithLosses, 5.0, True),
):
    runs = []
    for scope in (contextlib.nullcontext(), strategy.scope()):
        keras.utils.set_random_seed(0)
        with scope:
            flow = kind()
            flow.adapt(data)
            flow.compile(
                keras.optimizers.SGD(1e-2), zero_latent_weight=zero_latent_weight, jit_compile=False
            )
        before = flow.get_weights()
        options = {"batch_size": 16, "verbose": 0}
        weight = np.linspace(0, 2, 33) if weighted else None
        history = flow.fit(data, sample_weight=weight, shuffle=False, **options).history
        fitted = {key: value[0] for key, value in history.items()}
        moved = [b - a for a, b in zip(before, flow.get_weights())]
        part = {key: value[:23] for key, value in data.items()}
        weight = None if weight is None else weight[:23]
        scores = flow.evaluate(part, sample_weight=weight, return_dict=True, **options)
        runs.append((fitted, scores, np.concatenate([np.ravel(m) for m in moved])))
    (fit_1, scores_1, step_1), (fit_2, scores_2, step_2) = runs
    found[name] = {
        "fit": [fit_1, fit_2],
        "scores": [scores_1, scores_2],
        "step": [float(np.abs(step_1).max()), float(np.abs(step_2 - step_1).max())],
    }
print("found " + json.dumps(found))
"""


@pytest.fixture(scope="module")
def found():
    result = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        check=False,
    )
    lines = [line for line in result.stdout.splitlines() if line.startswith("found ")]
    assert lines, result.stderr
    return json.loads(lines[0].removeprefix("found "))


@pytest.mark.parametrize("case", ["likelihood alone", "all terms"])
def test_two_replicas_equal_one_device(found, case):
    for one, two in (found[case]["fit"], found[case]["scores"]):
        assert two == pytest.approx(one, rel=2e-5)
    size, difference = found[case]["step"]
    assert size > 1e-4
    assert difference < 1e-3 * size
