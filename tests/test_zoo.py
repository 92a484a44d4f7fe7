"""Entries: list, info, save, load, and everything that can be wrong with one."""

import hashlib
import json
import re
import subprocess
import sys
import types

import keras
import numpy as np
import pytest

import zoo
from attnflow_keras import models
from tests.conftest import make_tiny_flow
from tests.helpers import perturb
from zoo.errors import ZooError
from zoo.registry import FORMAT
from zoo.weights_file import packed

pytestmark = pytest.mark.eager


@pytest.fixture
def entry(tiny_flow, tmp_path):
    """A saved entry and the flow it was made from."""
    perturb(tiny_flow, 0.05)
    zoo.save(tiny_flow, tmp_path / "entry", {"task": "unconditional", "description": "A test."})
    return tmp_path / "entry", tiny_flow


def edit(path, **changes):
    content = json.loads(path.read_text())
    content.update(changes)
    path.write_text(json.dumps(content))


def test_list_and_info():
    assert "attnflow-imap-mnist" in zoo.list()
    assert zoo.list("*imap-mnist*") == ["attnflow-imap-mnist"]
    assert zoo.list("nothing*") == []
    assert "srflow-sr8-bluemarble" in zoo.list(task="super-resolution")
    assert zoo.list("*mnist", task="super-resolution") == []
    entry = zoo.info("attnflow-imap-mnist")
    assert entry["config"]["attention"] == "imap"
    assert entry["pretrained"] == ("attnflow-imap-mnist" in zoo.list(pretrained=True))
    json.dumps(entry)


def test_natural_order(tmp_path, monkeypatch):
    for name in ("flow-10", "flow-2", "flow-1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "metadata.json").write_text('{"format": 1}')
    monkeypatch.setattr("zoo.registry.PRESETS", tmp_path)
    assert zoo.list() == ["flow-1", "flow-2", "flow-10"]


def test_weights_are_packed_without_loss(tmp_path):
    flow = make_tiny_flow()
    path = tmp_path / "flow.weights.h5"
    flow.save_weights(path)
    before = path.stat().st_size
    path.write_bytes(packed(path.read_bytes()))
    assert path.stat().st_size < 0.9 * before
    assert list(tmp_path.iterdir()) == [path]
    other = make_tiny_flow(seed=1)
    other.load_weights(path)
    for a, b in zip(flow.weights, other.weights, strict=True):
        np.testing.assert_array_equal(a, b)


def test_save_and_load(entry, tiny_images):
    folder, flow = entry
    assert sorted(p.name for p in folder.iterdir()) == [
        "card.md",
        "config.json",
        "metadata.json",
        "model.weights.h5",
    ]
    loaded = zoo.load(folder)
    images = tiny_images[:8]
    np.testing.assert_array_equal(loaded.log_prob(images), flow.log_prob(images))
    np.testing.assert_array_equal(loaded.sample(3, seed=1), flow.sample(3, seed=1))
    assert loaded.is_adapted
    metadata = zoo.info(folder)
    weights = (folder / "model.weights.h5").read_bytes()
    assert metadata["sha256"] == hashlib.sha256(weights).hexdigest()
    assert metadata["bytes"] == len(weights)
    assert metadata["parameters"] == sum(np.prod(v.shape) for v in flow.trainable_variables)
    card = (folder / "card.md").read_text()
    assert "A test." in card
    assert f"{metadata['parameters']:,}" in card


def test_load_under_another_policy(entry, tiny_images):
    folder, flow = entry
    loaded = zoo.load(folder, dtype="mixed_bfloat16")
    assert loaded.dtype_policy.name == "mixed_bfloat16"
    np.testing.assert_allclose(
        loaded.bits_per_dim(tiny_images[:8]), flow.bits_per_dim(tiny_images[:8]), atol=0.2
    )


def test_the_policy_is_the_argument_or_the_configured_one_or_float32(entry, tiny_images):
    folder, flow = entry
    images = tiny_images[:4]
    double = zoo.load(folder, dtype="float64")
    assert all(v.dtype in ("float64", "int32") for v in double.weights)
    np.testing.assert_allclose(double.log_prob(images), flow.log_prob(images), rtol=1e-4)
    config = json.loads((folder / "config.json").read_text())
    config["config"]["dtype"] = "mixed_float16"
    edit(folder / "config.json", **config)
    assert zoo.load(folder).dtype_policy.name == "mixed_float16"
    plain = zoo.load(folder, dtype="float32")
    assert plain.dtype_policy.name == "float32"
    np.testing.assert_array_equal(plain.log_prob(images), flow.log_prob(images))
    config["config"]["dtype"] = "float16"
    edit(folder / "config.json", **config)
    with pytest.raises(ZooError, match=r"config.json does not fit MARFlow: dtype must be one of"):
        zoo.load(folder)


def test_a_compiled_flow_is_saved_without_its_optimizer(tiny_flow, tiny_images, tmp_path):
    zoo.save(tiny_flow, tmp_path / "before")
    tiny_flow.compile(optimizer="adam", jit_compile=False)
    tiny_flow.fit(tiny_images[:64], verbose=0)
    zoo.save(tiny_flow, tmp_path / "after")
    sizes = [(tmp_path / n / "model.weights.h5").stat().st_size for n in ("before", "after")]
    assert sizes[1] == pytest.approx(sizes[0], rel=0.02)
    loaded = zoo.load(tmp_path / "after")
    np.testing.assert_array_equal(
        loaded.log_prob(tiny_images[:4]), tiny_flow.log_prob(tiny_images[:4])
    )


def test_save_does_not_overwrite_unasked(entry):
    folder, flow = entry
    before = (folder / "model.weights.h5").read_bytes()
    with pytest.raises(FileExistsError, match="overwrite=True"):
        zoo.save(flow, folder)
    zoo.save(perturb(flow, 0.1, seed=3), folder, overwrite=True)
    assert (folder / "model.weights.h5").read_bytes() != before
    assert [p.name for p in folder.parent.iterdir()] == ["entry"]


def test_a_failed_save_leaves_the_old_entry_and_no_rest(entry, monkeypatch):
    folder, flow = entry
    before = (folder / "metadata.json").read_text()
    monkeypatch.setattr("zoo.card.render", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        zoo.save(flow, folder, overwrite=True)
    assert (folder / "metadata.json").read_text() == before
    assert [p.name for p in folder.parent.iterdir()] == ["entry"]
    zoo.load(folder)


def test_unknown_name_lists_near_matches():
    with pytest.raises(
        ZooError, match=r"no entry 'attnflow-imap-mnits': did you mean .*imap-mnist"
    ):
        zoo.load("attnflow-imap-mnits")
    with pytest.raises(ZooError, match=r"zoo.list\(\) and 'attnflow list' name all"):
        zoo.load("qqqqqqqq")


def test_arguments_of_the_wrong_kind(tiny_flow, tmp_path):
    for arguments, message in (
        ((5,), "pattern must be a string, such as '\\*mnist\\*'; got 5"),
        (("*", "yes"), "pretrained must be True, False or None; got 'yes'"),
        (
            ("*", None, "art"),
            "task must be one of unconditional, .*, None; got 'art'",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            zoo.list(*arguments)
    with pytest.raises(ZooError, match="name must be an entry's name, .*; got a int"):
        zoo.load(5)
    path = tmp_path / "new"
    for options, message in (
        (("flow", path), "flow must be a Flow, such as MARFlow; got a str"),
        ((tiny_flow, 5), "folder must be a path; got a int"),
        ((tiny_flow, path, "mnist"), "metadata must be a dict or None; got a str"),
        ((tiny_flow, path, {"a": np.zeros(2)}), "metadata must be serializable as JSON: "),
        ((tiny_flow, path, None, 1), "overwrite must be True or False; got 1"),
        ((tiny_flow, path, None, True, {"a": 1}), "extra must be a dict of file names .*; got"),
    ):
        with pytest.raises(ValueError, match=message):
            zoo.save(*options)
    assert not path.exists()


def test_save_of_damaged_weights(tiny_flow, tmp_path):
    tiny_flow.trainable_variables[0].assign(np.nan * tiny_flow.trainable_variables[0])
    with pytest.raises(ZooError, match="not saved: its weight .* holds NaN or Inf"):
        zoo.save(tiny_flow, tmp_path / "flow")
    assert not (tmp_path / "flow").exists()


def test_a_saved_copy_keeps_where_it_came_from(entry, tmp_path):
    zoo.save(zoo.load(entry[0]), tmp_path / "copy")
    copy = zoo.info(tmp_path / "copy")
    assert copy["derived_from"] == "entry"
    assert copy["task"] == "unconditional"
    card = (tmp_path / "copy" / "card.md").read_text()
    assert "| derived from | entry |" in card
    assert "Trained further" not in card


def test_a_copy_that_fit_has_changed_says_so(entry, tiny_images, tmp_path):
    flow = zoo.load(entry[0])
    flow.compile(keras.optimizers.Adam(1e-3), jit_compile=False)
    flow.fit(tiny_images[:4], batch_size=4, verbose=0)
    zoo.save(flow, tmp_path / "copy")
    assert "Trained further with fit" in (tmp_path / "copy" / "card.md").read_text()


def test_bad_policy_and_missing_folder(entry):
    for wrong in ("int8", "float16", "", 16):
        with pytest.raises(ValueError, match=rf"^dtype must be one of .*; got {wrong!r}"):
            zoo.load(entry[0], dtype=wrong)
    with pytest.raises(ZooError, match="no folder /tmp/nowhere-at-all"):
        zoo.load("/tmp/nowhere-at-all")


def test_a_folder_that_is_no_entry(tmp_path):
    with pytest.raises(ZooError, match="is not an entry: it has no config.json"):
        zoo.load(tmp_path)


def test_wrong_hash(entry):
    folder, _ = entry
    edit(folder / "metadata.json", sha256="0" * 64)
    with pytest.raises(ZooError, match=r"damaged or altered: sha256 is .*fetch the entry again"):
        zoo.load(folder)


def test_truncated_weights(entry):
    folder, _ = entry
    path = folder / "model.weights.h5"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ZooError, match="damaged or altered"):
        zoo.load(folder)
    # Even with a hash that fits the damage.
    edit(folder / "metadata.json", sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(ZooError, match=r"does not fit its config.json"):
        zoo.load(folder)


@pytest.mark.parametrize("file", ["config.json", "metadata.json"])
def test_newer_format(entry, file):
    folder, _ = entry
    edit(folder / file, format=FORMAT + 1)
    with pytest.raises(ZooError, match=r"has format 2, this version reads up to 1; get a newer"):
        zoo.load(folder)


def test_missing_and_unreadable_files(entry):
    folder, _ = entry
    (folder / "metadata.json").rename(folder / "away.json")
    with pytest.raises(ZooError, match=r"incomplete: .*metadata.json is missing"):
        zoo.load(folder)
    (folder / "metadata.json").write_text("{")
    with pytest.raises(ZooError, match="can't read"):
        zoo.load(folder)
    (folder / "metadata.json").write_text("[]")
    with pytest.raises(ZooError, match="names no format version"):
        zoo.load(folder)


def test_configuration_that_does_not_fit(entry):
    folder, _ = entry
    config = json.loads((folder / "config.json").read_text())
    edit(folder / "config.json", config={**config["config"], "width": 9})
    with pytest.raises(ZooError, match=r"does not fit its config.json"):
        zoo.load(folder)
    edit(folder / "config.json", config={**config["config"], "depth": 9})
    with pytest.raises(ZooError, match="config.json does not fit MARFlow"):
        zoo.load(folder)
    edit(folder / "config.json", **{"class": "os.system"})
    known = ", ".join(sorted(name for name in models.__all__ if name != "Flow"))
    with pytest.raises(ZooError, match=f"class must be one of {known}, or .*; got 'os.system'"):
        zoo.load(folder)


def test_entry_without_weights(entry):
    folder, _ = entry
    (folder / "model.weights.h5").unlink()
    edit(folder / "metadata.json", training={"command": "attnflow train this-one"})
    with pytest.raises(ZooError, match=r"no weights; train it with: attnflow train this-one"):
        zoo.load(folder)
    flow = zoo.load(folder, weights=False)
    assert not flow.is_adapted


def test_registered_entry_whose_weights_the_wheel_leaves_out(entry, monkeypatch):
    folder, _ = entry
    (folder / "model.weights.h5").unlink()
    monkeypatch.setattr("zoo.folder.PRESETS", folder.parent)
    with pytest.raises(ZooError, match="no weights here: the wheel leaves them out to stay small"):
        zoo.load(folder)


def test_hub_addresses(entry, monkeypatch):
    folder, flow = entry
    asked = []

    def snapshot_download(repository, allow_patterns):
        asked.append((repository, allow_patterns))
        return str(folder)

    hub = types.SimpleNamespace(snapshot_download=snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    loaded = zoo.load("hf://somebody/a-flow")
    assert asked[0][0] == "somebody/a-flow"
    assert "model.weights.h5" in asked[0][1]
    np.testing.assert_array_equal(loaded.sample(2, seed=0), flow.sample(2, seed=0))
    with pytest.raises(ZooError, match="expected hf://user/repository"):
        zoo.load("hf://somebody")
    hub.snapshot_download = lambda *_, **__: 1 / 0
    with pytest.raises(ZooError, match="can't fetch hf://somebody/a-flow"):
        zoo.load("hf://somebody/a-flow")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ZooError, match="needs huggingface_hub: pip install 'huggingface_hub>="):
        zoo.load("hf://somebody/a-flow")


def test_without_tensorflow_load_says_what_to_install():
    code = (
        "import sys; sys.modules['tensorflow'] = None; sys.modules['keras'] = None\n"
        "import zoo; zoo.list(); zoo.load(zoo.list()[0], weights=False)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert re.search("pip install .*'keras>=", done.stderr)


def test_the_first_format_loads(tiny_images):
    """An entry in format 1 as it was first written; it must load for ever."""
    import pathlib

    folder = pathlib.Path(__file__).parent / "data" / "format-1"
    flow = zoo.load(folder)
    recorded = json.loads((folder / "expected.json").read_text())
    np.testing.assert_allclose(flow.log_prob(tiny_images[:4]), recorded["log_prob"], rtol=1e-5)
    assert flow.is_adapted
