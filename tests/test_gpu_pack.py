"""What is packed for a machine with an accelerator."""

import zipfile

import pytest

from benchmarks.gpu import pack, run


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
