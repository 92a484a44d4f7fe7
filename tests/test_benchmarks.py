"""Command lines of the benchmarks: checked at once, without TensorFlow."""

import subprocess
import sys

import pytest

from benchmarks import attention, memory, throughput
from benchmarks.tables import with_other_rows
from benchmarks.throughput import EXACT


def test_help_needs_no_tensorflow():
    code = (
        "import sys\n"
        "import benchmarks.attention, benchmarks.memory, benchmarks.throughput\n"
        "assert not {'tensorflow', 'keras'} & set(sys.modules)\n"
        "sys.argv = ['throughput', '--help']\n"
        "benchmarks.throughput.main()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    for word in ("--models", *EXACT):
        assert word in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("command", "arguments", "message"),
    [
        (throughput, "--models marflow-2x47", "argument --models: no entry 'marflow-2x47': did"),
        (throughput, "--models marflow-2x48-mnist", "'marflow-2x48-mnist' has no weights"),
        (throughput, "--seconds -1", "argument --seconds: must be a number above 0; got '-1'"),
        (throughput, "--seconds nan", "argument --seconds: must be a number above 0; got 'nan'"),
        (throughput, "--task painting", "argument --task: invalid choice: 'painting'"),
        (throughput, "--precision half", "argument --precision: invalid choice: 'half'"),
        (memory, "--batch -2", "argument --batch: must be an integer of at least 1; got '-2'"),
        (memory, "--batch 2.5", "argument --batch: must be an integer of at least 1; got '2.5'"),
        (memory, "--precision half", "argument --precision: invalid choice: 'half'"),
        (attention, "--entries nothing", "argument --entries: no entry 'nothing'"),
        (attention, "--seed -1", "argument --seed: must be an integer of at least 0; got '-1'"),
        (attention, "--dataset letters", "argument --dataset: invalid choice: 'letters'"),
    ],
)
def test_bad_arguments(command, arguments, message, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmark", *arguments.split()])
    with pytest.raises(SystemExit) as stop:
        command.main()
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_rows_of_other_entries_stay():
    page = "# T\n\nmade {}\n\n| entry | x |\n|---|---|\n{}\n\nsaid\n\n| entry | y |\n|---|---|\n{}"
    before = page.format("then", "| a | 1 |\n| b | 2 |", "| a | 3 |\n| a | 4 |\n| b | 5 |")
    now = page.format("now", "| b | 6 |\n| c | 7 |", "| b | 8 |")
    assert with_other_rows(now, before) == page.format(
        "now", "| a | 1 |\n| b | 6 |\n| c | 7 |", "| a | 3 |\n| a | 4 |\n| b | 8 |"
    )
    assert with_other_rows(now, "") == now
