"""attnflow export, verify and bench."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import export
import zoo
from export.runtime import Session
from tests.conftest import make_plain_flow
from tests.helpers import perturb
from zoo.cli.app import app

RUNNER = CliRunner()
ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def exported(tmp_path_factory, tiny_images):
    flow = make_plain_flow()
    flow.adapt(tiny_images)
    root = tmp_path_factory.mktemp("cli")
    zoo.save(perturb(flow, 0.05), root / "entry")
    np.save(root / "images.npy", tiny_images[:8])
    arguments = ["export", str(root / "entry"), "-o", str(root / "onnx")]
    result = RUNNER.invoke(app, [*arguments, "--images", str(root / "images.npy")])
    assert result.exit_code == 0, result.output
    return root, result.output


def test_export_says_what_was_measured(exported):
    root, output = exported
    assert "log_prob: " in output
    assert "wrong_levels: 0" in output
    assert (root / "onnx" / "manifest.json").exists()


def test_verify(exported, tmp_path):
    root, _ = exported
    result = RUNNER.invoke(app, ["verify", str(root / "onnx")])
    assert result.exit_code == 0
    assert "wrong_levels" in result.output
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    for path in (root / "onnx").iterdir():
        (damaged / path.name).write_bytes(path.read_bytes())
    (damaged / "decode.onnx").unlink()
    result = RUNNER.invoke(app, ["verify", str(damaged)])
    assert result.exit_code == 1
    assert "FAILS" in result.output
    assert "sha256 of decode.onnx" in str(result.exception)


def test_bench(exported):
    root, _ = exported
    options = ["--batches", "1,2", "--seconds", "0.01", "--threads", "1"]
    result = RUNNER.invoke(app, ["bench", str(root / "onnx"), *options])
    assert result.exit_code == 0, result.output
    for word in ("score", "sample", "encode", "decode", "CPUExecutionProvider"):
        assert word in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--to", "tflite"],
            "--to must be one of onnx, saved-model, triton, openvino, litert; got 'tflite'",
        ),
        (["--to", "saved-model", "--precision", "float16"], "is an option of onnx and triton"),
        (
            ["--to", "openvino", "--precision", "float16"],
            "is an option of onnx and triton, not of openvino",
        ),
        (["--precision", "int8"], "precision must be one of float32, float16; got 'int8'"),
    ],
)
def test_bad_arguments(exported, tmp_path, arguments, message):
    root, _ = exported
    result = RUNNER.invoke(
        app, ["export", str(root / "entry"), "-o", str(tmp_path / "x"), *arguments]
    )
    assert result.exit_code == 1
    assert message in str(result.exception)


def test_an_existing_folder_is_found_before_the_work(exported):
    root, _ = exported
    result = RUNNER.invoke(app, ["export", str(root / "entry"), "-o", str(root / "onnx")])
    assert result.exit_code == 1
    assert "exists" in str(result.exception)


def test_verify_counts_what_it_skips(exported, monkeypatch):
    root, _ = exported
    folder = str(root / "onnx")
    sound = json.loads(RUNNER.invoke(app, ["verify", folder, "--json", "--strict"]).stdout)
    assert sound["counts"]["skipped"] == sound["counts"]["FAILS"] == 0
    monkeypatch.setitem(sys.modules, "onnx", None)
    result = RUNNER.invoke(app, ["verify", folder])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    skipped = [line for line in lines if line.startswith("skipped")]
    assert len(skipped) == 3
    assert all("onnx.checker" in line and "not installed" in line for line in skipped)
    assert f"{sound['counts']['ok'] - 3} ok, 3 skipped, 0 FAILS" in lines
    checks = export.verify(folder)
    assert [check.state for check in checks].count("skipped") == 3
    assert all(check.ok for check in checks)
    result = RUNNER.invoke(app, ["verify", folder, "--strict"])
    assert result.exit_code == 1
    assert "--strict: skipped onnx.checker encode (the package onnx" in str(result.exception)


def test_figures_as_json(exported):
    root, _ = exported
    options = ["--batches", "1", "--seconds", "0.01", "--json"]
    content = json.loads(RUNNER.invoke(app, ["bench", str(root / "onnx"), *options]).stdout)
    assert content["timings"][0]["task"] == "score"
    given = ["score", str(root / "entry"), str(root / "images.npy"), "--json"]
    metric = json.loads(RUNNER.invoke(app, given).stdout)
    assert (metric["items"], metric["dims"]) == (8, 64)


def test_a_flow_trained_on_jax_is_exported(tiny_images, tmp_path):
    """``attnflow train`` on JAX wrote the folder, whose flow gave these figures there."""
    entry = ROOT / "tests" / "data" / "trained-on-jax"
    expected = np.load(f"{entry}-expected.npz")
    np.save(tmp_path / "images.npy", tiny_images[:8])
    command = ["export", str(entry), "-o", str(tmp_path / "onnx")]
    command += ["--images", str(tmp_path / "images.npy")]
    # As in the shell that trained it.
    environment = {**os.environ, "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, "-m", "zoo.cli", *command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    session = Session(tmp_path / "onnx", "cpu")
    np.testing.assert_allclose(session.bits_per_dim(tiny_images[:8]), expected["bits"], atol=1e-4)
    drawn = session.sample(4, temperature=0.8, seed=0)
    assert np.abs(drawn.astype(int) - expected["drawn"]).max() <= 1
    assert drawn.std() > 10
