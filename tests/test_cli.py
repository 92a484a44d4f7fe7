"""The command line, on a small entry in a folder."""

import csv
import dataclasses
import json

import numpy as np
import pytest
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner

import zoo
from attnflow_keras.data import save_image
from attnflow_keras.data.augment import AUGMENTATIONS
from attnflow_keras.training import recipe
from tests.command_line import printed
from zoo.cli.app import app, main
from zoo.cli.train import make_recipe

pytestmark = pytest.mark.eager

runner = CliRunner()


@pytest.fixture
def folder(plain_flow, tmp_path):
    path = tmp_path / "entry"
    zoo.save(plain_flow, path, {"task": "unconditional"})
    return path


@pytest.fixture
def pictures(tmp_path, tiny_images):
    path = tmp_path / "pictures"
    for i in range(60):
        save_image(path / f"{i:02d}.png", tiny_images[i])
    return path


def test_help_teaches():
    text = printed("--help")
    for word in ("list", "info", "sample", "score", "train", "demo", "NAME"):
        assert word in text
    for command in ("list", "info", "sample", "score", "train", "demo"):
        assert len(printed(command, "--help")) > 150
        assert printed(command, "-h") == printed(command, "--help")
    text = printed("train", "-h")
    for words in ("every tenth image is held out", "fewer than 50", "selected the weights"):
        assert words in text


def test_list_and_info(folder):
    assert "imap" in printed("list", "*mnist*")
    text = " ".join(printed("info", folder).replace("│", "").split())
    assert "unconditional" in text
    size = (folder / "model.weights.h5").stat().st_size
    assert f"weights yes, {size / 1e6:.1f} MB" in text
    assert "pretrained" not in text
    assert "weights no" in " ".join(printed("info", "marflow-2x48-mnist").replace("│", "").split())
    entry = json.loads(runner.invoke(app, ["info", "attnflow-imap-mnist", "--json"]).output)
    assert entry["config"]["attention"] == "imap"
    with pytest.raises(ValueError, match="no entry matches"):
        printed("list", "nothing*")


def test_sample(folder, tmp_path):
    out = tmp_path / "grid.png"
    printed("sample", folder, "-o", out, "-n", 6, "--seed", 1)
    assert Image.open(out).size == (3 * 10 + 2, 2 * 10 + 2)
    first = out.read_bytes()
    printed("sample", folder, "-o", out, "-n", 6, "--seed", 1)
    assert out.read_bytes() == first
    printed("sample", folder, "-o", tmp_path / "many", "-n", 3, "--separate")
    assert len(list((tmp_path / "many").glob("*.png"))) == 3


def test_score_of_a_folder_of_pictures(folder, pictures, tmp_path, tiny_images):
    out = tmp_path / "scores.csv"
    text = printed("score", folder, pictures, "-o", out)
    flow = zoo.load(folder)
    bits = np.asarray(flow.bits_per_dim(tiny_images[:60]))
    assert f"{bits.mean():.4f} ±" in text
    assert "64 dims, 256 levels, uniform dequantization, 1 draw" in text
    with out.open() as file:
        rows = list(csv.DictReader(file))
    np.testing.assert_allclose([float(r["bits_per_dim"]) for r in rows], bits, atol=1e-4)
    assert [r["file"] for r in rows] == sorted(path.name for path in pictures.iterdir())


def test_the_mean_is_there_before_the_file(folder, pictures, tmp_path, monkeypatch):
    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr("csv.writer", full)
    arguments = ["score", str(folder), str(pictures), "-o", str(tmp_path / "new" / "a.csv")]
    result = runner.invoke(app, arguments)
    assert isinstance(result.exception, OSError)
    assert "± " in result.output
    assert "60 images)" in " ".join(result.output.split())


def test_score_averages_draws(folder, tmp_path, tiny_images):
    np.save(tmp_path / "a.npy", tiny_images[:16])
    text = printed("score", folder, tmp_path / "a.npy", "--draws", 3)
    flow = zoo.load(folder)
    draws = [np.asarray(flow.bits_per_dim(tiny_images[:16], seed=s)).mean() for s in range(3)]
    assert f"{np.mean(draws):.4f} ±" in text


def test_train_on_own_pictures_resumes_and_writes_an_entry(
    folder, pictures, tiny_images, tmp_path, monkeypatch
):
    out = tmp_path / "run"
    options = ("--data", pictures, "--out", out, "--steps", 4, "--steps-per-epoch", 2)
    text = printed("train", folder, *options, "--batch-size", 8, "--no-jit", "--fine-tune")
    assert "54 images, 4 steps of 8" in text
    assert "chosen on" not in text
    entry = zoo.info(out / "entry")
    assert entry["training"]["steps"] == 4
    assert entry["derived_from"] == zoo.info(folder)["name"]
    assert entry["training"]["command"] == (
        f"attnflow train {folder} --data {pictures} --batch-size 8 --steps 4 --steps-per-epoch 2 "
        "--no-jit --fine-tune"
    )
    assert entry["training"]["recipe"]["batch_size"] == 8
    assert entry["metrics"][0]["items"] == 6
    assert zoo.load(out / "entry").is_adapted
    assert len((out / "curve.csv").read_text().splitlines()) == 3
    printed("train", folder, *options, "--batch-size", 8, "--no-jit", "--fine-tune")
    with pytest.raises(ValueError, match="run with other settings"):
        printed("train", folder, *options, "--batch-size", 4, "--no-jit", "--fine-tune")
    same = ("train", folder, *options, "--batch-size", 8, "--no-jit", "--fine-tune")
    with pytest.raises(ValueError, match=rf"attnflow train {out}/entry --fine-tune --steps N"):
        printed(*same, "--steps", 6)

    # Ctrl-C says how to go on.
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("zoo.cli.train_run.train", interrupted)
    result = runner.invoke(app, [str(a) for a in same])
    assert result.exit_code != 0
    assert "interrupted; the same command resumes after epoch 2 (step 4 of 4)" in result.stderr
    result = runner.invoke(app, [str(a) for a in (*same, "--out", tmp_path / "new")])
    assert "interrupted; the same command starts anew" in result.stderr
    monkeypatch.undo()

    save_image(pictures / "00.png", 255 - tiny_images[0])
    with pytest.raises(ValueError, match="holds a run on other training images: 54 of shape"):
        printed(*same)


def test_train_options(folder, pictures, tmp_path, tiny_images):
    out = tmp_path / "run"
    options = ["--augment", "shift_flip", "--patience", 5, "--precision", "mixed_bfloat16"]
    # The last epoch is a short one.
    steps = ["--steps", 3, "--steps-per-epoch", 2, "--batch-size", 8, "--no-jit"]
    steps += ["--validation-images", 4]
    text = printed(
        "train", folder, "--data", pictures, "-o", out, *options, *steps, "--tensorboard"
    )
    assert "54 images, 3 steps of 8 in mixed_bfloat16 on " in text
    assert "trained 2 of at most 2 epochs; kept the weights of epoch " in text
    entry = zoo.info(out / "entry")
    settings = entry["training"]["recipe"]
    assert (settings["precision"], settings["patience"]) == ("mixed_bfloat16", 5)
    assert settings["augment"] == "shift_flip"
    assert " ".join(map(str, options)) in entry["training"]["command"]
    assert entry["training"]["steps"] == 3
    assert entry["training"]["kept_step"] in (2, 3)
    assert list((out / "tensorboard" / "train").glob("events*"))
    # The score is that of the entry as it is loaded, in float32, with its convention.
    metric = entry["metrics"][0]
    bits = np.asarray(zoo.load(out / "entry").bits_per_dim(tiny_images[9:40:10])).mean()
    assert metric["value"] == pytest.approx(bits, abs=1e-5)
    assert f"{metric['value']:.4f} ±" in text
    assert "64 dims, 256 levels, uniform dequantization, 1 draw" in text
    assert "validation: 4 images; the weights were chosen on these images)" in text
    assert "chosen on these images" in (out / "entry" / "card.md").read_text()

    # A recipe of the entry, and what turns its settings off.
    options = ["--precision", "float32", "--patience", 0, "--augment", "none"]
    printed("train", out / "entry", "--data", pictures, "-o", tmp_path / "off", *options, *steps)
    training = zoo.info(tmp_path / "off" / "entry")["training"]
    assert training["recipe"]["patience"] is None
    assert training["recipe"]["augment"] is None
    assert "--augment none --patience 0" in training["command"]
    assert "kept_step" not in training


def test_train_option_errors(folder, pictures, tmp_path, monkeypatch):
    common = ("train", folder, "--data", pictures, "-o", tmp_path / "run")
    for options, message in (
        (("--precision", "float16"), r"--precision must be one of float32, .*; got 'float16'"),
        (
            ("--augment", "flip"),
            "--augment must be one of none, shift, shift_flip, recolor; got 'flip'",
        ),
        (("--optimizer", "sgd"), "--optimizer must be one of adam, adamax; got 'sgd'"),
        (
            ("--schedule", "step"),
            "--schedule must be one of cosine, constant, halving, linear; got 'step'",
        ),
        (("--ema", 1.0), r"--ema must be a number in \[0, 1\); got 1.0"),
        (("--learning-rate", 0), "--learning-rate must be a positive number; got 0.0"),
    ):
        with pytest.raises(ValueError, match=message):
            printed(*common, *options)
    for option, value, words in (
        ("--patience", "-1", "0"),
        ("--steps", "0", "1"),
        ("--steps", "1.5", "integer"),
        ("--seed", "-5", "0"),
        ("--warmup-steps", "-1", "0"),
    ):
        result = runner.invoke(app, [str(a) for a in (*common, option, value)])
        assert result.exit_code == 2
        message = result.output.partition("Error: ")[2]
        assert option in message
        assert words in message
    with pytest.raises(NotADirectoryError, match="--out must be a folder; .*00.png is a file"):
        printed("train", folder, "--data", pictures, "-o", pictures / "00.png")
    few = ("train", folder, "--data", pictures / "00.png", "-o", tmp_path / "run")
    with pytest.raises(ValueError, match="--patience needs at least 50 images, .*; got 1 in"):
        printed(*few, "--patience", 2)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    missing = r"--tensorboard needs the package .*pip install 'tensorboard>="
    with pytest.raises(ImportError, match=missing):
        printed(*common, "--tensorboard")
    assert not (tmp_path / "run").exists()


def test_options_of_train_are_the_settings_of_recipes():
    command = get_command(app).commands["train"]
    options = {option.name: option for option in command.params}
    settings = {f.name: f for f in dataclasses.fields(recipe.Recipe)}
    assert settings.keys() - options.keys() == {"dataset", "stop_step"}
    for name, field in settings.items():
        if name not in ("dataset", "stop_step", "resize", "background"):
            start = field.metadata["help"][1:30]
            assert start in options[name].help
            assert f"    {name}: {field.metadata['help'][:30]}" in recipe.Recipe.__doc__
    assert f"[0<=x<={recipe.SEED_LIMIT}]" in runner.invoke(app, ["train", "--help"]).output
    assert (None, *AUGMENTATIONS) == recipe.AUGMENTATIONS


def test_short_runs_average_and_warm_up_over_a_tenth():
    long = {"dataset": "mnist", "steps": 20_000, "stop_step": 14_000, "steps_per_epoch": 1000}
    # Without steps it is the entry's run.
    assert make_recipe(long, {}, False) == recipe.Recipe(**long)
    assert make_recipe(long, {"dataset": "mine"}, False).ema == 0.999
    short = make_recipe(long, {"steps": 100}, False)
    assert (short.ema, short.warmup_steps, short.last_step) == (0.9, 10, 100)
    assert (short.steps_per_epoch, short.epochs) == (100, 1)
    assert make_recipe(long, {"steps": 10}, False).ema == 0
    tuned = make_recipe(long, {}, True)
    assert (tuned.ema, tuned.warmup_steps, tuned.learning_rate) == (0.99, 200, 1e-4)
    tuned = make_recipe(long, {"steps": 500}, True)
    assert (tuned.ema, tuned.warmup_steps) == (0.98, 50)
    given = {"steps": 500, "ema": 0.5, "warmup_steps": 3, "learning_rate": 1e-5}
    tuned = make_recipe(long, given, True)
    assert (tuned.ema, tuned.warmup_steps, tuned.learning_rate) == (0.5, 3, 1e-5)
    assert make_recipe({**long, "ema": 0.0}, {"steps": 500}, False).ema == 0


def test_recipes_of_entries_end_with_whole_epochs():
    for name in zoo.list():
        settings = zoo.info(name)["training"]["recipe"]
        entry = make_recipe(settings, {}, False)
        assert entry == recipe.Recipe.from_dict(settings)
        assert entry.last_step % entry.steps_per_epoch == 0


def test_score_under_another_precision(folder, tmp_path, tiny_images):
    np.save(tmp_path / "a.npy", tiny_images[:16])
    text = printed("score", folder, tmp_path / "a.npy", "--precision", "mixed_bfloat16")
    bits = np.asarray(zoo.load(folder, dtype="mixed_bfloat16").bits_per_dim(tiny_images[:16]))
    assert f"{bits.mean():.4f} ±" in text
    assert text.endswith("16 images) under mixed_bfloat16")
    with pytest.raises(ValueError, match="--precision must be one of float32, .*; got 'float16'"):
        printed("score", folder, tmp_path / "a.npy", "--precision", "float16")


def test_errors_are_one_line_and_exit_status_1(monkeypatch, capsys, tmp_path):
    for arguments, message in (
        (["sample", "attnflow-imap-mnits"], "did you mean"),
        (["sample", "nothing-like-it"], "'attnflow list'"),
        (["info", f"{tmp_path}/./"], f"{tmp_path}/./ is not an entry"),
        (["score", "attnflow-imap-mnist", "mnist"], "such as mnist:test"),
        (["score", "attnflow-imap-mnist", "x.npy", "-o", str(tmp_path)], "--out must be a file"),
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
        printed("score", folder, tmp_path / "nowhere")
    save_image(pictures / "wide.png", np.zeros((8, 9, 1), "uint8"))
    with pytest.raises(ValueError, match="--resize"):
        printed("score", folder, pictures)
    assert "61 images" in printed("score", folder, pictures, "--resize")
    np.save(tmp_path / "wide.npy", np.zeros((5, 8, 9, 1), "uint8"))
    with pytest.raises(ValueError, match=r"\(8, 9, 1\). --resize is for images, not for arrays"):
        printed("score", folder, tmp_path / "wide.npy", "--resize")
    with pytest.raises(NotADirectoryError, match="--out: can't write .*wide.npy is not a folder"):
        printed("score", folder, pictures, "-o", tmp_path / "wide.npy" / "a.csv")
    monkeypatch.setattr(
        "attnflow_keras.data.sets.mnist.MNIST.images",
        lambda *_: np.zeros((5, 28, 28, 1), "uint8"),
    )
    with pytest.raises(ValueError, match=r"mnist:test has images of \(28, 28, 1\)"):
        printed("score", folder, "mnist:test")
    with pytest.raises(ValueError, match="temperature must be"):
        printed("sample", folder, "--temperature", -1, "-o", tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()


def test_env_tells_versions_devices_and_settings(monkeypatch):
    monkeypatch.setenv("ATTNFLOW_ZOO", "/somewhere")
    found = json.loads(printed("env", "--json"))
    assert found["packages"]["numpy"] == np.__version__
    assert found["packages"]["attnflow-keras"] == printed("--version")
    assert found["variables"]["ATTNFLOW_ZOO"] == "/somewhere"
    assert "CPUExecutionProvider" in found["onnxruntime_providers"]
    assert found["device"]
    text = printed("env")
    assert f"numpy {np.__version__}" in text
    assert "/somewhere" in text
