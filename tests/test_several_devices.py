"""A training run and the commands on two devices, beside those on one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.helpers import JAX


def found_in_process(what, folder):
    result = subprocess.run(
        [sys.executable, "-m", "tests.device_runs", what, str(folder)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[1],
        env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "COLUMNS": "200"},
        check=False,
    )
    lines = [line for line in result.stdout.splitlines() if line.startswith("found ")]
    assert lines, result.stderr
    return json.loads(lines[0].removeprefix("found "))


def test_a_run_on_two_devices_is_that_on_one(tmp_path):
    found = found_in_process("trained", tmp_path)
    # Once at the start of each run, and not when it resumes.
    assert found["adapted"] == [1, 1, 0]
    one, two = found["curves"]
    assert len(one) == 3
    assert len({row[0] for row in one}) == 3
    np.testing.assert_allclose(two, one, atol=1e-4)
    assert found["difference"] < 1e-4
    assert found["files"][0] == found["files"][1]
    assert not [name for name in found["files"][1] if "tmp" in name]


@pytest.fixture(scope="module")
def commands(tmp_path_factory):
    return found_in_process("commands", tmp_path_factory.mktemp("commands"))


def test_scores_and_samples_are_those_of_one_device(commands):
    one, two = commands["scores"]
    assert len(one) == 61
    np.testing.assert_allclose(two, one, atol=1e-4)
    one, two = map(np.array, commands["samples"])
    assert np.abs(two - one).max() <= 1
    assert one.std() > 10


def test_train_says_what_it_runs_on(commands):
    assert "on 2 CPU devices" in commands["train"]
    assert commands["machine"]["machine"].startswith("2 CPU devices")
    assert commands["machine"]["command"].endswith("--devices 2")
    assert commands["machine"]["steps"] == 4


def test_a_wrong_number_of_devices_is_one_error(commands):
    for given, error in zip(("0", "3", "'two'", "'-1'", "'1.5'"), commands["errors"], strict=True):
        assert error == (
            "error: --devices must be 'all' or a number from 1 to 2, as there are 2 CPU devices; "
            f"got {given}"
        )


def test_what_devices_cannot_share(commands):
    if JAX:
        assert "batch_size must be a multiple of 2" in commands["uneven"]
        assert "--distributed is for processes started together" in commands["alone"]
    else:
        assert "wrote" in commands["uneven"]
        assert "--distributed needs JAX" in commands["alone"]
