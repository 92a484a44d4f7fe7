"""Models and entries of the user's own beside those of the package."""

import json
import os

import numpy as np
import pytest
from typer.testing import CliRunner

import zoo
from attnflow_keras.models import Flow, MARFlow
from tests.conftest import make_tiny_flow
from tests.helpers import perturb
from zoo import models, registry
from zoo.cli.app import app

pytestmark = pytest.mark.eager


@pytest.fixture(autouse=True)
def no_zoo_of_the_user(monkeypatch):
    monkeypatch.delenv("ATTNFLOW_ZOO", raising=False)
    monkeypatch.setattr(registry, "_ADDED", [])
    monkeypatch.setattr(models, "_REGISTERED", {})


class Squashed(MARFlow):
    """A model of the user's, with an argument of its own."""

    def __init__(self, image_shape, depth=2, **kwargs):
        self.depth = depth
        super().__init__(image_shape, **{"levels": 1, "steps": depth, "width": 4, **kwargs})

    def get_config(self):
        return {**super().get_config(), "depth": self.depth}


@pytest.fixture
def own(tmp_path):
    """A folder with one entry, ``my-flow``."""
    zoo.save(
        perturb(make_tiny_flow(), 0.05), tmp_path / "own" / "my-flow", {"task": "unconditional"}
    )
    return tmp_path / "own"


def test_a_registered_model_is_saved_and_loaded(tmp_path):
    flow = perturb(Squashed((4, 4, 1), depth=1), 0.05)
    with pytest.raises(ValueError, match=r"a registered class; .*Squashed is not registered: call"):
        zoo.save(flow, tmp_path / "mine")
    assert zoo.register_model(Squashed) is Squashed
    zoo.save(flow, tmp_path / "mine")
    loaded = zoo.load(tmp_path / "mine")
    assert type(loaded) is Squashed
    assert loaded.depth == 1
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4, 1), dtype="uint8")
    np.testing.assert_allclose(
        loaded.bits_per_dim(images, seed=0), flow.bits_per_dim(images, seed=0), rtol=1e-6
    )


def test_only_registered_classes_are_built(tmp_path):
    zoo.register_model(Squashed)
    zoo.save(Squashed((4, 4, 1), depth=1), tmp_path / "mine")
    models._REGISTERED.clear()
    with pytest.raises(
        zoo.ZooError,
        match="SRFlow, TransformerCouplingFlow, or your own by zoo.register_model; got",
    ):
        zoo.load(tmp_path / "mine")
    for name in ("Flow", "os.system", "tests.test_user_zoo.Squashed", "Model"):
        config = json.loads((tmp_path / "mine" / "config.json").read_text())
        (tmp_path / "mine" / "config.json").write_text(json.dumps({**config, "class": name}))
        with pytest.raises(zoo.ZooError, match="class must be one of"):
            zoo.load(tmp_path / "mine", weights=False)


def test_classes_that_are_refused(tmp_path):
    for wrong in (Flow, dict, "Squashed", Squashed((4, 4, 1), depth=1)):
        with pytest.raises(ValueError, match="cls must be a subclass of Flow; got"):
            zoo.register_model(wrong)
    taken = type("MARFlow", (MARFlow,), {"__module__": "elsewhere"})
    with pytest.raises(ValueError, match="MARFlow is registered already, as attnflow_keras.models"):
        zoo.register_model(taken)
    # A flow of that class is none of the package's.
    with pytest.raises(ValueError, match="elsewhere.MARFlow is not registered"):
        zoo.save(taken((4, 4, 1), levels=1, steps=1, width=4), tmp_path / "mine")
    zoo.register_model(Squashed)
    zoo.register_model(Squashed)
    # As a cell of a notebook that runs again.
    again = type("Squashed", (MARFlow,), {"__module__": __name__})
    assert zoo.register_model(again) is models.model_classes()["Squashed"]
    other = type("Squashed", (MARFlow,), {"__module__": "elsewhere"})
    with pytest.raises(ValueError, match=r"as .*test_user_zoo\.Squashed"):
        zoo.register_model(other)


@pytest.mark.parametrize("way", ["call", "variable"])
def test_entries_of_a_folder(own, tmp_path, monkeypatch, way):
    before = zoo.list()
    with pytest.raises(zoo.ZooError, match="no entry 'my-flow'"):
        zoo.load("my-flow")
    if way == "call":
        zoo.add_folder(own)
        zoo.add_folder(str(own))
    else:
        (tmp_path / "empty").mkdir()
        monkeypatch.setenv("ATTNFLOW_ZOO", os.pathsep.join([str(tmp_path / "empty"), str(own), ""]))
    assert sorted(zoo.list()) == sorted([*before, "my-flow"])
    assert zoo.list("my-*", pretrained=True, task="unconditional") == ["my-flow"]
    assert zoo.list("my-*", pretrained=False) == zoo.list("my-*", task="super-resolution") == []
    assert zoo.info("my-flow")["pretrained"]
    flow, same = zoo.load("my-flow"), zoo.load(own / "my-flow")
    for weight, other in zip(flow.weights, same.weights, strict=True):
        np.testing.assert_array_equal(weight, other)
    result = CliRunner().invoke(app, ["list", "my-*", "--json"])
    assert [entry["name"] for entry in json.loads(result.stdout)] == ["my-flow"]
    # What is written there is listed; what is being written is not.
    zoo.save(flow, own / "another")
    (own / "another").rename(own / ".another.part")
    assert zoo.list("*another*") == []
    (own / ".another.part").rename(own / "another")
    assert zoo.list("*another*") == ["another"]


def test_a_stranger_s_entry_is_checked(own):
    zoo.add_folder(own)
    path = own / "my-flow" / "config.json"
    content = json.loads(path.read_text())
    content["config"]["width"] = 10**9
    path.write_text(json.dumps(content))
    with pytest.raises(zoo.ZooError, match="my-flow.*width must be at most"):
        zoo.load("my-flow")


def test_names_that_clash(own, tmp_path, monkeypatch):
    (tmp_path / "other").mkdir()
    (own / "my-flow").rename(tmp_path / "other" / "marflow-mnist")
    message = r"two entries are named 'marflow-mnist': .*presets.* and .*other.*; rename the folder"
    with pytest.raises(zoo.ZooError, match=message):
        zoo.add_folder(tmp_path / "other")
    assert "marflow-mnist" in zoo.list()
    monkeypatch.setenv("ATTNFLOW_ZOO", str(tmp_path / "other"))
    for call in (zoo.list, lambda: zoo.load("marflow-mnist"), lambda: zoo.info("marflow-mnist")):
        with pytest.raises(zoo.ZooError, match=message):
            call()


def test_folders_that_are_none(own, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for path, message in (
        (tmp_path / "nowhere", "must name folders of entries; .*nowhere is not a readable folder"),
        (tmp_path / "file", "must name folders of entries; .*file is not a readable folder"),
        (own / "my-flow", ".*my-flow is an entry: name its parent"),
        ("~nobody-of-that-name/zoo", "can't read ~nobody-of-that-name/zoo"),
        ("a\0b", "can't read"),
    ):
        with pytest.raises(zoo.ZooError, match=f"path:? {message}"):
            zoo.add_folder(path)
        if "\0" not in str(path):
            monkeypatch.setenv("ATTNFLOW_ZOO", f"{own}{os.pathsep}{path}")
            with pytest.raises(zoo.ZooError, match=f"ATTNFLOW_ZOO:? {message}"):
                zoo.list()
    monkeypatch.delenv("ATTNFLOW_ZOO")
    with pytest.raises(zoo.ZooError, match="path must be a folder of entries; got a NoneType"):
        zoo.add_folder(None)
    assert "my-flow" not in zoo.list()
