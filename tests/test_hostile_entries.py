"""Entries from an untrusted source: refused in one line, at once, and with bounded resources."""

import json
import os
import random
import re

import pytest
from typer.testing import CliRunner

import zoo
from attnflow_keras.core.files import NEW
from attnflow_keras.runtime import manifest
from attnflow_keras.runtime.errors import ExportError
from tests.hostile import WEIGHTS, edit, edit_arguments, refused
from zoo.cli.app import app
from zoo.errors import ZooError


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
        lambda n: {"layers": n},
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
def test_configurations_beyond_the_bounds(stranger, make, value):
    edit_arguments(stranger, **make(value))
    message = "config.json: |can't read .*config.json: it holds Infinity"
    refused(zoo.load, message, stranger)
    refused(zoo.load, message, stranger, weights=False)
    refused(zoo.info, message, stranger)


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
def test_models_within_the_bounds_that_are_larger_than_their_weights(stranger, changes):
    edit_arguments(stranger, **changes)
    refused(zoo.load, "does not fit its config.json: (the model has more than|it has)", stranger)


@pytest.mark.parametrize("name", [WEIGHTS, "metadata.json", "config.json"])
def test_files_that_are_no_regular_files_of_the_folder(stranger, tmp_path, name):
    path = stranger / name
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
        refused(zoo.load, f"can't read .*{name}: .*{message}", stranger)
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
    stranger.rename(snapshot)
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
                {"classification": {"accuracy": 97.0}},
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
def test_malformed_files(stranger, file, content, message):
    (stranger / file).write_text(content)
    for call in (zoo.info, zoo.load):
        refused(call, message, stranger)


@pytest.mark.parametrize(
    "name", ["/some/folder", "../up", "..", "a/b", "a\\b", "", 'quo"te', ".hidden", "x" * 300]
)
def test_a_name_chooses_no_path(stranger, name, tmp_path, monkeypatch):
    edit(stranger / "metadata.json", name=name)
    refused(zoo.load, "name: must be one plain", stranger)
    monkeypatch.chdir(tmp_path)
    for command in ("info", "train"):
        result = CliRunner().invoke(app, [command, "entry"])
        assert isinstance(result.exception, ZooError)
    assert [path.name for path in tmp_path.iterdir()] == ["entry"]


def test_a_recipe_chooses_no_path(stranger, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    edit(stranger / "metadata.json", training={"recipe": {"dataset": "/home/somebody/pictures"}})
    result = CliRunner().invoke(app, ["train", "entry"])
    assert isinstance(result.exception, ZooError)
    assert "give your images with --data" in str(result.exception)


def test_files_beside_an_entry_keep_their_names(stranger, tmp_path):
    flow = zoo.load(stranger)
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


def test_texts_reach_terminal_and_card_as_texts(stranger, tmp_path):
    nasty = (
        "\x1b]0;owned\x07\x1b[2J <script>x</script> ![p](http://x) | `a`\n# Title\r" + "y" * 9000
    )
    edit(
        stranger / "metadata.json",
        **dict.fromkeys(("description", "dataset", "license", "paper", "other\x1b[31m"), nasty),
        training={"command": nasty, "note": nasty},
    )
    result = CliRunner().invoke(app, ["info", str(stranger)])
    assert result.exit_code == 0
    assert not set("\x1b\x07\r") & set(result.output)
    assert len(result.output) < 60_000
    zoo.save(zoo.load(stranger), tmp_path / "copy", zoo.info(stranger))
    card = (tmp_path / "copy" / "card.md").read_text()
    assert not set("\x1b\x07\r") & set(card)
    outside = re.sub("```.*?```|`[^`\n]*`", "", card, flags=re.DOTALL)
    assert "<script" not in outside
    assert re.search(r"(?<!\\)!?\[p\]", outside) is None
    assert "\n# Title" not in card


NASTY = [None, True, -1, 0, 10**6, 10**400, 1.5, "x", "\x1b[2J", "a" * 5000, [], {}, [[]], {"a": 1}]


def places(tree, path=()):
    yield path
    items = (
        tree.items() if isinstance(tree, dict) else enumerate(tree if type(tree) is list else ())
    )
    for key, item in items:
        yield from places(item, (*path, key))


def damaged(tree, rng):
    """A copy of JSON with one or two values replaced."""
    tree = json.loads(json.dumps(tree))
    for _ in range(rng.randint(1, 2)):
        *path, last = rng.choice(list(places(tree))[1:])
        parent = tree
        for key in path:
            parent = parent[key]
        parent[last] = rng.choice(NASTY)
    return tree


def test_random_damage(stranger, sound_files):
    """An answer, or one line; what is loaded is loaded within the limits."""
    rng = random.Random(0)
    metadata = zoo.info("attnflow-itrans-mnist") | json.loads(sound_files["metadata.json"])
    for name, content, loads in (
        ("metadata.json", metadata, 0),
        ("config.json", json.loads(sound_files["config.json"]), 25),
    ):
        for i in range(300):
            (stranger / name).write_text(json.dumps(damaged(content, rng)))
            for call in (zoo.info, zoo.load)[: 1 + (i < loads)]:
                line = ""
                try:
                    call(stranger)
                except ZooError as error:
                    line = str(error)
                assert len(line) < 1000
                assert line.isprintable()
        (stranger / name).write_bytes(sound_files[name])


def test_an_entry_whose_overwrite_was_cut_short_is_restored(stranger):
    stranger.rename(stranger.with_name(f".{stranger.name}.{NEW}"))
    assert zoo.info(stranger)["task"] == "unconditional"
    assert stranger.is_dir()


def test_an_export_whose_overwrite_was_cut_short_is_restored(tmp_path):
    (tmp_path / f".out.{NEW}").mkdir()
    with pytest.raises(ExportError, match="is not an export: it has no manifest"):
        manifest.read(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_task_needs_its_arguments(stranger):
    edit(stranger / "metadata.json", task="super-resolution")
    refused(zoo.info, "is for super-resolution; its config.json has no scale", stranger)


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
