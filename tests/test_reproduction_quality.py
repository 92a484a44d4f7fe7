"""Rows without likelihood, and how good the images of a row are."""

import json
import subprocess
from pathlib import Path

import keras
import numpy as np
import pytest
from typer.testing import CliRunner

import attnflow_keras.metrics
import zoo.gans
import zoo.gans.train
from attnflow_keras.data.dataset import DataSet
from tests.test_reproduction import TINY, finished
from zoo.cli.app import app
from zoo.errors import ZooError
from zoo.reproduction import (
    TABLES,
    Definition,
    Paper,
    Row,
    Table,
    plan,
    quality,
    runs,
    train_rows,
    write_report,
)
from zoo.reproduction.quality import measure, measure_rows
from zoo.reproduction.references import GANS, RECIPE, REFERENCES

SHORT = {**TINY.recipe, **RECIPE}
GAN = Definition(
    "marflow-mnist", {"image_shape": [8, 8, 1], "width": 2, "noise": 4}, SHORT, "DCGAN"
)
SMALL = {"image_shape": [16, 16, 3], "scale": 2}
ROWS = (
    Row("none", "no attention", TINY),
    Row("dcgan", "DCGAN", GAN, None, {"T9.1": Paper(scores={"FID": 37.1, "IS": 6.4})}),
)
TABLE = Table("tiny", "Tiny", "What it is.", ROWS, "none", 2)
BICUBIC = Definition("srflow-sr8-bluemarble", SMALL, SHORT, "Bicubic")
PAIRED = Table("paired", "Paired", "It.", (Row("bicubic", "bicubic", BICUBIC),), "bicubic", 2)


class Few(DataSet):
    """A few images of any shape."""

    name = "few"
    license = "CC0"

    def __init__(self, shape, scale=None):
        self.shape, self.scale = shape, scale

    def images(self, split):
        rng = np.random.default_rng(len(split))
        return rng.integers(0, 256, (10, *self.shape), dtype="uint8")

    def training(self, conditional=True):
        return self.images("train")


def rows_of(names):
    return [
        (table, row)
        for table in TABLES.values()
        for row in table.rows
        if row.small is not None and row.small.model in names
    ]


def test_references_are_rows():
    named = {row.small.model for _, row in rows_of(REFERENCES)}
    assert named == set(REFERENCES)
    assert set(GANS) == set(zoo.gans.__all__)


@pytest.mark.parametrize(("table", "row"), rows_of(GANS), ids=lambda given: given.name)
def test_definitions_are_models(table, row, tmp_path):
    (made, *_) = plan(table, tmp_path, "small", [row.name], 1)
    config = made.files()["config.json"]
    gan = getattr(zoo.gans, config["class"])(**config["config"], seed=1)
    assert gan.generator.count_params() < 5_000_000
    assert made.files()["metadata.json"]["training"]["recipe"]["learning_rate"] == 2e-4


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """A run of a GAN, by the function that its process calls."""
    monkeypatch.setattr(zoo.gans.train, "data_set", lambda name: Few((8, 8, 1)))
    made = plan(TABLE, tmp_path / "runs", "small", ["dcgan"], 1)[0]
    zoo.gans.train.run(made.write_definition(), made.folder)
    return made


@pytest.mark.eager
def test_a_gan_is_trained_kept_and_measured(trained, tmp_path, monkeypatch):
    result = trained.result
    assert result["metrics"] == []
    assert result["training"]["steps"] == 2
    assert result["training"]["images"] == 8
    gan = keras.saving.load_model(trained.folder / "entry" / "model.keras")
    assert result["parameters"] == gan.generator.count_params()
    assert gan.seed == trained.seed

    # A feature of each pixel.
    monkeypatch.setattr(
        attnflow_keras.metrics, "VGG16Features", lambda: lambda x: x.reshape(len(x), -1) / 255.0
    )
    monkeypatch.setattr("attnflow_keras.data.data_set", lambda name: Few((8, 8, 1)))
    found = measure(trained.folder, images=6)
    assert (found["items"], found["split"], found["temperature"]) == (6, "few test", None)
    few = Few((8, 8, 1))
    chosen = np.arange(6) * 10 // 6
    test, training = (few.images(s)[chosen].reshape(6, -1) / 255.0 for s in ("test", "train"))
    drawn = gan.sample(6, seed=0).reshape(6, -1) / 255.0
    for name, given in (("scores", drawn), ("floor", training)):
        expected = attnflow_keras.metrics.frechet_distance(given, test)
        assert found[name]["frechet"]["mean"] == pytest.approx(expected)
        expected, _ = attnflow_keras.metrics.kernel_distance(given, test)
        assert found[name]["kernel"] == {"mean": pytest.approx(expected)}
    json.dumps(found, allow_nan=False)


def test_a_finished_gan_is_not_trained_again(trained, monkeypatch):
    monkeypatch.setattr(runs.subprocess, "run", None)
    said = []
    train_rows([trained], said.append)
    assert said == ["1 of 1: dcgan, seed 0: finished"]


def test_each_model_is_trained_by_its_own_command(tmp_path, monkeypatch):
    commands = []

    def run(command, check):
        commands.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(runs.subprocess, "run", run)
    train_rows(plan(TABLE, tmp_path, "small", seeds=1), print)
    assert [command[1:3] for command in commands] == [["-m", "zoo.cli"], ["-m", "zoo.gans.train"]]


def test_interpolation_is_finished_at_once_and_measured(tmp_path, monkeypatch):
    plans = plan(PAIRED, tmp_path, "small")
    assert len(plans) == 1  # whatever the seeds
    monkeypatch.setattr(runs.subprocess, "run", None)
    train_rows(plans, lambda text: None)
    assert plans[0].result["parameters"] == 0
    monkeypatch.setattr("attnflow_keras.data.data_set", lambda name: Few((16, 16, 3), 2))
    monkeypatch.setattr(
        attnflow_keras.metrics, "LPIPS", lambda: lambda a, b, batch_size: a[:, 0, 0, 0]
    )
    found = measure(plans[0].folder)
    assert set(found["scores"]) == {"psnr", "ssim", "lr_psnr", "lpips"}
    assert found["items"] == 10
    assert "floor" not in found


def score(value, floor=True):
    scores = {"frechet": {"mean": value}, "kernel": {"mean": value / 10, "standard_error": 1e-4}}
    below = {"floor": {"frechet": {"mean": 0.5}, "kernel": {"mean": 0.0}}} if floor else {}
    return {
        "task": "unconditional",
        "split": "mnist test",
        "items": 2000,
        "scores": scores,
        **below,
    }


def without_likelihood(made):
    finished(made, 0.0)
    path = made.folder / "entry" / "metadata.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "metrics": []}))


def test_a_page_of_rows_with_and_without_likelihood(tmp_path):
    plans = plan(TABLE, tmp_path / "runs", "small")
    for made in plans:
        if made.row.name == "dcgan":
            without_likelihood(made)
        else:
            finished(made, 1.2 + made.seed)
    for made, value in zip(plans[:3], (4.0, 2.0, 5.0), strict=True):
        (made.folder / "quality.json").write_text(json.dumps(score(value)))
    page = write_report(TABLE, plans, "small", tmp_path / "docs")
    ours, _, rest = page.read_text().partition("## Sample quality")
    measured, _, papers = rest.partition("## The paper's")
    assert "| `none` | no attention | 2 | 1.7000 ± 0.5000 |" in ours
    assert "| `dcgan` | DCGAN | 2 |  |  |  | 1,234 | 8 | 30 |" in ours
    assert "Rows without bits/dim have no likelihood" in ours
    assert "2,000 samples" in measured
    assert "| `none` | no attention | 2 | 4.5 ± 0.5 | 0.450 ± 0.050 |" in measured
    assert "| `dcgan` | DCGAN | 1 | 2.0 | 0.200 |" in measured
    assert "|  | training images |  | 0.5 | 0.000 |" in measured
    assert "FID 37.1, IS 6.4" in papers
    assert "37.1" not in ours + measured
    lines = page.with_suffix(".csv").read_text().splitlines()
    assert "dcgan,0,,,,,,1234,8,30.0,2 CPU cores" in lines
    kept = (tmp_path / "docs" / "tiny-small-quality.csv").read_text().splitlines()
    assert kept[1] == "none,0,frechet,4.0,,mnist test,2000"
    assert kept[2] == "none,0,kernel,0.4,0.0001,mnist test,2000"
    assert len(kept) == 1 + 3 * 2


def test_a_page_before_anything_is_measured(tmp_path):
    plans = plan(TABLE, tmp_path / "runs", "small", seeds=1)
    finished(plans[0], 1.2)
    text = write_report(TABLE, plans, "small", tmp_path).read_text()
    assert "not measured yet: `attnflow reproduce tiny --quality`" in text
    assert "## Sample quality" not in text
    assert not (tmp_path / "tiny-small-quality.csv").exists()


def weights(folder):
    (folder / "lpips").mkdir()
    for name in ("vgg16", "alexnet"):
        (folder / "lpips" / f"{name}.npz").touch()


def test_what_is_finished_and_not_measured_is_measured(tmp_path, monkeypatch):
    commands, said = [], []

    def run(command, check):
        commands.append(command)
        return subprocess.CompletedProcess(command, len(commands) - 1)

    monkeypatch.setattr(quality.subprocess, "run", run)
    weights(tmp_path)
    monkeypatch.setenv("ATTNFLOW_DATA", str(tmp_path))
    plans = plan(TABLE, tmp_path / "runs", "small")
    for made in plans[:3]:
        finished(made, 1.2)
    (plans[0].folder / "quality.json").write_text(json.dumps(score(1.0)))
    with pytest.raises(ZooError, match="measuring row 'none', seed 1, ended with status 1"):
        measure_rows(plans, said.append)
    assert [Path(command[-1]) for command in commands] == [made.folder for made in plans[1:3]]
    assert said[0] == "1 of 3 finished trainings are measured"


def test_without_the_weights_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setattr(quality.subprocess, "run", None)
    monkeypatch.setenv("ATTNFLOW_DATA", str(tmp_path))
    plans = plan(TABLE, tmp_path / "runs", "small", seeds=1)
    finished(plans[0], 1.2)
    said = []
    measure_rows(plans, said.append)
    assert said[-1].startswith("sample quality is left out: set ATTNFLOW_DATA to a folder with lp")


def test_the_command_measures_and_trains_nothing(tmp_path, monkeypatch):
    monkeypatch.setitem(TABLES, "heads", Table("heads", "Tiny", "It.", ROWS, "none", 1))
    monkeypatch.setattr(runs.subprocess, "run", None)
    given = ["heads", "--quality", "--runs", str(tmp_path / "runs"), "-o", str(tmp_path)]
    result = CliRunner().invoke(app, ["reproduce", *given])
    assert result.exception is None
    assert "0 of 0 finished trainings are measured" in result.output
    assert "0 of 2 trainings are finished" in " ".join(result.output.split())
