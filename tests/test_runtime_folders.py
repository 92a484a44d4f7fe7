"""Folders and providers that a Session takes and refuses; ``export.verify``."""

import json

import numpy as np
import onnxruntime
import pytest

import export
from attnflow_keras.runtime import manifest
from attnflow_keras.runtime.providers import choose_providers
from export.runtime import Session


@pytest.fixture
def exported(export_of_one_step):
    return export_of_one_step


@pytest.fixture
def copy(exported, tmp_path):
    """A folder of the same files, to be damaged."""
    target = tmp_path / "copy"
    target.mkdir()
    for path in exported[1].iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


@pytest.mark.parametrize("providers", ["cuda", "TensorrtExecutionProvider", ["npu"]])
def test_a_provider_that_is_not_there(exported, providers):
    if not isinstance(providers, list) and providers != "cuda":
        providers = [(providers, {"device_id": 0})]
    with pytest.raises(ValueError, match=r"provider .* is not in this onnxruntime"):
        Session(exported[1], providers)


def test_cuda_is_chosen_where_it_is_there(monkeypatch):
    both = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: both)
    exact = ("CUDAExecutionProvider", {"use_tf32": "0"})
    assert choose_providers(None) == [exact, "CPUExecutionProvider"]
    assert choose_providers("cuda") == [exact]
    assert choose_providers("tensorrt") == ["TensorrtExecutionProvider"]
    options = [("cuda", {"device_id": 1}), "cpu"]
    assert choose_providers(options) == [
        ("CUDAExecutionProvider", {"use_tf32": "0", "device_id": 1}),
        "CPUExecutionProvider",
    ]


def test_whoever_names_a_provider_in_full_decides_about_tf32(monkeypatch):
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    assert choose_providers("CUDAExecutionProvider") == ["CUDAExecutionProvider"]
    rounded = [("cuda", {"use_tf32": "1"})]
    assert choose_providers(rounded) == [("CUDAExecutionProvider", {"use_tf32": "1"})]


def test_options_reach_the_provider(exported):
    session = Session(exported[1], [("cpu", {"use_arena": "0"})])
    assert session.providers == [("CPUExecutionProvider", {"use_arena": "0"})]
    assert session.graph("encode").get_providers() == ["CPUExecutionProvider"]
    assert session.sample(1).shape == (1, 8, 8, 1)


@pytest.mark.parametrize("providers", [[], {}, 3, [("cpu",)], [("cpu", "fast")], [3]])
def test_providers_that_are_neither_names_nor_pairs(exported, providers):
    with pytest.raises(ValueError, match=r"providers must (be a name|hold names or pairs)"):
        Session(exported[1], providers)


def test_a_provider_that_does_not_start_is_an_error(exported, monkeypatch):
    both = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: both)
    with pytest.raises((ValueError, export.ExportError), match=r"could not be started|can't load"):
        Session(exported[1], "cuda").sample(1)


def test_folders_that_are_no_exports(copy, tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        Session(tmp_path / "nothing")
    (tmp_path / "empty").mkdir()
    with pytest.raises(export.ExportError, match=r"is not an export: it has no manifest\.json"):
        Session(tmp_path / "empty")
    path = copy / "manifest.json"
    content = json.loads(path.read_text())
    path.write_text("{")
    with pytest.raises(export.ExportError, match="can't read"):
        Session(copy)
    path.write_text(json.dumps({**content, "format": 99}))
    with pytest.raises(export.ExportError, match="has format 99, this version reads up to 1"):
        Session(copy)
    path.write_text("[]")
    with pytest.raises(export.ExportError, match="names no format or files"):
        Session(copy)


def test_files_that_are_missing_or_altered(copy):
    damaged = bytearray((copy / "decode.onnx").read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (copy / "decode.onnx").write_bytes(damaged)
    with pytest.raises(export.ExportError, match=r"decode\.onnx is damaged or altered"):
        Session(copy)
    (copy / "decode.onnx").unlink()
    with pytest.raises(export.ExportError, match=r"is incomplete: decode\.onnx is missing"):
        Session(copy)


def test_verify(exported, copy):
    checks = export.verify(exported[1])
    assert all(check.ok for check in checks)
    names = [check.name for check in checks]
    assert "sha256 of decode.onnx" in names
    assert "onnx.checker log_prob" in names
    assert {"log_prob", "latents", "image", "round_trip", "wrong_levels"} <= set(names)

    (copy / "decode.onnx").write_bytes(b"not a graph")
    failed = {check.name for check in export.verify(copy) if not check.ok}
    assert failed == {"sha256 of decode.onnx"}


def test_verify_finds_figures_that_differ(copy):
    path = copy / "fixtures.npz"
    with np.load(path) as arrays:
        changed = {name: arrays[name] for name in arrays.files}
    changed["log_prob"] = changed["log_prob"] + 1.0
    np.savez(path, **changed)
    content = json.loads((copy / "manifest.json").read_text())
    manifest.write(copy, {k: v for k, v in content.items() if k not in ("format", "files")})
    assert [check.name for check in export.verify(copy) if not check.ok] == ["log_prob"]
