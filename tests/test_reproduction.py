"""attnflow reproduce: what is planned, trained, kept, and written about it."""

import json
import math
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import zoo
from attnflow_keras.data import data_set
from attnflow_keras.training.recipe import Recipe
from zoo.cli.app import app
from zoo.cli.reproduce import TABLES as NAMES
from zoo.errors import ZooError
from zoo.reproduction import TABLES, Definition, Paper, Plan, Row, Table, plan, runs, write_report

TINY = Definition(
    "marflow-mnist",
    {"levels": 1, "steps": [1], "width": [4], "components": [2], "conv_init": "identity"},
    {"steps": 2, "steps_per_epoch": 2, "stop_step": None, "batch_size": 4, "jit": False,
     "warmup_steps": 0, "ema": 0.0, "validation_images": 8},
)  # fmt: skip
ROWS = (
    Row("none", "no attention", TINY, note="A note."),
    Row("other", "another", TINY, None, {"T9.1": Paper(0.5, 3072, 1.5), "T9.2": Paper(0.88)}),
    Row("printed", "of the paper alone", printed={"T9.3": Paper(1.05, 784)}),
)
TABLE = Table("tiny", "Tiny", "What it is.", ROWS, "none", 2)


def test_tables_are_sound():
    assert tuple(TABLES) == NAMES
    for table in TABLES.values():
        names = [row.name for row in table.rows]
        assert len(set(names)) == len(names)
        assert table.row(table.baseline).small is not None
        for row in table.rows:
            assert row.small or row.paper or row.printed, f"{table.name} {row.name}"


@pytest.mark.parametrize("budget", ["small", "paper"])
@pytest.mark.parametrize("table", TABLES)
def test_rows_are_entries_with_changes(table, budget, tmp_path):
    known = zoo.list()
    for made in plan(TABLES[table], tmp_path, budget, seeds=1):
        assert made.definition.entry in known
        files = made.files()
        recipe = files["metadata.json"]["training"]["recipe"]
        assert Recipe.from_dict(recipe).seed == 0
        if budget == "small":
            assert recipe["steps"] <= 1500
        # Nothing of another flow's results is said of this one.
        assert "metrics" not in files["metadata.json"]


@pytest.mark.parametrize("table", TABLES)
def test_rows_of_a_small_table_see_the_same_images(table, tmp_path):
    recipes = [
        made.files()["metadata.json"]["training"]["recipe"]
        for made in plan(TABLES[table], tmp_path, "small", seeds=1)
    ]
    for key in ("dataset", "steps", "batch_size", "seed", "augment"):
        assert len({str(recipe[key]) for recipe in recipes}) == 1, key


def test_the_scale_coupling_is_as_large_as_the_attention(tmp_path):
    made = {p.row.name: p for p in plan(TABLES["table2"], tmp_path, "small", seeds=1)}
    counts = {
        name: zoo.load(made[name].write_definition(), weights=False).count_params()
        for name in ("none", "scale", "imap")
    }
    assert counts["scale"] == counts["imap"] > counts["none"]


def finished(made: Plan, value: float) -> None:
    """As a training leaves it."""
    made.write_definition()
    metric = {"name": "bits_per_dim", "value": value, "standard_error": 0.003, "items": 10,
              "dims": 784, "split": "mnist test"}  # fmt: skip
    other = {**metric, "value": 9.0, "split": "mnist validation"}
    training = {"images": 8, "seconds": 30.0 + value, "machine": "2 CPU cores", "recipe": {}}
    folder = made.folder / "entry"
    folder.mkdir(parents=True)
    content = {"metrics": [other, metric], "parameters": 1234, "training": training}
    (folder / "metadata.json").write_text(json.dumps(content))


def test_page_and_csv(tmp_path):
    plans = plan(TABLE, tmp_path / "runs", "small")
    assert [(made.row.name, made.seed) for made in plans] == [
        ("none", 0), ("other", 0), ("none", 1), ("other", 1),
    ]  # fmt: skip
    for made, value in zip(plans, (1.2, 1.1, 1.3, 1.3), strict=False):
        finished(made, value)
    page = write_report(TABLE, plans, "small", tmp_path / "docs")
    text = page.read_text()
    assert "4 of 4 trainings" in text
    cells = {line.split("|")[1].strip(): line for line in text.splitlines() if "|" in line}
    error = np.std([1.2, 1.3], ddof=1) / math.sqrt(2)
    assert f"| 2 | 1.2500 ± {error:.4f} | ± 0.0030 |  | 1,234 | 8 | 31 |" in cells["`none`"]
    ours = [line for line in text.splitlines() if line.startswith("| `other` | another")]
    difference = np.array([-0.1, 0.0])
    expected = f"{difference.mean():+.4f} ± {difference.std(ddof=1) / math.sqrt(2):.4f}"
    assert expected in ours[0]
    printed = text.partition("## The paper's")[2]
    assert "| `other` | T9.1 | 0.5 | 3072 | 1,536 | 1.5 M |  |" in printed
    assert "| `other` | T9.2 | 0.88 | not known |  |  |  |" in printed
    assert "| `printed` | T9.3 | 1.05 | 784 | 823 |" in printed
    # The paper's figures are in no row of ours.
    assert "0.88" not in text.partition("## The paper's")[0]
    assert "- `none`: A note." in text
    rows = page.with_suffix(".csv").read_text().splitlines()
    assert rows[1] == "none,0,1.2,0.003,mnist test,10,784,1234,8,31.2,2 CPU cores"
    assert len(rows) == 5


def test_one_seed_has_no_error(tmp_path):
    plans = plan(TABLE, tmp_path / "runs", "small", seeds=1)
    finished(plans[0], 1.2)
    text = write_report(TABLE, plans, "small", tmp_path).read_text()
    assert "| 1 | 1.2000 | ± 0.0030 |" in text
    assert "1 of 2 trainings" in text
    assert "nothing is trained yet" not in text
    assert "nothing is trained yet" in write_report(TABLE, [], "small", tmp_path).read_text()


def test_a_run_of_another_definition_is_not_taken(tmp_path):
    (made, *_) = plan(TABLE, tmp_path, "small")
    finished(made, 1.2)
    assert made.result is not None
    changed = Row("none", "no attention", Definition("marflow-mnist", {"width": [8]}))
    other = Plan(changed, changed.small, made.seed, made.folder)
    with pytest.raises(ZooError, match="holds a run of another definition"):
        _ = other.result


def test_what_is_finished_is_not_trained_again(tmp_path, monkeypatch):
    commands, said = [], []

    def run(command, check):
        commands.append(command)
        return subprocess.CompletedProcess(command, 0 if len(commands) < 2 else 3)

    monkeypatch.setattr(runs.subprocess, "run", run)
    plans = plan(TABLE, tmp_path, "small")
    finished(plans[0], 1.2)
    with pytest.raises(ZooError, match=r"row 'none', seed 1, ended with status 3; the same"):
        runs.train_rows(plans, said.append)
    assert [Path(command[-1]) for command in commands] == [plans[1].folder, plans[2].folder]
    assert said[0] == "1 of 4: none, seed 0: finished"


def run_command(*arguments):
    return CliRunner().invoke(app, ["reproduce", *map(str, arguments)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["table9"], "TABLE must be one of table2"),
        (["masks", "--budget", "large"], "--budget must be one of small, paper"),
        (["masks", "--only", "diagonal"], "rows of masks are none, spatial"),
        (["table2", "--only", "imap-2x96"], "row 'imap-2x96' of table2 has no small budget"),
    ],
)
def test_bad_input(arguments, message):
    assert message in str(run_command(*arguments).exception)


def test_rows_are_listed_without_training(tmp_path):
    result = run_command("heads", "--rows", "--json", "--runs", tmp_path / "runs")
    assert json.loads(result.stdout)["heads-3"] == "iTrans, 3 heads"
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif(
    not Path(os.environ.get("ATTNFLOW_DATA", ""), "mnist.npz").is_file()
    or "ATTNFLOW_DATA" not in os.environ,
    reason="the digits are needed: set ATTNFLOW_DATA to a folder with mnist.npz",
)
def test_a_row_is_trained_scored_and_written(tmp_path, monkeypatch):
    monkeypatch.setitem(TABLES, "heads", Table("heads", "Tiny", "What it is.", ROWS, "none", 1))
    given = ("--runs", tmp_path / "runs", "-o", tmp_path / "docs", "--only", "none")
    result = run_command("heads", *given)
    assert result.exception is None
    assert "1 of 2 trainings are finished" in " ".join(result.output.split())
    (row,) = (tmp_path / "docs" / "heads-small.csv").read_text().splitlines()[1:]
    name, seed, value, error, split, items, *_ = row.split(",")
    assert (name, seed, split, items) == ("none", "0", "mnist test", "10000")
    flow = zoo.load(tmp_path / "runs" / "heads" / "small" / "none" / "0" / "entry")
    scored = np.asarray(flow.bits_per_dim(data_set("mnist").images("test")[::20]))
    # The mean of every twentieth image is near that of all.
    assert abs(scored.mean() - float(value)) < 5 * scored.std() / 500**0.5
    assert float(error) == pytest.approx(scored.std() / 1e4**0.5, rel=0.2)
