"""The scripts of the web page in node: NumPy's noise, and the figures of Session."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

import export
from attnflow_keras.core import noise
from attnflow_keras.runtime import Session
from export import web_runtime
from tests.browser import assert_levels, need_node, runtime_path
from tests.export_by_hand import made_by_hand

PAGE = Path(export.__file__).parent / "web"


def in_node(script, *arguments):
    """Run a module that may import from the page as ``PAGE/...``."""
    text = script.replace("PAGE", PAGE.as_uri())
    command = [need_node(), "--input-type=module", "-", *map(str, arguments)]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


NOISE = """
import fs from "node:fs";
import { DEQUANTIZATION, LATENTS, Philox, standardNormal, uniformNoise } from "PAGE/noise.js";
const [seed, count, out] = process.argv.slice(2);
const normals = standardNormal(new Philox(BigInt(seed), LATENTS), Number(count));
const uniforms = uniformNoise(new Philox(BigInt(seed), DEQUANTIZATION), Number(count));
fs.writeFileSync(out, Buffer.concat([Buffer.from(normals.buffer), Buffer.from(uniforms.buffer)]));
"""


@pytest.mark.parametrize(("seed", "count"), [(0, 200_000), (7, 100_001), (2**53 - 1, 50_000)])
def test_noise_is_that_of_numpy(tmp_path, seed, count):
    out = tmp_path / "noise.bin"
    in_node(NOISE, seed, count, out)
    normals, uniforms = np.split(np.fromfile(out, "float32"), 2)
    expected = noise.generator(seed, noise.LATENTS).standard_normal(count, dtype=np.float32)
    # Of the tail's logarithms, the last bit is the C library's.
    np.testing.assert_allclose(normals, expected, rtol=3e-7, atol=0)
    assert np.abs(expected).max() > 3.7
    drawn = noise.uniform_noise(noise.generator(seed, noise.DEQUANTIZATION), (count,))
    np.testing.assert_array_equal(uniforms, drawn)


MODEL = """
import fs from "node:fs";
import { Model } from "PAGE/model.js";
const [folder, runtime, asked, out] = process.argv.slice(2);
const ort = await import(`${runtime}/ort.wasm.min.mjs`);
ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";
const manifest = JSON.parse(fs.readFileSync(`${folder}/manifest.json`));
const open = (name) => ort.InferenceSession.create(fs.readFileSync(`${folder}/${name}.onnx`));
const model = new Model(manifest, ort, open);
const { images, condition } = JSON.parse(asked);
const given = { condition: condition === null ? null : Uint8Array.of(condition) };
const levels = Uint8Array.from(images);
const image = levels.slice(0, levels.length / 2);
const bits = await model.bitsPerDim({ image, ...given });
const samples = await model.sample({ n: 6, temperature: 0.7, seed: 3, ...given });
const morph = await model.interpolate({ images: levels, steps: 5, ...given });
fs.writeFileSync(out, JSON.stringify({ bits, samples: [...samples], morph: [...morph] }));
"""


@pytest.mark.parametrize(
    ("preprocess", "classes"), [(None, None), ({"pad": 1, "replicate": 3}, None), (None, 3)]
)
def test_model_computes_as_session(tmp_path, preprocess, classes):
    folder = made_by_hand(tmp_path / "export", classes, preprocess)
    session = Session(folder, "cpu")
    given = {} if classes is None else {"condition": np.array([2])}
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (2, *session.image_shape)).astype("uint8")
    runtimes = tmp_path / "runtime"
    runtimes.mkdir()
    for name, data in web_runtime.runtime_files(runtime_path()).items():
        (runtimes / name).write_bytes(data)
    asked = {"images": images.reshape(-1).tolist(), "condition": classes and 2}
    in_node(MODEL, folder, runtimes, json.dumps(asked), tmp_path / "out.json")
    got = json.loads((tmp_path / "out.json").read_text())
    assert got["bits"] == pytest.approx(session.bits_per_dim(images[:1], **given)[0], abs=1e-5)
    samples = session.sample(6, temperature=0.7, seed=3, **given)
    assert_levels(np.array(got["samples"]).reshape(samples.shape), samples)
    morph = session.interpolate(*images, 5, **given)
    assert_levels(np.array(got["morph"]).reshape(morph.shape), morph)
