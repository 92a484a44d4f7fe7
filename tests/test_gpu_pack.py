"""What is packed for a machine with an accelerator."""

import zipfile

import numpy as np
import pytest

from benchmarks.gpu import __main__ as stages
from benchmarks.gpu import check, pack, run


def test_wheels_are_those_of_the_lock_file():
    found = pack.pinned(pack.LOCKED)
    assert [line.split("==")[0] for line in found] == list(pack.LOCKED)
    with pytest.raises(ValueError, match="has no torch-of-another-kind"):
        pack.pinned(("torch-of-another-kind",))


def test_data_is_copied(tmp_path, monkeypatch):
    source = tmp_path / "source"
    (source / "bluemarble").mkdir(parents=True)
    (source / "mnist.npz").write_bytes(b"digits")
    (source / "bluemarble" / "globe.jpg").write_bytes(b"picture")
    monkeypatch.setenv("ATTNFLOW_DATA", str(source))
    pack.copy_data(tmp_path / "out")
    assert (tmp_path / "out" / "mnist.npz").read_bytes() == b"digits"
    assert (tmp_path / "out" / "bluemarble" / "globe.jpg").read_bytes() == b"picture"


def test_what_comes_back_of_a_run(tmp_path):
    folder = tmp_path / "0-entry"
    folder.mkdir()
    (folder / "curve.csv").write_text("epoch,step\n1,10\n2,20\n")
    (folder / "best.weights.h5").write_bytes(b"weights")
    run._collect(folder, tmp_path, weights=True)
    with zipfile.ZipFile(tmp_path / "0-entry.zip") as archive:
        assert sorted(archive.namelist()) == ["best.weights.h5", "curve.csv"]
    assert run._last_row(folder) == {"epoch": "2", "step": "20"}


def test_check_on_this_machine(tmp_path):
    """The dry run: entries and layers on the CPU agree with the CPU."""
    rows = list(check.checks([], ["actnorm", "affine_coupling_conditional"], tmp_path))
    assert [row["left"] for row in rows] == ["not computed on the CPU"] * 2
    for name in ("actnorm", "affine_coupling_conditional"):
        check._save(tmp_path / f"{name}.npz", check.layer_outputs(name))
    rows = list(check.checks([], ["actnorm", "affine_coupling_conditional"], tmp_path))
    assert [(row["layer"], row["products"]) for row in rows] == [
        (name, products)
        for name in ("actnorm", "affine_coupling_conditional")
        for products in ("float32", "tf32")
    ]
    for row in rows:
        assert max(row[key] for key in ("outputs", "log_det", "round_trip")) == 0


def test_difference_is_relative_to_large_values():
    assert check._difference(np.array([0.5, 101.0]), np.array([0.25, 100.0])) == 0.25
    assert check._difference(np.array([110.0]), np.array([100.0])) == pytest.approx(0.1)


def test_stages_within_their_limits(tmp_path, capsys):
    stages.run("short", ["this"], 60, tmp_path)
    stages.run("long", ["http.server", "0"], 0.5, tmp_path)
    said = capsys.readouterr().out
    assert "short: exit code 0" in said
    assert "long: ended by its limit" in said
    assert "Zen of Python" in (tmp_path / "short.log").read_text()


def test_trainings_need_time(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("sys.argv", ["gpu", "--out", str(tmp_path), "attnflow-causal-mnist"])
    with pytest.raises(SystemExit):
        stages.main()
    assert "--train must be above 0 for attnflow-causal-mnist" in capsys.readouterr().err
