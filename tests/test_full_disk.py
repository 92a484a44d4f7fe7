"""A disk that fills up while weights are written: one OSError, and nothing half-written."""

import resource
import signal
from contextlib import contextmanager

import keras
import numpy as np
import pytest

import zoo
from attnflow_keras.training.callbacks import read_curve, save_weights, saved_epoch
from tests.conftest import make_tiny_flow


@contextmanager
def full_disk(room=10_000):
    """No file can grow beyond this many bytes, as if the disk had no more room."""
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limit[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture(scope="module")
def flow():
    return make_tiny_flow()


@pytest.mark.parametrize("name", ["flow.keras", "flow.weights.h5"])
@pytest.mark.parametrize("there", [True, False])
def test_keras_own_methods(flow, tmp_path, name, there):
    path = tmp_path / name
    save = flow.save if name.endswith(".keras") else flow.save_weights
    if there:
        save(path)
    before = files(tmp_path)
    with full_disk(), pytest.raises(OSError, match="too large"):
        save(path)
    assert files(tmp_path) == before
    save(path)
    other = make_tiny_flow(seed=1)
    if name.endswith(".keras"):
        other = keras.saving.load_model(path)
    else:
        other.load_weights(path)
    for a, b in zip(flow.weights, other.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_existing_files_are_not_overwritten_unasked(flow, tmp_path, monkeypatch):
    path = tmp_path / "flow.weights.h5"
    path.write_text("mine")
    monkeypatch.setattr("builtins.input", lambda *_: "n")
    flow.save_weights(path, overwrite=False)
    assert path.read_text() == "mine"
    with pytest.raises(ValueError, match=r"must end in `.weights.h5`"):
        flow.save_weights(tmp_path / "flow.bin")
    flow.save(str(tmp_path / "folder"), zipped=False)
    assert (tmp_path / "folder" / "config.json").is_file()


@pytest.mark.parametrize("there", [True, False])
def test_entries(flow, tmp_path, there):
    folder = tmp_path / "entry"
    if there:
        zoo.save(flow, folder)
    before = files(folder) if there else None
    with full_disk(), pytest.raises(OSError, match="too large"):
        zoo.save(flow, folder, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["entry"] * there
    if there:
        assert files(folder) == before
        zoo.load(folder)


def test_checkpoints(flow, tmp_path):
    path = tmp_path / "checkpoint.weights.h5"
    save_weights(flow, path, 3)
    with full_disk(), pytest.raises(OSError, match="too large"):
        save_weights(flow, path, 4)
    assert saved_epoch(path) == 3
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert read_curve(tmp_path / "curve.csv") == []
