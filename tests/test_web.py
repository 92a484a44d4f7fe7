"""Static sites: what is written, and what is refused."""

import gzip
import json
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

import export
from attnflow_keras.data.bluemarble import IGBP_PALETTE
from export import web_runtime
from export.to_web import _class_names
from tests.browser import runtime_path
from tests.export_by_hand import made_by_hand

PAGE = Path(export.__file__).parent / "web"


@pytest.fixture(scope="module")
def runtime():
    return runtime_path()


# --- what is written -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_site(small_export, runtime, tmp_path_factory):
    folder = tmp_path_factory.mktemp("web") / "site"
    return folder, export.web(small_export, folder, runtime, title="A <title> & more")


def test_site_holds_the_page_the_model_and_the_runtime(small_site, small_export):
    folder, report = small_site
    assert report["task"] == "unconditional"
    assert report["examples"] == 4
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"index.html", "app.js", "noise.js", "runtime/LICENSE", "site.json"} <= files
    assert {f"runtime/{name}" for name in web_runtime.FILES} <= files
    assert (folder / "model" / "decode.onnx").read_bytes() == (
        small_export / "decode.onnx"
    ).read_bytes()
    page = (folder / "index.html").read_text()
    assert "<h1>A &lt;title&gt; &amp; more</h1>" in page
    assert "{{" not in page
    assert "Microsoft Corporation" in (folder / "runtime" / "LICENSE").read_text()
    assert report["bytes"] == sum((folder / name).stat().st_size for name in files)


def test_site_loads_nothing_from_elsewhere():
    for path in PAGE.glob("*"):
        if path.suffix in {".js", ".css", ".html"}:
            assert "https://" not in path.read_text(), path.name


def test_examples_can_be_left_out(small_export, runtime, tmp_path):
    report = export.web(small_export, tmp_path / "site", runtime, examples=False)
    assert report["examples"] == 0
    assert not list((tmp_path / "site").glob("*.bin"))
    assert json.loads((tmp_path / "site" / "site.json").read_text())["examples"] == {}


def test_existing_folder_is_kept(small_export, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(FileExistsError, match="exists; pass overwrite=True"):
        export.web(small_export, tmp_path)
    assert (tmp_path / "file").read_text() == "mine"


def copied(source, tmp_path, **changes):
    folder = tmp_path / "export"
    folder.mkdir()
    for path in source.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    content = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**content, **changes}))
    return folder


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 2}, "has format 2, this version reads up to 1"),
        ({"name": "../up"}, "plain name"),
        (
            {"condition": {"shape": [3], "dtype": "float32"}},
            "graphs must be condition, decode, encode",
        ),
    ],
)
def test_unsound_exports_are_refused(small_export, tmp_path, changes, message):
    folder = copied(small_export, tmp_path, **changes)
    with pytest.raises(export.ExportError, match=message):
        export.web(folder, tmp_path / "site")
    assert not (tmp_path / "site").exists()


def test_names_of_classes_are_words(runtime, tmp_path):
    folder = made_by_hand(tmp_path / "export", classes=3)
    for names, message in (
        (["a", " ", "c"], "must not be empty"),
        (["a"], "must have one name per class"),
    ):
        with pytest.raises(ValueError, match=f"class_names {message}"):
            export.web(folder, tmp_path / "site", runtime, class_names=names)


def test_webgpu_without_onnx(small_export, runtime, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(ImportError, match="webgpu needs onnx: pip install 'onnx"):
        export.web(small_export, tmp_path / "site", runtime, webgpu=True)
    assert not (tmp_path / "site").exists()


def test_altered_and_missing_exports_are_refused(small_export, tmp_path):
    folder = copied(small_export, tmp_path)
    (folder / "decode.onnx").write_bytes(b"other")
    with pytest.raises(export.ExportError, match=r"decode\.onnx is damaged or altered"):
        export.web(folder, tmp_path / "site")
    with pytest.raises(FileNotFoundError, match="no folder"):
        export.web(tmp_path / "absent", tmp_path / "site")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(export.ExportError, match="is not an export"):
        export.web(empty, tmp_path / "site")


def test_conditions_without_controls_are_refused(small_export, tmp_path):
    content = json.loads((small_export / "manifest.json").read_text())
    condition = {"shape": [3], "dtype": "float32"}
    graphs = {**content["graphs"], "condition": content["graphs"]["encode"]}
    folder = copied(small_export, tmp_path, condition=condition, graphs=graphs)
    with pytest.raises(export.ExportError, match="no controls for the condition of tiny"):
        export.web(folder, tmp_path / "site")


def test_examples_that_are_damaged_are_refused(small_export, runtime, tmp_path):
    files = json.loads((small_export / "manifest.json").read_text())["files"]
    digest = web_runtime.hashlib.sha256(b"other").hexdigest()
    changed = {**files, "fixtures.npz": {"bytes": 5, "sha256": digest}}
    folder = copied(small_export, tmp_path, files=changed)
    (folder / "fixtures.npz").write_bytes(b"other")
    with pytest.raises(export.ExportError, match=r"can't read .*fixtures\.npz: "):
        export.web(folder, tmp_path / "site", runtime)
    assert not (tmp_path / "site").exists()


def test_a_site_does_not_replace_its_export(small_export, runtime, tmp_path):
    folder = copied(small_export, tmp_path)
    for out in (folder, tmp_path, folder / ".." / "export"):
        with pytest.raises(ValueError, match="out must be another folder than the export"):
            export.web(folder, out, runtime, overwrite=True)
    assert (folder / "decode.onnx").exists()


# --- the runtime ---------------------------------------------------------------------------


def test_wrong_runtimes_are_refused(small_export, tmp_path):
    def refused(runtime, message):
        with pytest.raises(export.ExportError, match=message):
            export.web(small_export, tmp_path / "site", runtime)
        assert not (tmp_path / "site").exists()

    refused(tmp_path / "absent", "no runtime at")
    (tmp_path / "other.tgz").write_bytes(gzip.compress(b"other"))
    refused(tmp_path / "other.tgz", r"other\.tgz is not the tarball of onnxruntime-web 1\.30\.0")
    folder = tmp_path / "runtime"
    folder.mkdir()
    refused(folder, r"has no ort\.wasm\.min\.mjs")
    for name in web_runtime.FILES:
        (folder / name).write_text("other")
    refused(folder, r"ort\.wasm\.min\.mjs in .* is not that of onnxruntime-web")


def test_folder_serves_as_runtime(runtime, tmp_path):
    files = web_runtime.runtime_files(runtime)
    for place in ("", "dist"):
        folder = tmp_path / f"at{place}"
        (folder / place).mkdir(parents=True)
        for name, data in files.items():
            (folder / place / name).write_bytes(data)
        assert web_runtime.runtime_files(folder) == files


def test_tarball_is_fetched_once_and_checked(monkeypatch, tmp_path):
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in [*web_runtime.FILES, "../outside"]:
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(name)
            archive.addfile(member, BytesIO(name.encode()))
    data = buffer.getvalue()
    requests = []

    def urlopen(address, timeout):
        requests.append(address)
        return BytesIO(data)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    with pytest.raises(export.ExportError, match="gave another file than that of sha256"):
        web_runtime.runtime_files()
    assert not list(tmp_path.iterdir())

    digest = web_runtime.hashlib.sha256
    monkeypatch.setattr(web_runtime, "SHA256", digest(data).hexdigest())
    hashes = {name: digest(name.encode()).hexdigest() for name in web_runtime.FILES}
    monkeypatch.setattr(web_runtime, "FILES", hashes)
    for _ in range(2):
        files = web_runtime.runtime_files()
        assert files == {name: name.encode() for name in hashes}
    assert len(requests) == 2
    assert [path.name for path in (tmp_path / "attnflow-keras").iterdir()] == [
        "onnxruntime-web-1.30.0.tgz"
    ]


def test_without_network_there_is_one_line(monkeypatch, tmp_path, small_export):
    def urlopen(address, timeout):
        raise OSError("Network is unreachable")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    with pytest.raises(export.ExportError, match=r"can't fetch .*unreachable; give the tarball"):
        export.web(small_export, tmp_path / "site")


def test_command(small_export, runtime, tmp_path):
    command = [sys.executable, "-m", "zoo.cli", "web", str(small_export), "-o", "site"]
    command += ["--runtime", str(runtime), "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    report = json.loads(done.stdout)
    assert report["task"] == "unconditional"
    assert "python -m http.server" in done.stderr
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode == 1
    assert again.stderr.startswith("error: the folder site exists")
    assert again.stderr.count("\n") == 1


def test_classes_have_names(runtime, tmp_path):
    folder = made_by_hand(tmp_path / "export", classes=2)

    def names(**given):
        export.web(folder, tmp_path / "site", runtime, overwrite=True, **given)
        return json.loads((tmp_path / "site" / "site.json").read_text())["classes"]

    assert names() == ["Class 0", "Class 1"]
    assert names(class_names=["cat", "dog"]) == ["cat", "dog"]
    with pytest.raises(ValueError, match="must have one name per class, 2; got 1"):
        names(class_names=["cat"])
    condition = {"classes": 17, "palette": IGBP_PALETTE.tolist()}
    assert _class_names({"condition": condition}, None)[0] == "Water"
