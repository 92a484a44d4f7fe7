"""What the commands print where there is a terminal, a narrow one, and none; and Ctrl-C."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from rich.table import Table

import zoo
from tests.command_line import succeed
from zoo.cli import console as module
from zoo.cli.console import ERRORS, PlainConsole, Report, working
from zoo.cli.train import make_recipe
from zoo.cli.train_progress import TrainingProgress
from zoo.tasks import tasks

SCORE = "1.1470 ± 0.0025 bits_per_dim, a line of more than eighty columns, as those of figures are"


def narrow(monkeypatch, width=80):
    """The console of the listings as a terminal of so many columns; returns what it wrote."""
    out = io.StringIO()
    shown = PlainConsole(file=out, force_terminal=True, width=width, markup=False, highlight=False)
    monkeypatch.setattr("zoo.cli.listing.console", shown)
    monkeypatch.setattr(shown, "_color_system", None)
    return out


def test_nothing_is_wrapped_without_a_terminal():
    out = io.StringIO()
    PlainConsole(file=out, markup=False, highlight=False).print(SCORE)
    assert out.getvalue() == SCORE + "\n"
    result = succeed("info", "attnflow-imap-mnist")
    assert "1.1470 ± 0.0025 bits_per_dim (784 dims, 256 levels, uniform" in result.stdout
    assert "mnist test: 10000 images)\n" in result.stdout
    assert not any(line.endswith(" ") for line in result.stdout.splitlines())


def test_signs_that_a_terminal_lacks_are_replaced():
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding="ascii", errors=ERRORS)
    shown = PlainConsole(file=out, markup=False, highlight=False)
    table = Table("bits/dim", "n")
    table.add_row("1.1 ± 0.2", "1")
    shown.print(table)
    shown.print(SCORE)
    print("± \N{SNOWMAN}", file=out, flush=True)
    text = raw.getvalue().decode("ascii")
    assert "1.1470 +/- 0.0025" in text
    assert text.endswith("+/- ?\n")
    rows = [line for line in text.splitlines() if line.startswith(("+-", "|"))]
    assert len({len(row) for row in rows}) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_bytes_of_a_name_are_printed(encoding):
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding=encoding, errors=ERRORS)
    name = os.fsdecode(b"caf\xe9.png")
    PlainConsole(file=out, markup=False, highlight=False).print(f"wrote {name}")
    print(name, file=out, flush=True)
    assert raw.getvalue() == b"wrote caf\\xe9.png\ncaf\\xe9.png\n"


def test_the_command_line_runs_in_ascii():
    code = "import sys; from zoo.cli import main; sys.argv = ['attnflow', 'list']; main()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        env={"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PATH": ""},
    )
    assert done.returncode == 0, done.stderr
    assert b"1.147 +/- 0.003" in done.stdout


def test_ctrl_c_while_the_commands_are_imported_is_answered_in_one_line():
    code = """
import sys

class Interrupted:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupted())
from zoo.cli import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 130
    assert done.stderr == "\ninterrupted; no file is left half-written\n"


def test_a_narrow_list_has_whole_rows_with_task_data_and_size(monkeypatch):
    out = narrow(monkeypatch)
    succeed("list")
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    headings = [line.strip() for line in lines if line.strip() in tasks()]
    assert headings == [
        "unconditional",
        "super-resolution",
        "label-to-photo",
        "class-conditional",
    ]
    for name in zoo.list():
        (row,) = (line.split() for line in lines if line.split()[:1] == [name])
        entry = zoo.info(name)
        size = "x".join(map(str, entry["config"]["image_shape"]))
        assert row[1:3] == [entry["dataset"], size]


def test_info_shows_the_recipe_line_by_line_and_the_classes(monkeypatch):
    text = succeed("info", "cattnflow-imap-landcover-bluemarble").stdout
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "learning_rate 0.001" in lines
    assert "steps 6000" in lines
    assert "0 water 38, 70, 140" in lines
    assert "16 barren 170, 165, 150" in lines
    assert "water is 0 here, 17 in other" in text
    assert "[[38" not in text
    out = narrow(monkeypatch)
    succeed("info", "cattnflow-imap-landcover-bluemarble")
    assert max(map(len, out.getvalue().splitlines())) <= 80
    assert "classes" not in succeed("info", "attnflow-imap-mnist").stdout


def test_list_as_json():
    entries = json.loads(succeed("list", "*bluemarble*", "--json").stdout)
    assert [entry["name"] for entry in entries] == zoo.list("*bluemarble*")


def test_progress_without_a_terminal_is_plain_lines(monkeypatch, capfd):
    with working("quick"):
        pass
    assert capfd.readouterr().err == ""
    monkeypatch.setattr(module, "FIRST_LINE", 0.05)
    monkeypatch.setattr(module, "NEXT_LINE", 0.05)
    with working("scoring", 1000) as report:
        report(500)
        time.sleep(0.3)
        report.update("still scoring")
        report(3, 4)
        time.sleep(0.3)
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "scoring: 500 of 1,000, 0 s"
    assert lines[-1].startswith("still scoring: 3 of 4, ")


def test_progress_on_a_terminal_has_a_clock(monkeypatch):
    out = io.StringIO()
    shown = PlainConsole(file=out, force_terminal=True, width=80, markup=False)
    monkeypatch.setattr(module, "notes", shown)
    with working("compiling, may take 2 minutes"):
        time.sleep(1.3)
    assert "compiling, may take 2 minutes" in out.getvalue()
    assert "1 s" in out.getvalue()
    with working("restoring", 1) as report:
        report(3, 7)
        time.sleep(0.3)
    assert "3/7" in out.getvalue()


def test_xla_only_where_it_is_asked_for():
    assert not make_recipe({}, {"dataset": "mine"}, True).jit
    assert make_recipe({}, {"dataset": "mine", "jit": True}, True).jit
    assert make_recipe({"dataset": "its", "jit": True}, {"dataset": "mine"}, True).jit


def test_training_shows_stages_steps_and_a_line_an_epoch(monkeypatch, capsys):
    stages = []

    @contextmanager
    def shown(text, total=None):
        stages.append(text)
        report = Report(text, total)
        yield report
        if total is not None:
            stages.append((report.text, report.done, total))

    monkeypatch.setattr("zoo.cli.train_progress.working", shown)
    with TrainingProgress(jit=True) as progress:
        progress.set_params({"epochs": 2, "steps": 3})
        progress.set_model(SimpleNamespace(trainable_variables=[None] * 200))
        progress.on_train_begin()
        for epoch in range(2):
            progress.on_epoch_begin(epoch)
            for batch in range(3):
                progress.on_train_batch_end(batch, {"loss": 3.0, "bits_per_dim": 2.5})
            progress.on_test_begin()
            progress.on_epoch_end(epoch, {"val_bits_per_dim": 2.25, "bits_per_dim": 2.5, "loss": 3})
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("epoch 1/2: bits_per_dim 2.5, validation bits_per_dim 2.25, ")
    assert second.startswith("epoch 2/2: ")
    assert stages[0] == "setting up"
    assert re.fullmatch(r"epoch 1/2: compiling with XLA, may take \d+ minutes", stages[1])
    assert stages[2:4] == ["epoch 1/2", ("epoch 1/2, bits_per_dim 2.5", 3, 3)]
    assert stages[4].startswith("epoch 1/2: validating (compiling with XLA, may take")
    assert stages[5:9] == [
        "writing the checkpoint",
        "epoch 2/2",
        ("epoch 2/2", 3, 3),
        "epoch 2/2: validating",
    ]


def test_train_as_json_prints_nothing_else(monkeypatch, plain_flow, tmp_path):
    zoo.save(plain_flow, tmp_path / "entry", {"dataset": "mine"})
    monkeypatch.setattr("zoo.cli.train_run.run", lambda job: module.console.print("an epoch"))
    result = succeed("train", tmp_path / "entry", "--data", "mine", "-o", tmp_path, "--json")
    assert json.loads(result.stdout)["dataset"] == "mine"
    assert "an epoch" in result.stderr


BUSY = """
import hashlib, signal, sys
from zoo.cli.interrupts import on_interrupt, watched

# A suite in the background may have been started without Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)
with watched(), on_interrupt(lambda: "epoch 3 is kept"):
    print("ready", flush=True)
    try:
        # C code that Python can't interrupt, as a compiler's.
        hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)
    finally:
        print("too late", flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")
def test_ctrl_c_is_answered_while_the_main_thread_can_not():
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", BUSY], **pipes) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.5)  # until it is inside the C code
            process.send_signal(signal.SIGINT)
            out, error = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 130
    assert "interrupted; epoch 3 is kept" in error
    assert out == ""
