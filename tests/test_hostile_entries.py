"""Entries that a stranger made: refused in one line, at once, and without taking the machine."""

import hashlib
import json
import os
import re
import time
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest
from typer.testing import CliRunner

import zoo
from attnflow_keras.files import NEW
from export import manifest
from export.errors import ExportError
from tests.conftest import make_tiny_flow
from zoo.cli.app import app
from zoo.errors import ZooError

MEGABYTES = 200
SECONDS = 1.0
WEIGHTS = "model.weights.h5"


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Files of a sound entry, name -> content; loaded once, so that all is imported."""
    folder = tmp_path_factory.mktemp("sound") / "entry"
    zoo.save(make_tiny_flow(), folder, {"task": "unconditional"})
    zoo.load(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def entry(sound, tmp_path):
    folder = tmp_path / "entry"
    folder.mkdir()
    for name, content in sound.items():
        (folder / name).write_bytes(content)
    return folder


def edit(path, **changes):
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def edit_arguments(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    edit(folder / "config.json", config={**config["config"], **changes})


def put_weights(folder, path):
    """Make a file the entry's weights, with a hash that fits."""
    content = path.read_bytes()
    (folder / WEIGHTS).write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    edit(folder / "metadata.json", sha256=digest, bytes=len(content))


def memory(key):
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{key}:\s+(\d+) kB", status)[1]) / 1e3


def refused(call, message, *arguments, **options):
    """The one line of a call that must fail soon and without much memory."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak from here on
    before, start = memory("VmRSS"), time.process_time()
    with pytest.raises(ZooError, match=message) as caught:
        call(*arguments, **options)
    seconds, taken = time.process_time() - start, memory("VmHWM") - before
    assert seconds < SECONDS, seconds
    assert taken < MEGABYTES, taken
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 1000
    return line


@pytest.mark.parametrize("value", [10**6, 10**12])
@pytest.mark.parametrize(
    "make",
    [
        lambda n: {"levels": n},
        lambda n: {"steps": n},
        lambda n: {"steps": [n, 1]},
        lambda n: {"width": n},
        lambda n: {"components": n},
        lambda n: {"heads": n},
        lambda n: {"image_shape": [n, n, 1]},
        lambda n: {"preprocess": {"pad": n}},
        lambda n: {"preprocess": {"replicate": n}},
        lambda n: {"conditioner_options": {"blocks": n}},
        lambda n: {"prior": "autoregressive", "prior_options": {"depth": n}},
        lambda n: {"grid": [[n, n]]},
        lambda n: {"steps": [1] * 100_000},
        lambda n: {"levels": 1e999 * n},
    ],
)
def test_configurations_beyond_the_bounds(entry, make, value):
    edit_arguments(entry, **make(value))
    message = "config.json: |can't read .*config.json: it holds Infinity"
    refused(zoo.load, message, entry)
    refused(zoo.load, message, entry, weights=False)
    refused(zoo.info, message, entry)


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 4096},
        {"steps": 60},
        {"levels": 2, "steps": [1, 1], "width": [8, 4000]},
        {"image_shape": [512, 512, 16], "width": 512},
        {"conditioner_options": {"blocks": 64}},
        {"prior": "autoregressive", "prior_options": {"width": 4096, "depth": 60}},
        {"components": 256, "width": 1024},
    ],
)
def test_models_within_the_bounds_that_are_larger_than_their_weights(entry, changes):
    edit_arguments(entry, **changes)
    refused(zoo.load, "does not fit its config.json: (the model has more than|it has)", entry)


def h5(path, write):
    with h5py.File(path, "w") as file:
        write(file)
    return path


def declare(file):
    file.create_dataset("x", (10**9,), "float32")


def declare_chunked(file):
    file.create_dataset("x", (10**5, 10**4), "float32", compression="gzip")


def gzip_bomb(file):
    file.create_dataset("x", data=np.zeros(5_000_000, "float32"), compression="gzip")


def chunk_bomb(file):
    x = file.create_dataset("x", (1 << 16,), "float32", chunks=(1 << 16,), compression="gzip")
    x.id.write_direct_chunk((0,), zlib.compress(bytes(100_000_000)))


def large_chunk(file):
    file.create_dataset("x", (8,), "float32", maxshape=(None,), chunks=(250_000_000,))


def soft_link(file):
    file["x"] = h5py.SoftLink("/y")


def external_link(file):
    file["x"] = h5py.ExternalLink("/etc/passwd", "/")


def external_storage(file):
    file.create_dataset("x", (8,), "uint8", external=[("/etc/passwd", 0, 8)])


def virtual(file):
    layout = h5py.VirtualLayout((8,), "float32")
    layout[:] = h5py.VirtualSource("/tmp/other.h5", "x", (8,))
    file.create_virtual_dataset("x", layout)


def texts(file):
    file["x"] = ["some", "texts"]


def cycle(file):
    for i in range(20):
        file.create_group(f"g{i}")["up"] = file["/"]


def other_filter(file):
    file.create_dataset("x", (8,), "float32", chunks=(8,), compression="lzf")


def other_shape(file):
    for i in range(500):
        file.create_dataset(f"x{i}", data=np.zeros(17, "float32"))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (declare, "declares more than 1,000,000,000 numbers"),
        (declare_chunked, "declares more than 1,000,000,000 numbers"),
        (gzip_bomb, "declares more than 5,000,000 numbers"),
        (chunk_bomb, "inflates to more than it declares"),
        (large_chunk, "chunks larger than itself"),
        (soft_link, "is a link"),
        (external_link, "is a link"),
        (external_storage, "lies in another file"),
        (virtual, "lies in another file"),
        (texts, "no array of numbers"),
        (cycle, "objects, or cycles"),
        (other_filter, "compressed by something else"),
        (other_shape, "holds an array of shape"),
    ],
)
def test_weights_files_that_are_not_what_they_seem(entry, tmp_path, write, message):
    path = h5(tmp_path / "x.h5", write)
    if write not in (other_shape,):
        # Among the true ones.
        path.write_bytes((entry / WEIGHTS).read_bytes())
        with h5py.File(path, "r+") as file:
            write(file)
    put_weights(entry, path)
    refused(zoo.load, f"{WEIGHTS} does not fit its config.json: .*{message}", entry)


def test_weights_that_are_not_finite(entry, tmp_path):
    path = tmp_path / "x.h5"
    for value in (np.nan, np.inf):
        path.write_bytes((entry / WEIGHTS).read_bytes())
        with h5py.File(path, "r+") as file:
            found = []
            file.visititems(lambda _, x, f=found: f.append(x) if hasattr(x, "shape") else None)
            one = max(found, key=lambda x: x.size)
            data = one[()]
            data.flat[3] = value
            one[...] = data
        put_weights(entry, path)
        refused(zoo.load, "its weight .* holds NaN or Inf", entry)


@pytest.mark.parametrize("name", [WEIGHTS, "metadata.json", "config.json"])
def test_files_that_are_no_regular_files_of_the_folder(entry, tmp_path, name):
    path = entry / name
    content = path.read_bytes()
    (tmp_path / "outside").write_bytes(content)
    for make, message in (
        (lambda: os.mkfifo(path), "not a regular file"),
        (lambda: path.symlink_to("/dev/zero"), "not a regular file"),
        (lambda: path.mkdir(), "not a regular file"),
        (lambda: path.symlink_to(tmp_path / "outside"), "link that leads out of its folder"),
    ):
        path.unlink()
        make()
        refused(zoo.load, f"can't read .*{name}: .*{message}", entry)
        if path.is_dir() and not path.is_symlink():
            path.rmdir()
            path.touch()
    # The hub's cache is made of such links.
    blobs = tmp_path / "cache" / "blobs"
    blobs.mkdir(parents=True)
    snapshot = tmp_path / "cache" / "snapshots" / "0123abc"
    snapshot.parent.mkdir()
    path.unlink()
    path.write_bytes(content)
    entry.rename(snapshot)
    for file in list(snapshot.iterdir()):
        file.rename(blobs / file.name)
        file.symlink_to(blobs / file.name)
    zoo.info(snapshot)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", '{"format": 1, "class": "MARFlow"}', "config: field required"),
        ("config.json", '{"format": 1, "config": {}}', "class: field required"),
        *(
            ("config.json", json.dumps({"format": 1, "class": "MARFlow", "config": c}), "config: ")
            for c in (None, [], "text", 5)
        ),
        *(
            ("config.json", json.dumps({"format": 1, "class": "MARFlow", "config": c}), "config.im")
            for c in ({}, {"image_shape": [8, 8]}, {"image_shape": "8"}, {"image_shape": [8, 8, 0]})
        ),
        ("config.json", "[" * 100_000, "nested 100000 deep"),
        ("config.json", '{"format": 1, "class": ["MARFlow"], "config": {}}', "class: "),
        ("metadata.json", '{"format": true}', "names no format"),
        *(
            ("metadata.json", json.dumps({"format": 1, **m}), next(iter(m)) + r"\b.*: ")
            for m in (
                {"metrics": None},
                {"metrics": {}},
                {"metrics": [5]},
                {"metrics": [{"value": 1}]},
                {"training": None},
                {"training": []},
                {"training": {"seconds": "long"}},
                {"restoration": {}},
                {"translation": {"temperatures": []}},
                {"parameters": 1e400 and "many"},
                {"bytes": -1},
                {"description": ["a"]},
                {"sha256": 5},
                {"name": None},
            )
        ),
        ("metadata.json", json.dumps({"format": 1, "x": "y" * 20_000_000}), "1,048,576 bytes"),
        (
            "metadata.json",
            json.dumps({"format": 1, **dict.fromkeys(map(str, range(10_000)), 1)}),
            "10001 keys, more than 200",
        ),
    ],
)
def test_malformed_files(entry, file, content, message):
    (entry / file).write_text(content)
    for call in (zoo.info, zoo.load):
        refused(call, message, entry)


@pytest.mark.parametrize(
    "name", ["/some/folder", "../up", "..", "a/b", "a\\b", "", 'quo"te', ".hidden", "x" * 300]
)
def test_a_name_chooses_no_path(entry, name, tmp_path, monkeypatch):
    edit(entry / "metadata.json", name=name)
    refused(zoo.load, "name: must be one plain", entry)
    monkeypatch.chdir(tmp_path)
    for command in ("info", "train"):
        result = CliRunner().invoke(app, [command, "entry"])
        assert isinstance(result.exception, ZooError)
    assert [path.name for path in tmp_path.iterdir()] == ["entry"]


def test_a_recipe_chooses_no_path(entry, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    edit(entry / "metadata.json", training={"recipe": {"dataset": "/home/somebody/pictures"}})
    result = CliRunner().invoke(app, ["train", "entry"])
    assert isinstance(result.exception, ZooError)
    assert "give your images with --data" in str(result.exception)


def test_files_beside_an_entry_keep_their_names(entry, tmp_path):
    flow = zoo.load(entry)
    with pytest.raises(ValueError, match="extra must name files inside the folder; got '../x'"):
        zoo.save(flow, tmp_path / "new", extra={"../x": "text"})
    for name in ("/etc/x", "a/b"):
        with pytest.raises(ValueError, match="metadata: name: must be one plain component"):
            zoo.save(flow, tmp_path / "new", {"name": name})
    with pytest.raises(ValueError, match=r"metadata: metrics.0.name: field required"):
        zoo.save(flow, tmp_path / "new", {"metrics": [{"value": 1.0}]})
    assert [path.name for path in tmp_path.iterdir()] == ["entry"]
    zoo.save(flow, tmp_path / "it's \x1b[1mmine")
    assert zoo.info(tmp_path / "it's \x1b[1mmine")["name"] == "it-s -[1mmine"


def test_texts_reach_terminal_and_card_as_texts(entry, tmp_path):
    nasty = (
        "\x1b]0;owned\x07\x1b[2J <script>x</script> ![p](http://x) | `a`\n# Title\r" + "y" * 9000
    )
    edit(
        entry / "metadata.json",
        **dict.fromkeys(("description", "dataset", "license", "paper", "other\x1b[31m"), nasty),
        training={"command": nasty, "note": nasty},
    )
    result = CliRunner().invoke(app, ["info", str(entry)])
    assert result.exit_code == 0
    assert not set("\x1b\x07\r") & set(result.output)
    assert len(result.output) < 60_000
    zoo.save(zoo.load(entry), tmp_path / "copy", zoo.info(entry))
    card = (tmp_path / "copy" / "card.md").read_text()
    assert not set("\x1b\x07\r") & set(card)
    outside = re.sub("```.*?```|`[^`\n]*`", "", card, flags=re.DOTALL)
    assert "<script" not in outside
    assert re.search(r"(?<!\\)!?\[p\]", outside) is None
    assert "\n# Title" not in card


def test_an_entry_whose_overwrite_was_cut_short_is_restored(entry):
    entry.rename(entry.with_name(f".{entry.name}.{NEW}"))
    assert zoo.info(entry)["task"] == "unconditional"
    assert entry.is_dir()


def test_an_export_whose_overwrite_was_cut_short_is_restored(tmp_path):
    (tmp_path / f".out.{NEW}").mkdir()
    with pytest.raises(ExportError, match="is not an export: it has no manifest"):
        manifest.read(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_task_needs_its_arguments(entry):
    edit(entry / "metadata.json", task="super-resolution")
    refused(zoo.info, "is for super-resolution; its config.json has no scale", entry)


def test_a_home_of_nobody():
    refused(zoo.load, "no folder ~nobody-of-that-name/x", "~nobody-of-that-name/x")


def test_entries_of_the_package_fit_the_schema():
    from zoo import schema
    from zoo.registry import PRESETS

    for folder in PRESETS.iterdir():
        config = json.loads((folder / "config.json").read_text())
        schema.check(config, schema.Config)
        schema.check_bounds(config["config"])
        schema.check(json.loads((folder / "metadata.json").read_text()), schema.Metadata)
