"""Untrusted exports: what their manifests and files may not do."""

import hashlib
import json
import os

import numpy as np
import onnx
import pytest

import export
from attnflow_keras.runtime import manifest, manifest_schema
from export import fixtures
from export.runtime import Session
from tests.conftest import make_tiny_flow

VALUE = {"name": 'image" } max_batch_size: 9 #', "dtype": "float32", "shape": ["batch", 8, 8, 1]}
BAD_NAMES = ["/tmp/x", "../x", "..", ".", "", ".hidden", 'a"b', "a\nb", "a\\b", "a" * 101, 3]


@pytest.fixture
def copy(small_export, tmp_path):
    """A folder of the same files, to be changed."""
    target = tmp_path / "exports" / "copy"
    target.mkdir(parents=True)
    for path in small_export.iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    return target


def change(folder, where, value):
    """Set one key of the manifest, or delete it."""
    path = folder / manifest.NAME
    content = json.loads(path.read_text())
    inner = content
    for key in where[:-1]:
        inner = inner[key]
    if value is None:
        del inner[where[-1]]
    else:
        inner[where[-1]] = value
    path.write_text(json.dumps(content))


@pytest.mark.parametrize("reasons", [{"decode": "no"}, {"encode": "no"}, {"decode": 3}, ["decode"]])
@pytest.mark.parametrize("kind", [None, "litert"])
def test_a_graph_may_be_missing_only_where_it_does_not_convert(copy, kind, reasons):
    for name in reasons:
        change(copy, ("graphs", name), None)
    change(copy, ("missing",), reasons)
    if kind:
        change(copy, ("kind",), kind)
    content = json.loads((copy / manifest.NAME).read_text())
    if kind and reasons == {"decode": "no"}:
        manifest_schema.check(content)
        return
    with pytest.raises(ValueError, match="missing must be"):
        manifest_schema.check(content)


def listed(folder, name, data):
    """Write a file, and its hash into the manifest."""
    (folder / name).write_bytes(data)
    entry = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    change(folder, ("files", name), entry)


def refused(folder, tmp_path, message):
    """Whatever reads the export says the same, in one line, and writes nothing."""
    before = sorted(tmp_path.rglob("*"))
    for use in (Session, export.verify, lambda f: export.triton(f, tmp_path / "repository")):
        with pytest.raises(export.ExportError, match=message) as error:
            use(folder)
        assert str(error.value).isprintable()
        assert len(str(error.value)) < 600
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_are_one_plain_component(copy, tmp_path, name):
    change(copy, ("name",), name)
    refused(copy, tmp_path, "name must be one plain name")


def test_terminal_sequences_are_not_kept(copy):
    change(copy, ("metadata", "note"), "\x1b[2J")
    assert Session(copy, "cpu").manifest["metadata"]["note"].isprintable()


BAD_VALUES = {
    "graph that climbs": (
        ("graphs", "encode", "file"),
        "../../../../etc/passwd",
        "a name that fil",
    ),
    "absolute graph": (("graphs", "encode", "file"), "/etc/passwd", "a name that files has"),
    "graph that is not listed": (("files", "encode.onnx"), None, "graphs.encode.file must be"),
    "file that climbs": (("files", "../x.onnx"), {"sha256": "0" * 64}, "files must be one plain"),
    "file without hash": (("files", "encode.onnx"), {}, "files.encode.onnx.sha256 must be"),
    "name of a graph": (("graphs", "../x"), {}, "graphs must be decode, encode, log_prob; got"),
    "graph that lacks": (("graphs", "decode"), None, "graphs must be decode, encode, log_prob"),
    "quote in an input": (("graphs", "encode", "inputs", 0), VALUE, r"inputs\[0\].name must be"),
    "dtype": (("graphs", "encode", "inputs", 0, "dtype"), "object", "dtype must be"),
    "text in a shape": (("graphs", "encode", "inputs", 0, "shape", 1), "8 ] x: [", "shape must be"),
    "huge shape": (("latents", 0, "shape"), [10**6, 10**6, 4], r"latents\[0\].shape must be"),
    "huge padding": (("image", "preprocess"), {"pad": 10**12}, "image.float_shape must be"),
    "classes": (("condition",), {"shape": [8, 8], "dtype": "uint8", "classes": 10**9}, "classes"),
    "palette": (
        ("condition",),
        {"shape": [8, 8], "dtype": "uint8", "classes": 1, "palette": [[0, 0, 256]]},
        "palette must be",
    ),
    "precision": (("precision",), "float8", "precision must be float32 or float16; got 'float8'"),
    "parity": (("parity", "log_prob"), "good", "parity.log_prob must be a number; got 'good'"),
    **{
        f"no {key}": ((key,), None, f"{key} must be")
        for key in ("name", "precision", "image", "latents", "condition", "graphs", "metadata")
    },
}


@pytest.mark.parametrize("case", BAD_VALUES)
def test_manifests_that_do_not_fit(copy, tmp_path, case):
    where, value, message = BAD_VALUES[case]
    change(copy, where, value)
    refused(copy, tmp_path, message)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"format": 1e999, "files": {}}', '{"format": true}']
)
def test_manifests_that_are_not_read(copy, tmp_path, text):
    (copy / manifest.NAME).write_text(text)
    refused(copy, tmp_path, r"manifest\.json")


def test_a_manifest_is_small(copy, tmp_path):
    with (copy / manifest.NAME).open("wb") as file:
        file.truncate(10**9)
    refused(copy, tmp_path, "more than 1,048,576 bytes")


def link_to_the_same(path):
    path.rename(path.parent.parent / "elsewhere")
    path.symlink_to(path.parent.parent / "elsewhere")


SPECIAL = {
    "link": link_to_the_same,
    "dangling link": lambda path: (path.unlink(), path.symlink_to("nothing")),
    "device": lambda path: (path.unlink(), path.symlink_to("/dev/zero")),
    "fifo": lambda path: (path.unlink(), os.mkfifo(path)),
    "folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("name", ["encode.onnx", "fixtures.npz"])
def test_files_are_regular(copy, tmp_path, kind, name):
    SPECIAL[kind](copy / name)
    for use in (Session, lambda folder: export.triton(folder, tmp_path / "repository")):
        with pytest.raises(export.ExportError, match=f"{name} must be a regular file; got a link"):
            use(copy)
    assert not (tmp_path / "repository").exists()
    failed = [check.name for check in export.verify(copy) if not check.ok]
    assert failed == [f"sha256 of {name}"]
    if name == "encode.onnx":
        # Without the hashes it is not opened either.
        with pytest.raises(export.ExportError, match="must be a regular file"):
            Session(copy, "cpu", check_files=False).graph("encode")


@pytest.mark.parametrize("kind", ["device", "fifo", "link"])
def test_the_manifest_is_a_regular_file(copy, tmp_path, kind):
    SPECIAL[kind](copy / manifest.NAME)
    refused(copy, tmp_path, r"manifest\.json must be a regular file")


def test_fixtures_are_listed(copy):
    change(copy, ("files", "fixtures.npz"), None)
    failed = [check for check in export.verify(copy) if not check.ok]
    assert [check.name for check in failed] == ["fixtures"]
    assert "has no file 'fixtures.npz' that its manifest.json lists" in failed[0].detail


def test_fixtures_are_small(copy, monkeypatch):
    np.savez_compressed(copy / "fixtures.npz", image=np.zeros((4, 500, 500, 1), "float32"))
    data = (copy / "fixtures.npz").read_bytes()
    assert len(data) < 100_000
    listed(copy, "fixtures.npz", data)
    monkeypatch.setattr(fixtures, "MOST_BYTES", 1_000_000)
    failed = [check for check in export.verify(copy) if not check.ok]
    assert [check.name for check in failed] == ["fixtures"]
    assert "more than 1,000,000" in failed[0].detail


def test_a_graph_that_changes_after_the_session_began_does_not_run(copy):
    session = Session(copy, "cpu")
    (copy / "encode.onnx").write_bytes((copy / "decode.onnx").read_bytes())
    with pytest.raises(export.ExportError, match=r"encode\.onnx is damaged or altered"):
        session.graph("encode")


def test_weights_in_other_files_are_refused(copy, monkeypatch):
    """Neither beside the graph nor in the working folder, where onnxruntime would look."""
    model = onnx.load(copy / "encode.onnx")
    onnx.external_data_helper.convert_model_to_external_data(model, location="w", size_threshold=0)
    onnx.save(model, copy / "encode.onnx")
    listed(copy, "encode.onnx", (copy / "encode.onnx").read_bytes())
    assert (copy / "w").stat().st_size > 0
    monkeypatch.chdir(copy)
    with pytest.raises(export.ExportError, match=r"onnxruntime can't load encode\.onnx"):
        Session(copy, "cpu").graph("encode")
    assert "load encode" in [check.name for check in export.verify(copy) if not check.ok]


def test_a_flow_with_such_a_name_is_not_exported(tmp_path):
    flow = make_tiny_flow(attention=None, name='tiny"')
    with pytest.raises(ValueError, match="the flow's name must be one plain name"):
        export.onnx(flow, tmp_path / "onnx")
    assert not list(tmp_path.iterdir())


def test_what_exports_write_fits(small_export):
    content = json.loads((small_export / manifest.NAME).read_text())
    manifest_schema.check(content)
    palette = np.zeros((3, 3), int).tolist()
    condition = {"shape": [8, 8], "dtype": "uint8", "classes": 3, "palette": palette}
    graphs = {**content["graphs"], "condition": content["graphs"]["encode"]}
    manifest_schema.check({**content, "condition": condition, "graphs": graphs})


def test_fixtures_that_are_no_archive(copy, tmp_path):
    listed(copy, fixtures.NAME, b"no archive")
    content = manifest.read(copy)
    with pytest.raises(export.ExportError, match=r"can't read .*fixtures.npz: File is not a zip"):
        fixtures.read(copy, content)
    assert "can't read" in export.verify(copy)[-1].detail
    pytest.importorskip("openvino")
    with pytest.raises(export.ExportError, match="can't read"):
        export.openvino(copy, tmp_path / "openvino")
