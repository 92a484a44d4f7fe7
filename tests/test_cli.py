"""The command line, on a small entry in a folder."""

import csv
import json

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import zoo
from attnflow_keras.data import save_image
from attnflow_keras.layers.flow_layer import POLICIES
from zoo.cli.app import app, main
from zoo.cli.common import PRECISIONS

runner = CliRunner()


@pytest.fixture
def folder(tiny_flow, tmp_path):
    path = tmp_path / "entry"
    zoo.save(tiny_flow, path, {"task": "unconditional"})
    return path


@pytest.fixture
def pictures(tmp_path, tiny_images):
    path = tmp_path / "pictures"
    for i in range(60):
        save_image(path / f"{i:02d}.png", tiny_images[i])
    return path


def run(*arguments):
    result = runner.invoke(app, [str(a) for a in arguments])
    if result.exception is not None:
        raise result.exception
    return " ".join(result.output.split())


def test_help_teaches():
    text = run("--help")
    for word in ("list", "info", "sample", "score", "train", "demo", "NAME"):
        assert word in text
    for command in ("list", "info", "sample", "score", "train", "demo"):
        assert len(run(command, "--help")) > 150


def test_list_and_info(folder):
    assert "imap" in run("list", "*mnist*")
    assert "unconditional" in run("info", folder)
    entry = json.loads(runner.invoke(app, ["info", "attnflow-imap-mnist", "--json"]).output)
    assert entry["config"]["attention"] == "imap"
    with pytest.raises(ValueError, match="no entry matches"):
        run("list", "nothing*")


def test_sample(folder, tmp_path):
    out = tmp_path / "grid.png"
    run("sample", folder, "-o", out, "-n", 6, "--seed", 1)
    assert Image.open(out).size == (3 * 10 + 2, 2 * 10 + 2)
    first = out.read_bytes()
    run("sample", folder, "-o", out, "-n", 6, "--seed", 1)
    assert out.read_bytes() == first
    run("sample", folder, "-o", tmp_path / "many", "-n", 3, "--separate")
    assert len(list((tmp_path / "many").glob("*.png"))) == 3


def test_score_of_a_folder_of_pictures(folder, pictures, tmp_path, tiny_images):
    out = tmp_path / "scores.csv"
    text = run("score", folder, pictures, "-o", out)
    flow = zoo.load(folder)
    bits = np.asarray(flow.bits_per_dim(tiny_images[:60]))
    assert f"{bits.mean():.4f} ±" in text
    assert "64 dims, 256 levels, uniform dequantization, 1 draw" in text
    with out.open() as file:
        rows = list(csv.DictReader(file))
    np.testing.assert_allclose([float(r["bits_per_dim"]) for r in rows], bits, atol=1e-4)


def test_score_averages_draws(folder, tmp_path, tiny_images):
    np.save(tmp_path / "a.npy", tiny_images[:16])
    text = run("score", folder, tmp_path / "a.npy", "--draws", 3)
    flow = zoo.load(folder)
    draws = [np.asarray(flow.bits_per_dim(tiny_images[:16], seed=s)).mean() for s in range(3)]
    assert f"{np.mean(draws):.4f} ±" in text


def test_train_on_own_pictures_resumes_and_writes_an_entry(folder, pictures, tmp_path):
    out = tmp_path / "run"
    options = ("--data", pictures, "--out", out, "--steps", 4, "--steps-per-epoch", 2)
    text = run("train", folder, *options, "--batch-size", 8, "--no-jit", "--fine-tune")
    assert "54 images, 4 steps of 8" in text
    entry = zoo.info(out / "entry")
    assert entry["training"]["steps"] == 4
    assert entry["training"]["command"] == (
        f"attnflow train {folder} --data {pictures} --steps 4 --batch-size 8 --steps-per-epoch 2 "
        "--no-jit --fine-tune"
    )
    assert entry["training"]["recipe"]["batch_size"] == 8
    assert entry["metrics"][0]["items"] == 6
    assert zoo.load(out / "entry").is_adapted
    assert len((out / "curve.csv").read_text().splitlines()) == 3
    run("train", folder, *options, "--batch-size", 8, "--no-jit", "--fine-tune")
    with pytest.raises(ValueError, match="run with other settings"):
        run("train", folder, *options, "--batch-size", 4, "--no-jit", "--fine-tune")


def test_train_options(folder, pictures, tmp_path, tiny_images):
    out = tmp_path / "run"
    options = ["--precision", "mixed_bfloat16", "--patience", 5, "--augment", "shift_flip"]
    steps = ["--steps", 4, "--steps-per-epoch", 2, "--batch-size", 8, "--no-jit"]
    text = run("train", folder, "--data", pictures, "-o", out, *options, *steps, "--tensorboard")
    assert "54 images, 4 steps of 8 in mixed_bfloat16 on " in text
    assert "trained 2 of at most 2 epochs; kept the weights of epoch " in text
    entry = zoo.info(out / "entry")
    recipe = entry["training"]["recipe"]
    assert (recipe["precision"], recipe["patience"]) == ("mixed_bfloat16", 5)
    assert recipe["augment"] == "shift_flip"
    assert " ".join(map(str, options)) in entry["training"]["command"]
    assert entry["training"]["steps"] == 4
    assert entry["training"]["kept_step"] in (2, 4)
    assert list((out / "tensorboard" / "train").glob("events*"))
    # The score is that of the entry as it is loaded, in float32, with its convention.
    metric = entry["metrics"][0]
    bits = np.asarray(zoo.load(out / "entry").bits_per_dim(tiny_images[9:60:10])).mean()
    assert metric["value"] == pytest.approx(bits, abs=1e-5)
    assert f"{metric['value']:.4f} ±" in text
    assert "64 dims, 256 levels, uniform dequantization, 1 draw" in text

    # A recipe of the entry, and what turns its settings off.
    options = ["--precision", "float32", "--patience", 0, "--augment", "none"]
    run("train", out / "entry", "--data", pictures, "-o", tmp_path / "off", *options, *steps)
    training = zoo.info(tmp_path / "off" / "entry")["training"]
    assert training["recipe"]["patience"] is None
    assert training["recipe"]["augment"] is None
    assert "--patience 0 --augment none" in training["command"]
    assert "kept_step" not in training


def test_train_option_errors(folder, pictures, tmp_path, monkeypatch):
    common = ("train", folder, "--data", pictures, "-o", tmp_path / "run")
    for options, message in (
        (("--precision", "float16"), r"precision must be one of 'float32', .*; got 'float16'"),
        (("--patience", "-1"), r"patience must be an integer of at least 1 \(epochs\).*; got -1"),
        (("--augment", "flip"), "augment must be None or one of 'shift_flip'; got 'flip'"),
    ):
        with pytest.raises(ValueError, match=message):
            run(*common, *options)
    few = ("train", folder, "--data", pictures / "00.png", "-o", tmp_path / "run")
    with pytest.raises(ValueError, match="--patience needs at least 50 images, .*; got 1 in"):
        run(*few, "--patience", 2)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'attnflow-keras\[tensorboard\]'"):
        run(*common, "--tensorboard")
    assert not (tmp_path / "run").exists()


def test_score_under_another_precision(folder, tmp_path, tiny_images):
    np.save(tmp_path / "a.npy", tiny_images[:16])
    text = run("score", folder, tmp_path / "a.npy", "--precision", "mixed_bfloat16")
    bits = np.asarray(zoo.load(folder, dtype="mixed_bfloat16").bits_per_dim(tiny_images[:16]))
    assert f"{bits.mean():.4f} ±" in text
    assert text.endswith("16 images) under mixed_bfloat16")
    with pytest.raises(ValueError, match="--precision must be one of float32, .*; got 'float16'"):
        run("score", folder, tmp_path / "a.npy", "--precision", "float16")
    assert PRECISIONS == POLICIES


def test_errors_are_one_line_and_exit_status_1(monkeypatch, capsys, tmp_path):
    for arguments, message in (
        (["sample", "attnflow-imap-mnits"], "did you mean"),
        (["score", "nothing-like-it", "x.npy"], "no entry"),
        (["list", "zzz*"], "no entry matches"),
        (["train", str(tmp_path)], "is not an entry"),
        # Square brackets are not markup.
        (["score", "attnflow-imap-mnist", str(tmp_path / "a[red]b.npy")], "a[red]b.npy"),
    ):
        monkeypatch.setattr("sys.argv", ["attnflow", *arguments])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 1
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert message in error
        assert "Traceback" not in error


def test_score_errors(folder, pictures, tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        run("score", folder, tmp_path / "nowhere")
    save_image(pictures / "wide.png", np.zeros((8, 9, 1), "uint8"))
    with pytest.raises(ValueError, match="--resize"):
        run("score", folder, pictures)
    assert "61 images" in run("score", folder, pictures, "--resize")
    monkeypatch.setattr(
        "attnflow_keras.data.load_dataset", lambda *_: np.zeros((5, 28, 28, 1), "uint8")
    )
    with pytest.raises(ValueError, match=r"mnist:test has images of \(28, 28, 1\)"):
        run("score", folder, "mnist:test")
    with pytest.raises(ValueError, match="temperature must be"):
        run("sample", folder, "--temperature", -1, "-o", tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()
