"""export.runtime.Session: the exported flow without TensorFlow."""

import copy as copies
import json
import multiprocessing
import pickle
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import export
from attnflow_keras.runtime.arguments import converted
from export import timing
from export.runtime import Session
from tests.helpers import perturb
from tests.test_flow_errors import CONDITION, IMAGES, ConditionalFlow

X = np.zeros((2, 8, 8, 1), "float32")


@pytest.fixture
def exported(export_of_one_step):
    return export_of_one_step


@pytest.fixture
def session(exported):
    return Session(exported[1], providers="cpu")


def test_the_manifest_says_what_a_program_needs(exported):
    flow, folder, _ = exported
    content = json.loads((folder / "manifest.json").read_text())
    assert content["format"] == 1
    assert content["image"]["shape"] == [8, 8, 1]
    assert [z["shape"] for z in content["latents"]] == [list(s) for s in flow.latent_shapes]
    encode = content["graphs"]["encode"]
    assert encode["inputs"] == [{"name": "image", "dtype": "float32", "shape": ["batch", 8, 8, 1]}]
    assert {"name": "log_det", "dtype": "float32", "shape": ["batch"]} in encode["outputs"]
    assert set(content["files"]) == {p.name for p in folder.iterdir()} - {"manifest.json"}
    assert content["parity"]["wrong_levels"] == 0
    assert content["fixtures"]["images"] == "real"


def test_values_on_a_device_are_bound_where_they_are(session, exported, tiny_images):
    x = session.dequantize(tiny_images[:4])
    value = onnxruntime.OrtValue.ortvalue_from_numpy(x, "cpu", 0)
    outputs = session.run("encode", {"image": value}, device="cpu")
    assert all(isinstance(v, onnxruntime.OrtValue) for v in outputs.values())
    latents = {name: v for name, v in outputs.items() if name.startswith("latent_")}
    back = session.run("decode", latents)["image"]
    np.testing.assert_allclose(back, x, atol=1e-4)


def test_device_arrays_stay_in_place_and_may_be_mixed(session, tiny_images):
    x = session.dequantize(tiny_images[:4])
    value = onnxruntime.OrtValue.ortvalue_from_numpy(x, "cpu", 0)
    expected = session.run("log_prob", {"image": x})["log_prob"]
    bound = session.run("log_prob", {"image": value}, device="cpu")["log_prob"]
    assert bound.device_name() == "cpu"
    np.testing.assert_array_equal(bound.numpy(), expected)
    latents = session.run("encode", {"image": value}, device="cpu")
    mixed = {"latent_0": latents["latent_0"], "latent_1": latents["latent_1"].numpy()}
    both = {name: latents[name] for name in mixed}
    np.testing.assert_array_equal(
        session.run("decode", mixed)["image"], session.run("decode", both)["image"]
    )
    # Memory that is written anew is read anew: nothing was copied when it was made.
    value.update_inplace(x[::-1].copy())
    np.testing.assert_allclose(
        session.run("log_prob", {"image": value})["log_prob"], expected[::-1], rtol=1e-5
    )


@pytest.mark.parametrize(
    ("inputs", "device", "message"),
    [
        ({"picture": X}, None, "inputs must be named image; got picture"),
        ({}, None, "inputs must be named image; got none"),
        (X, None, "inputs must be a dict of arrays named image; got ndarray"),
        ({"image": X, "latent_0": X}, None, "inputs must be named image; got image, latent_0"),
        ({"image": X.tolist()}, None, r"inputs\['image'\] must be a NumPy array or .* got list"),
        (
            {"image": X},
            "cuda",
            "device must be one of cpu, .*CPUExecutionProvider; got 'cuda'",
        ),
    ],
)
def test_bad_inputs_of_run(session, inputs, device, message):
    with pytest.raises(ValueError, match=message):
        session.run("log_prob", inputs, device)


@pytest.mark.parametrize("dtype", [">f4", "<f4", ">f8", "float64", "float16"])
def test_run_converts_floats_of_other_kinds(session, tiny_images, dtype):
    x = session.dequantize(tiny_images[:4], center=True).astype(dtype)
    expected = session.run("log_prob", {"image": x.astype("float32")})["log_prob"]
    for given in (x, np.asfortranarray(x)):
        np.testing.assert_array_equal(
            session.run("log_prob", {"image": given})["log_prob"], expected
        )
    bound = session.run("log_prob", {"image": x}, device="cpu")["log_prob"]
    np.testing.assert_array_equal(bound.numpy(), expected)
    np.testing.assert_array_equal(session.log_prob(x), expected)
    latents = [z.astype(dtype) for z in session.encode(x)[0]]
    single = [z.astype("float32") for z in latents]
    np.testing.assert_array_equal(session.decode(latents), session.decode(single))


ORT = onnxruntime.OrtValue.ortvalue_from_numpy


@pytest.mark.parametrize(
    ("name", "inputs", "message"),
    [
        ("log_prob", {"image": X[:0]}, r"\(n, 8, 8, 1\) with n of at least 1; got \(0, 8, 8, 1\)"),
        ("log_prob", {"image": ORT(X[:0])}, "with n of at least 1; got"),
        ("log_prob", {"image": X[0]}, r"must have shape .*; got \(8, 8, 1\)"),
        ("log_prob", {"image": X.astype("uint8")}, "must hold floats; got dtype uint8"),
        ("log_prob", {"image": X.astype(complex)}, "must hold floats; got dtype complex128"),
        ("log_prob", {"image": X.astype(object)}, "must hold floats; got dtype object"),
        ("log_prob", {"image": X + np.float64(1e39)}, "must fit float32; got float64 from 1e[+]39"),
        ("log_prob", {"image": ORT(X.astype("float64"))}, r"tensor\(float\); got tensor\(double"),
        (
            "decode",
            {"latent_0": np.zeros((2, 4, 4, 2)), "latent_1": np.zeros((3, 2, 2, 8))},
            "the same number of images each; got .*2, 'latent_1': 3",
        ),
    ],
)
def test_run_names_the_input_that_it_refuses(session, name, inputs, message):
    with pytest.raises(ValueError, match=message) as error:
        session.run(name, inputs)
    assert "\n" not in str(error.value)


def test_integers_are_converted_where_they_fit():
    given = np.array([[0, 255]], ">i8")
    np.testing.assert_array_equal(converted("x", given, "uint8"), np.uint8([[0, 255]]))
    with pytest.raises(ValueError, match="x must fit uint8; got int64 from 0 to 256"):
        converted("x", np.array([0, 256]), "uint8")
    with pytest.raises(ValueError, match="x must hold integers; got dtype bool"):
        converted("x", np.array([True]), "uint8")


@pytest.mark.parametrize("used", [False, True])
def test_a_session_can_be_pickled_and_copied(exported, session, tiny_images, monkeypatch, used):
    monkeypatch.chdir(exported[1].parent)
    relative = Session(exported[1].name, "cpu", threads=1)
    expected = session.bits_per_dim(tiny_images[:3])
    if used:
        relative.bits_per_dim(tiny_images[:3])
    monkeypatch.chdir("/")
    for other in (pickle.loads(pickle.dumps(relative)), copies.deepcopy(relative)):
        assert repr(other) == repr(relative)
        np.testing.assert_allclose(other.bits_per_dim(tiny_images[:3]), expected, rtol=1e-5)


def test_a_used_session_goes_to_a_spawned_process(session, tiny_images):
    expected = session.bits_per_dim(tiny_images[:3])
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found = pool.apply(session.bits_per_dim, (tiny_images[:3],))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_its_repr_says_what_it_is(session, exported):
    text = repr(session)
    assert text.startswith("<Session name=mar_flow")
    assert "image=(8, 8, 1) precision=float32 providers=CPUExecutionProvider" in text
    assert str(exported[1]) in text
    session.manifest["condition"] = {"shape": [4, 4, 3]}
    session.conditional = True
    assert "image=(8, 8, 1) condition=(4, 4, 3)" in repr(session)


def test_a_graph_that_is_not_there(session):
    with pytest.raises(ValueError, match="graph must be one of encode, decode, .*; got 'invert'"):
        session.graph("invert")


def test_a_conditional_flow(tmp_path):
    flow = ConditionalFlow()
    flow.adapt({"image": IMAGES, "condition": CONDITION})
    perturb(flow, 0.1)
    export.onnx(flow, tmp_path / "onnx", images=IMAGES, condition=CONDITION)
    session = Session(tmp_path / "onnx", "cpu")
    assert set(session.manifest["graphs"]) == {"condition", "encode", "decode", "log_prob"}
    bits = session.bits_per_dim(IMAGES, CONDITION)
    np.testing.assert_allclose(bits, flow.bits_per_dim(IMAGES, CONDITION), atol=2e-5)
    features = session.features(CONDITION, len(IMAGES))
    np.testing.assert_array_equal(session.bits_per_dim(IMAGES, features), bits)
    # One condition, many samples.
    samples = session.sample(3, CONDITION[:1], seed=0, as_float=True)
    repeated = np.repeat(CONDITION[:1], 3, axis=0)
    expected = flow.sample(3, repeated, seed=0, as_float=True)
    np.testing.assert_allclose(samples, expected, atol=1e-4)
    assert session.sample(condition=CONDITION[:4]).shape == (4, *IMAGES.shape[1:])
    named = session.features(CONDITION[:2], 2)
    assert session.sample(condition=named).shape == (2, *IMAGES.shape[1:])
    timings = list(timing.measure(session, batches=(2,), seconds=0.01))
    assert [row.task for row in timings] == list(timing.TASKS)
    for one in (flow, session):
        with pytest.raises(ValueError, match=r"missing; expected floats of shape \(n, 4, 4, 3\)"):
            one.sample(2)
        with pytest.raises(ValueError, match=r"condition must have shape \(n, 4, 4, 3\); got"):
            one.sample(2, CONDITION[:, :2])
        with pytest.raises(ValueError, match="n must be the number of conditions, 4, .*; got n=2"):
            one.sample(2, CONDITION[:4])
        with pytest.raises(ValueError, match="condition must be finite; got NaN or Inf"):
            one.sample(2, CONDITION[:2] * np.nan)
        with pytest.raises(ValueError, match="condition must hold floats; got dtype int64"):
            one.sample(2, CONDITION[:2].astype(int))
    with pytest.raises(ValueError, match="condition must hold feature_0; got feature_1"):
        session.sample(2, {"feature_1": CONDITION[:2]})
    with pytest.raises(ValueError, match="must be 1 features with the same number of items"):
        session.sample(2, (CONDITION[:2], CONDITION[:2]))


SCRIPT = """
import sys
import numpy as np
from export.runtime import Session
import export

folder = sys.argv[1]
session = Session(folder)
with np.load(folder + "/fixtures.npz") as f:
    bits = session.bits_per_dim(f["images"])
    score = session.log_prob(f["image"])
    assert np.abs(score - f["log_prob"]).max() < 1e-2, (score, f["log_prob"])
    latents, _ = session.encode(f["image"])
    assert (session.to_uint8(session.decode(latents)) == f["images"]).all()
assert session.sample(3, temperature=0.8, seed=0).shape[0] == 3
assert all(check.ok for check in export.verify(folder))
loaded = {name.split(".")[0] for name in sys.modules}
forbidden = {"tensorflow", "keras", "tensorflow_probability", "tf_keras", "onnx"} & loaded
assert not forbidden, forbidden
for name in ("tensorflow", "keras", "tensorflow_probability"):
    try:
        __import__(name)
    except ImportError:
        continue
    raise AssertionError(name + " is there")
print("ran without TensorFlow")
"""


def test_it_runs_in_an_environment_without_tensorflow(exported, tmp_path):
    """A fresh environment that holds NumPy, Pillow, onnxruntime and what they load."""
    venv.create(tmp_path / "env", with_pip=False, symlinks=True)
    python = tmp_path / "env" / "bin" / "python"
    packages = next((tmp_path / "env" / "lib").glob("python*")) / "site-packages"
    site = Path(np.__file__).parents[1]
    wanted = ("numpy", "PIL", "pillow", "onnxruntime", "flatbuffers", "google", "packaging")
    for path in site.iterdir():
        if path.name.lower().split(".")[0].split("-")[0] in {w.lower() for w in wanted}:
            (packages / path.name).symlink_to(path)
    root = Path(export.__file__).parents[1]
    for name in ("export", "attnflow_keras"):
        (packages / name).symlink_to(root / name)
    result = subprocess.run(
        [python, "-c", SCRIPT, str(exported[1])],
        capture_output=True,
        text=True,
        env={"PATH": "", "HOME": str(tmp_path)},
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert "ran without TensorFlow" in result.stdout
    assert sys.prefix != str(tmp_path / "env")
