"""Several devices give the loss, the step and the metrics of one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Two devices must be set up before the backend starts, so in a process of its own. Batches are of
# 16 and, on TensorFlow, at the end of 1 in fit and of 7 in evaluate: one device then has none, or
# more.
SCRIPT = """
import json

from tests.two_devices import two_devices

two_devices()

import keras
import numpy as np

from attnflow_keras.training import on_devices
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


count, some = (32, 16) if keras.backend.backend() == "jax" else (33, 23)
rng = np.random.default_rng(0)
data = {
    "image": rng.integers(0, 256, (count, 4, 4, 2), dtype="uint8"),
    "condition": rng.normal(size=(count, 4, 4, 3)).astype("float32"),
}
found = {}
for name, kind, zero_latent_weight, weighted, clip in (
    ("likelihood alone", ConditionalFlow, 0.0, False, {}),
    ("all terms", WithLosses, 5.0, True, {"global_clipnorm": 0.05}),
    ("clipped one by one", ConditionalFlow, 0.0, False, {"clipnorm": 0.01}),
):
    runs = []
    for devices in (1, 2):
        keras.utils.set_random_seed(0)
        with on_devices(devices):
            flow = kind()
            flow.adapt(data)
            flow.compile(
                keras.optimizers.SGD(1e-2, **clip),
                zero_latent_weight=zero_latent_weight,
                jit_compile=False,
            )
        before = flow.get_weights()
        options = {"batch_size": 16, "verbose": 0}
        weight = np.linspace(0, 2, count) if weighted else None
        history = flow.fit(data, sample_weight=weight, shuffle=False, **options).history
        fitted = {key: value[0] for key, value in history.items()}
        moved = [b - a for a, b in zip(before, flow.get_weights())]
        part = {key: value[:some] for key, value in data.items()}
        weight = None if weight is None else weight[:some]
        scores = flow.evaluate(part, sample_weight=weight, return_dict=True, **options)
        # Seven images, in batches of four: the last one is filled up.
        few = [value[:7] for value in data.values()]
        drawn = flow.sample(condition=few[1], seed=0, as_float=True, batch_size=4)
        used = [flow.bits_per_dim(*few, batch_size=4), drawn, flow.predict(part, **options)]
        runs.append((fitted, scores, np.concatenate([np.ravel(m) for m in moved]), used))
    (fit_1, scores_1, step_1, used_1), (fit_2, scores_2, step_2, used_2) = runs
    found[name] = {
        "fit": [fit_1, fit_2],
        "scores": [scores_1, scores_2],
        "used": [float(np.abs(b - np.array(a)).max()) for a, b in zip(used_1, used_2)],
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


@pytest.mark.parametrize("case", ["likelihood alone", "all terms", "clipped one by one"])
def test_two_devices_equal_one(found, case):
    for one, two in (found[case]["fit"], found[case]["scores"]):
        assert two == pytest.approx(one, rel=2e-5)
    size, difference = found[case]["step"]
    assert size > 1e-4
    assert difference < 1e-3 * size
    scores, images, predicted = found[case]["used"]
    assert scores < 1e-4
    assert images < 1e-4
    assert predicted < 1e-2  # nats, of some hundred
